"""How long the stretches are that answers repeat word for word: of a text that they should not know by heart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evalharness.core.errors import UsageError
from evalharness.core.protocols import IntervalKind, Need
from evalharness.core.types import FAILED_STATES, Prompt, Response, Sample
from evalharness.stats.arrays import Ints, np
from evalharness.stats.common_runs import common_runs

from .base import NEEDS_NOTHING, NEEDS_REFERENCES, MeanMetric, answer_text, golds, require
from .text import unicode_words

__all__ = ["VerbatimOverlap"]

Unit = Literal["words", "characters"]
# From here on a run that the prompt holds, too, was copied from there.
_ECHO = {"words": 5, "characters": 30}


class _Text(NamedTuple):
    """A text that was read: its numbers, what they stand for, and the digest of the file."""

    ids: Ints
    numbers: dict[str, int]
    digest: str


@dataclass(frozen=True, kw_only=True)
class VerbatimOverlap(MeanMetric):
    """How much of a text answers repeat verbatim: share of answers with a long run, or the mean longest run.

        share = Σ_i [run_i ≥ least] / n,  mean = Σ_i run_i / n

    run_i is the length of the longest common substring of answer i and the text: of words (in lower case, without
    punctuation) or of characters (white space made single). Stretches of 5 words (30 characters) or more that stand in
    the prompt are cut out of the answer first, for repeating what one was given is no memory. `where: start` counts
    only how much of the answer's beginning is that of a reference: with the prompt's true continuation as reference,
    the share is that of extractable passages. A run is evidence of memory only where nobody would write it by chance:
    formulas, quotations and lists are common property, and a text may stand in the training data more than once.

    Options:
        text: the text, a file of plain text from the suite's folder (default: the sample's references).
        unit: what is counted.
        where: any run of the answer, or its beginning against the beginning of a reference.
        measure: share of answers with a run of `least` or more, or the mean length of the longest run.
        least: from how many words or characters on a run is long.
        margin: up to where a probe's figure still counts as nothing found; no part of the figure.

    Source: Carlini et al. 2023 (arXiv 2202.07646), section 3 (`where: start`); Lee et al. 2022 (arXiv 2107.06499),
    section 4 for the longest substring; lengths equal difflib's `find_longest_match`.
    """

    text: str | None = None
    unit: Literal["words", "characters"] = "words"
    where: Literal["anywhere", "start"] = "anywhere"
    measure: Literal["share", "mean"] = "share"
    least: int = 20
    margin: float = 0.0

    name = "verbatim_overlap"
    higher_is_better = False
    scores_blank = False

    def __post_init__(self) -> None:
        require(self.least >= 1, f"least must be at least 1; got {self.least}")
        alone = self.text is None or self.where == "anywhere"
        require(alone, "where: start compares with the sample's references; remove text")
        object.__setattr__(self, "_read", None)
        object.__setattr__(self, "_recorded", None)

    @property
    def probe_finding(self) -> str | None:
        """Any share above 0 is a finding; a mean has no such line."""
        return "above_zero" if self.measure == "share" else None

    @property
    def interval(self) -> IntervalKind:  # type: ignore[override]
        """That of a share, or of a mean."""
        return "proportion" if self.measure == "share" else "mean"

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """Those of a share; a run may be of any length."""
        return (0.0, 1.0) if self.measure == "share" else (0.0, math.inf)

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """References, unless there is a text."""
        return NEEDS_REFERENCES if self.text is None else NEEDS_NOTHING

    def options(self) -> dict[str, Any]:
        """The options; in the place of a path stands the digest of the text."""
        own = {key: value for key, value in super().options().items() if key != "margin"}
        if self.text is not None:
            read: _Text | None = self._read  # type: ignore[attr-defined]
            recorded: str | None = self._recorded  # type: ignore[attr-defined]
            own["text"] = recorded or ("not-loaded" if read is None else read.digest)
        return own

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """(option, message) where the file cannot be read."""
        if self.text is not None:
            try:
                _read_text(base / self.text, self.text)
            except UsageError as error:
                yield "text", str(error)

    def for_run(self, *, base: Path, allow_code: bool = False) -> VerbatimOverlap:
        """With the text read, its path starting from `base`.

        Raises:
            UsageError: the file cannot be read, or holds no words.
        """
        if self.text is None or self._read is not None:  # type: ignore[attr-defined]
            return self
        found = replace(self)
        object.__setattr__(found, "_read", _numbered(_read_text(base / self.text, self.text), self.unit))
        return found

    def as_recorded(self, signature: str) -> VerbatimOverlap:
        """As the metric of a record with this signature: its rows are read without the text."""
        found = replace(self)
        parts = dict(part.partition(":")[::2] for part in signature.split("|")[1:])
        object.__setattr__(found, "_recorded", parts.get("text") if self.text is not None else None)
        return found

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        read: _Text | None = self._read  # type: ignore[attr-defined]
        if self.text is not None and read is None:
            raise UsageError(f"verbatim_overlap: the text {self.text!r} is not read yet; call for_run(base=…)")
        measured = [
            i
            for i, (sample, response) in enumerate(zip(samples, responses, strict=True))
            if response.status not in FAILED_STATES and (read is not None or golds(sample))
        ]
        numbers = {} if read is None else dict(read.numbers)
        answers = [self._own_words(samples[i].prompt, responses[i], numbers) for i in measured]
        if read is not None:
            found = [int(runs.max(initial=0)) for runs in common_runs(answers, read.ids)]
        else:
            found = [self._of_references(samples[i], a, numbers) for i, a in zip(measured, answers, strict=True)]
        values: list[float | None] = [None] * len(samples)
        for i, run in zip(measured, found, strict=True):
            values[i] = float(run >= self.least) if self.measure == "share" else float(run)
        return values

    def _own_words(self, prompt: Prompt, response: Response, numbers: dict[str, int]) -> Ints:
        """The answer's words as numbers; −1 where they are copied from the prompt."""
        answer = _ids(answer_text(response) or response.text or "", self.unit, numbers)
        if self.where == "start":
            return answer
        given = _ids(_text_of(prompt), self.unit, numbers)
        runs = common_runs([answer], given)[0]
        copied = np.zeros(answer.size, dtype=bool)
        for end in np.flatnonzero(runs >= _ECHO[self.unit]).tolist():
            copied[end + 1 - int(runs[end]) : end + 1] = True
        return np.where(copied, -1, answer)

    def _of_references(self, sample: Sample, answer: Ints, numbers: dict[str, int]) -> int:
        longest = 0
        for gold in golds(sample):
            reference = _ids(gold, self.unit, numbers)
            if self.where == "anywhere":
                run = int(common_runs([answer], reference)[0].max(initial=0))
            else:
                n = min(answer.size, reference.size)
                run = int(np.argmin(np.append(answer[:n] == reference[:n], False)))
            longest = max(longest, run)
        return longest


def _items(text: str, unit: Unit) -> Sequence[str]:
    return unicode_words(text) if unit == "words" else " ".join(text.split())


def _ids(text: str, unit: Unit, numbers: dict[str, int]) -> Ints:
    """The words or characters of `text` as numbers; new ones are added to `numbers`."""
    return np.array([numbers.setdefault(item, len(numbers)) for item in _items(text, unit)], dtype=np.int64)


@lru_cache(maxsize=4)
def _numbered(text: str, unit: Unit) -> _Text:
    numbers: dict[str, int] = {}
    ids = _ids(text, unit, numbers)
    return _Text(ids, numbers, sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16])


def _text_of(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)


def _read_text(path: Path, shown: str) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"text: the file {shown!r} cannot be read as UTF-8 text: {reason}") from None
    if not text.strip():
        raise UsageError(f"text: the file {shown!r} is empty; give the text that must not be repeated")
    return text
