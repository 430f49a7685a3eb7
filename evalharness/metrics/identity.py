"""How much a model leans on words that name who somebody is: the share of an explanation that lies on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion
from evalharness.core.types import Response, Sample

from .base import require
from .explanations import ExplanationMetric, explanation_of, shown_values
from .text import whole_words

__all__ = ["IdentityMass", "mass_on_terms", "read_terms", "terms_pattern"]

_OWN = Path(__file__).parent / "lexicons" / "identity_terms.txt"


@dataclass(frozen=True, kw_only=True)
class IdentityMass(ExplanationMetric):
    """Share of an explanation that lies on identity terms: names, gender, origin, religion, age … Lower is better.

        Σ_i (Σ_j∈terms |value_ij| / Σ_j |value_ij|) / n over the texts that hold such a term

    It says what the model looks at, not whether it does harm with it: a text about a church is rightly read by its
    church. What counts is where it should not matter, and the change between releases (a gate against a baseline). A
    word counts as a whole, whatever its case; in Chinese and Japanese the signs themselves are looked for. Texts
    without a term, and explanations that are 0 everywhere but for rounding, are left out.

    Options:
        words: the terms themselves, instead of a list from a file.
        file: a text file of your own, one term a line, from the suite's folder; [gender] begins the terms of an axis,
            what follows # is a comment (default: the built-in list, English and Chinese).
        axes: only the terms of these axes of the file (built in: gender, ethnicity, nationality, religion, age,
            disability, orientation, names).

    Source: share of absolute attribution; no tool's figure is claimed.
    """

    words: tuple[str, ...] = ()
    file: str | None = None
    axes: tuple[str, ...] = ()

    name = "identity_mass"
    higher_is_better = False
    bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        require(not (self.words and self.file), "give either words or file, not both")
        require(not (self.words and self.axes), "axes are those of a file; words have none: remove one of the two")
        require(all(word.strip() for word in self.words), "words: a term must not be blank")
        object.__setattr__(self, "_recorded", None)
        terms: tuple[str, ...] | None = None
        if self.words:
            terms = tuple(dict.fromkeys(" ".join(word.split()).casefold() for word in self.words))
        elif self.file is None:
            try:
                terms = _chosen(_OWN, "", self.axes)
            except UsageError as error:
                require(False, str(error))
        object.__setattr__(self, "_terms", terms)

    def terms(self) -> tuple[str, ...] | None:
        """The terms, folded; None where they stand in a file that has not been read."""
        found: tuple[str, ...] | None = self._terms  # type: ignore[attr-defined]
        return found

    def options(self) -> dict[str, Any]:
        """The options; in the place of the terms stands their digest."""
        terms = self.terms()
        digest = "not-loaded" if terms is None else sha256("\n".join(terms).encode()).hexdigest()[:16]
        return {"terms": self._recorded or digest}  # type: ignore[attr-defined]

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """(option, message) where the file cannot be read."""
        if self.file is not None:
            try:
                read_terms(base / self.file, self.file)
            except UsageError as error:
                yield "file", str(error)
                return
            try:
                _chosen(base / self.file, self.file, self.axes)
            except UsageError as error:
                yield "axes", str(error)

    def for_run(self, *, base: Path, allow_code: bool = False) -> IdentityMass:
        """With the terms read, their path starting from `base`.

        Raises:
            UsageError: the file cannot be read, or has no such axis.
        """
        if self.terms() is not None:
            return self
        found = replace(self)
        if self.file is not None:
            object.__setattr__(found, "_terms", _chosen(base / self.file, self.file, self.axes))
        return found

    def as_recorded(self, signature: str) -> IdentityMass:
        """As the metric of a record with this signature: its rows are read without the list."""
        found = replace(self)
        parts = dict(part.partition(":")[::2] for part in signature.split("|")[1:])
        object.__setattr__(found, "_recorded", parts.get("terms"))
        return found

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        terms = self.terms()
        if terms is None:
            raise UsageError(f"identity_mass: the terms of {self.file!r} are not read yet; call for_run(base=…)")
        pattern = terms_pattern(terms)
        found = (explanation_of(response) for response in responses)
        return [None if one is None else mass_on_terms(one, pattern) for one in found]


def mass_on_terms(explanation: Mapping[str, Any], pattern: re.Pattern[str]) -> float | None:
    """The share of the absolute attribution that lies on players within a match of `pattern`; None where none is."""
    text = str(explanation.get("text") or "")
    spans = [match.span() for match in pattern.finditer(text)]
    tokens = explanation.get("tokens") or ()
    sizes = [abs(value) for value in shown_values(explanation)]
    total = sum(sizes)
    if not spans or not total:
        return None
    on_terms = sum(
        size
        for (_, start, end), size in zip(tokens, sizes, strict=True)
        if any(start < stop and begin < end for begin, stop in spans)
    )
    return on_terms / total


def read_terms(path: Path, shown: str) -> dict[str, tuple[str, ...]]:
    """The terms of a file by axis, "" for those before the first axis.

    Raises:
        UsageError: it cannot be read, or holds no term.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"file: the file {shown!r} cannot be read: {reason}") from None
    found: dict[str, list[str]] = {}
    axis = ""
    for line in lines:
        term = " ".join(line.partition("#")[0].split()).casefold()
        if term.startswith("[") and term.endswith("]"):
            axis = term[1:-1].strip()
        elif term:
            found.setdefault(axis, []).append(term)
    if not found:
        raise UsageError(f"file: the file {shown!r} holds no term; give one a line")
    return {name: tuple(dict.fromkeys(terms)) for name, terms in found.items()}


@lru_cache(maxsize=8)
def _read(path: Path, shown: str, stamp: float) -> dict[str, tuple[str, ...]]:
    return read_terms(path, shown)


def _chosen(path: Path, shown: str, axes: Sequence[str]) -> tuple[str, ...]:
    stamp = path.stat().st_mtime if path.exists() else 0.0
    known = _read(path, shown or path.name, stamp)
    for axis in axes:
        if axis not in known:
            near = suggestion(axis, known) or f"; it has: {', '.join(name for name in known if name) or 'none'}"
            raise UsageError(f"axes: {f'the file {shown!r}' if shown else 'the built-in list'} has no {axis!r}{near}")
    return tuple(dict.fromkeys(term for name in (axes or known) for term in known[name]))


@lru_cache(maxsize=8)
def terms_pattern(terms: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the terms, the longest first: whole words, but in scripts that write no blanks, wherever they stand."""
    return re.compile(whole_words({t: r"\s+".join(map(re.escape, t.split())) for t in terms}), re.IGNORECASE)
