"""Our answers and golds in the columns that a module of evaluate asks for, and the figure in what it returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evalharness.core.errors import UsageError

__all__ = ["Document", "columns", "figure"]

_UNKNOWN_LABEL = -1


class Document(NamedTuple):
    """One answer with what it is compared with; `prompt` is "" where it was a chat."""

    answer: str
    golds: tuple[str, ...]
    prompt: str


class _Unreadable(ValueError):
    """An answer that should be a number and is none."""


def columns(module: Any, documents: Sequence[Document], labels: Sequence[str]) -> dict[str, list[Any]]:
    """The inputs of `module.compute` for `documents`.

    What a column holds is what the module's features say: texts as they are; whole numbers for labels, by their place
    in `labels` (−1 for an answer that is none of them); numbers read from the text. Documents whose number cannot be
    read are left out.

    Raises:
        UsageError: the module wants inputs that we do not have, or one reference where a sample has several.
    """
    features = module.features
    options = features if isinstance(features, list) else [features]
    fault: UsageError | None = None
    for option in options:
        try:
            return _filled(module.name, option, documents, labels)
        except UsageError as error:
            fault = fault or error
    assert fault is not None
    raise fault


def _filled(
    name: str, features: Mapping[str, Any], documents: Sequence[Document], labels: Sequence[str]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [] for key in features}
    for document in documents:
        try:
            row = {key: _value(name, key, feature, document, labels) for key, feature in features.items()}
        except _Unreadable:
            continue
        for key, value in row.items():
            found[key].append(value)
    return found


def _value(name: str, key: str, feature: Any, document: Document, labels: Sequence[str]) -> Any:
    inner = _inner(feature)
    if key in ("predictions", "data"):
        if inner is not None:
            raise UsageError(f"evaluate: the module {name!r} takes lists as {key}, such as tokens; answers are texts")
        return _scalar(name, key, feature, document.answer, labels)
    if key == "references":
        if not document.golds:
            raise UsageError(f"evaluate: the module {name!r} compares with references; leave out `against: nothing`")
        if inner is not None:
            return [_scalar(name, key, inner, gold, labels) for gold in document.golds]
        if len(document.golds) > 1:
            raise UsageError(
                f"evaluate: the module {name!r} takes one reference a sample, and there are {len(document.golds)}; "
                "give the task one reference"
            )
        return _scalar(name, key, feature, document.golds[0], labels)
    if key == "sources" and inner is None:
        return document.prompt
    raise UsageError(f"evaluate: the module {name!r} needs the input {key!r}, which a suite cannot give")


def _inner(feature: Any) -> Any:
    """What a list is of; None for what is none."""
    if isinstance(feature, list | tuple):
        return feature[0]
    return getattr(feature, "feature", None)


def _scalar(name: str, key: str, feature: Any, text: str, labels: Sequence[str]) -> Any:
    dtype = getattr(feature, "dtype", None)
    if not isinstance(dtype, str) or isinstance(feature, Mapping):
        raise UsageError(f"evaluate: the module {name!r} takes {key} that are no texts, labels or numbers: {feature}")
    if dtype in ("string", "large_string"):
        # Arrow holds no lone surrogates.
        return text.encode("utf-8", "replace").decode() if not text.isascii() else text
    if dtype.startswith(("int", "uint")):
        return _label(text, labels)
    if dtype.startswith("float"):
        try:
            value = float(text.strip())
        except ValueError:
            raise _Unreadable from None
        if not math.isfinite(value):
            raise _Unreadable
        return value
    raise UsageError(f"evaluate: the module {name!r} takes {key} of type {dtype}, which a text is not")


def _label(text: str, labels: Sequence[str]) -> int:
    if text in labels:
        return labels.index(text)
    try:
        return int(text.strip()) if not labels else _UNKNOWN_LABEL
    except ValueError:
        return _UNKNOWN_LABEL


def figure(name: str, output: Any, key: str | None) -> float:
    """The number under `key` in what a module returned; a list of numbers is averaged, and None is NaN.

    Raises:
        UsageError: there is no such number, or several and no `key`.
    """
    if not isinstance(output, Mapping):
        output = {name: output}
    if key is None:
        numbers = [each for each, value in output.items() if _number(value) is not None]
        if len(numbers) != 1:
            raise UsageError(
                f"evaluate: the module {name!r} returns {', '.join(map(repr, output)) or 'nothing'}; say which one is "
                f"the figure with the option key"
            )
        key = str(numbers[0])
    value: Any = output
    for step in [key] if key in output else key.split("."):
        if not isinstance(value, Mapping) or step not in value:
            raise UsageError(
                f"evaluate: the module {name!r} returns no {key!r}; it returns: {', '.join(map(repr, output))}"
            )
        value = value[step]
    found = _number(value)
    if found is None:
        raise UsageError(f"evaluate: {key!r} of the module {name!r} is no number but {type(value).__name__}")
    return found


def _number(value: Any) -> float | None:
    if value is None:
        return math.nan
    if isinstance(value, bool | str | Mapping):
        return None
    if hasattr(value, "tolist"):  # numpy and torch
        value = value.tolist()
    if isinstance(value, list | tuple):
        parts = [_number(part) for part in value]
        known = [part for part in parts if part is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(parts) else None
    return float(value) if isinstance(value, int | float) else None
