"""Where a metric finds what it compares: in the row, in the answer, or in what a model's answer brought along.

A place is a word and perhaps a path: `row.documents`, `meta.sources.id`, `answer`, `answer.citations`, `references`,
`target`, `prompt`. A path goes down mappings by key and lists by number; a key on a list is looked up in each of its
items. A path into the answer reads it as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion
from evalharness.core.types import FAILED_STATES, Prompt, Response, Sample

from .base import MetricOptionError, answer_text, golds

__all__ = ["Place", "absent_everywhere", "items_of", "parse_place", "texts_of"]

ROOTS = ("row", "meta", "answer", "references", "target", "prompt")
_WITHOUT_PATH = ("references", "target", "prompt")
# Under these keys the text of a passage stands in most answers of retrievers.
_TEXT_KEYS = ("text", "content", "page_content", "passage")


class _Nothing:
    """What stands where nothing does."""


_NOTHING = _Nothing()


class Place(NamedTuple):
    """A word of `ROOTS` and the steps below it."""

    root: str
    path: tuple[str, ...]
    written: str

    def found(self, sample: Sample, response: Response) -> Any:
        """What stands there; None where nothing does.

        Raises:
            UsageError: the row has no such column, or the answer is no JSON where a path leads into it.
        """
        if self.root == "row":
            first = self.path[0]
            if first not in sample.fields:
                near = suggestion(first, sample.fields) or f"; it has: {', '.join(list(sample.fields)[:20]) or 'none'}"
                raise UsageError(f"sample {sample.id!r}: {self.written}: the row has no column {first!r}{near}")
            return _none(_below(sample.fields, self.path))
        if response.status in FAILED_STATES and self.root in ("meta", "answer"):
            return None
        if self.root == "meta":
            return _none(_below(response.meta, self.path))
        if self.root == "answer":
            text = answer_text(response)
            return _none(_below(_json(text), self.path)) if self.path else text
        if self.root == "references":
            return list(golds(sample))
        return sample.target if self.root == "target" else _prompt_text(sample.prompt)


def parse_place(text: str, *, option: str) -> Place:
    """The place that `text` names.

    Raises:
        MetricOptionError: it names none.
    """
    root, *path = [step.strip() for step in text.split(".")]
    if root not in ROOTS:
        near = suggestion(root, ROOTS) or f"; it begins with one of: {', '.join(ROOTS)}"
        raise MetricOptionError(f"{option}: {text!r} is no place{near}")
    if not all(path) or (root in ("row", "meta") and not path):
        raise MetricOptionError(f"{option}: {text!r} needs a name after {root}, such as {root}.documents")
    if path and root in _WITHOUT_PATH:
        raise MetricOptionError(f"{option}: {text!r}: nothing stands below {root}; write {root}")
    return Place(root, tuple(path), text)


def _below(value: Any, path: Sequence[str]) -> Any:
    for depth, step in enumerate(path):
        if isinstance(value, Mapping):
            value = value.get(step, _NOTHING)
        elif isinstance(value, list | tuple):
            if step.lstrip("-").isdigit():
                place = int(step)
                value = value[place] if -len(value) <= place < len(value) else _NOTHING
            else:
                found = [_below(item, path[depth:]) for item in value]
                return [item for item in found if item is not _NOTHING] if value else []
        else:
            return _NOTHING
    return value


def _none(value: Any) -> Any:
    return None if value is _NOTHING else value


def _json(text: str) -> Any:
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json").strip()
    try:
        return json.loads(bare)
    except ValueError:
        return _NOTHING


def _prompt_text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n\n".join(message.content for message in prompt)


def items_of(value: Any, *, place: Place, sample: Sample) -> list[str]:
    """`value` as a list of names or numbers, in order: a list, JSON of one, or a text with one in each line.

    Raises:
        UsageError: it holds mappings, whose key the place should name.
    """
    if value is None:
        return []
    if isinstance(value, str):
        read = _json(value) if value.lstrip().startswith(("[", "```")) else _NOTHING
        if not isinstance(read, list):
            return [line.strip() for line in value.splitlines() if line.strip()]
        value = read
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    found: list[str] = []
    if not isinstance(value, list | tuple):
        value = [value]
    for item in value:
        if isinstance(item, list | tuple):
            found += items_of(item, place=place, sample=sample)
        elif isinstance(item, Mapping):
            keys = ", ".join(map(str, item)) or "none"
            raise UsageError(
                f"sample {sample.id!r}: {place.written} holds mappings, not names; name the key that tells them apart, "
                f"such as {place.written}.id; they have: {keys}"
            )
        elif item is not None and _word(item):
            found.append(_word(item))
    return found


def texts_of(value: Any, *, place: Place, sample: Sample) -> list[str]:
    """`value` as a list of passages: one text, a list of them, or mappings with a text in each.

    Raises:
        UsageError: its items are mappings in which no text is known.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    found: list[str] = []
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, list | tuple):
            found += texts_of(item, place=place, sample=sample)
        elif isinstance(item, Mapping):
            text = next((item[key] for key in _TEXT_KEYS if isinstance(item.get(key), str)), None)
            if text is None:
                raise UsageError(
                    f"sample {sample.id!r}: {place.written} holds mappings without a text under "
                    f"{', '.join(_TEXT_KEYS)}; name the key: {place.written}.KEY; they have: "
                    f"{', '.join(map(str, item)) or 'none'}"
                )
            found += [text] if text.strip() else []
        elif item is not None and _word(item):
            found.append(_word(item))
    return found


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value).strip()


def absent_everywhere(name: str, place: Place, values: Sequence[Any], responses: Sequence[Response]) -> None:
    """Raise where no answer of many has anything at `place`, which is a slip in the place's name.

    A single one without it has found nothing, which counts.
    """
    came = [place for place, response in enumerate(responses) if response.status not in FAILED_STATES]
    if place.root != "meta" or not came or any(values[index] is not None for index in came):
        return
    has = sorted({key for index in came[:100] for key in responses[index].meta})
    near = suggestion(place.path[0], has) or f"; they have: {', '.join(has) or 'nothing'}"
    raise UsageError(
        f"{name}: none of {len(came)} answers has anything at {place.written}{near}; a model of the backend http keeps "
        "parts of its answers under `keep`, a python one returns them beside `text`"
    )
