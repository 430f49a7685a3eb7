"""From values of the data to the texts that are compared: labels, references, choices, turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalharness.core.canonical import canonical_json
from evalharness.core.errors import UsageError
from evalharness.core.types import Message

__all__ = ["as_text", "as_texts", "as_turns", "label_text", "right_choice"]

_ROLES = ("system", "user", "assistant", "tool")


def as_text(value: Any, *, known: Sequence[str] = ()) -> str:
    """`value` as a label or a gold text: 3 is "3", 3.0 is "3" (a column of integers with gaps), true is "true".

    Where the label set `known` spells it otherwise ("True", "3.0"), its spelling is taken.

    Raises:
        UsageError: for null, lists and mappings, which are not one text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return _spelled(str(value).lower(), str(value), known)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return _spelled(str(int(value)), str(value), known)
    if isinstance(value, int | float):
        return str(value)
    raise UsageError(f"must be a text, a number or a boolean, but is {_shown(value)}")


def _spelled(usual: str, other: str, known: Sequence[str]) -> str:
    return other if other in known and usual not in known else usual


def as_texts(value: Any) -> tuple[str, ...]:
    """A list of texts; one text is a list of one.

    Raises:
        UsageError: if there is none, or something that is not text.
    """
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise UsageError("the list is empty; where no answer is right, give an empty text: {{ answers or [''] }}")
    return tuple(as_text(item) for item in values)


def label_text(value: Any, labels: Sequence[str]) -> str:
    """The gold label: a text, or an index into `labels` where these are known; several become a sorted JSON list.

    The list is the form in which multi-label classifiers answer: `["anger","joy"]`.

    Raises:
        UsageError: if `labels` are known and the label is none of them.
    """
    if isinstance(value, list | tuple):
        return canonical_json(sorted(label_text(item, labels) for item in value))
    return right_choice(value, labels) if labels else as_text(value)


def right_choice(value: Any, choices: Sequence[str]) -> str:
    """The choice that `value` names: by its text, or by its index from 0.

    Raises:
        UsageError: if it is neither, or both of two different choices.
    """
    text = as_text(value, known=choices)
    index = _index(value, text)
    by_index = choices[index] if index is not None and 0 <= index < len(choices) else None
    if text in choices:
        if by_index is not None and by_index != text and not isinstance(value, str | bool):
            raise UsageError(
                f"{text} is both a choice and the index of {by_index!r}; "
                f"say which: {{{{ … | string }}}} for the text, {{{{ choices[…] }}}} for the index"
            )
        return text
    if by_index is not None:
        return by_index
    raise UsageError(f"{_shown(value)} is none of {_listed(choices)}, nor an index from 0 to {len(choices) - 1}")


def _index(value: Any, text: str) -> int | None:
    if isinstance(value, bool):
        return int(value)
    # int() takes more than digits (" 1_0 "), which no index is written with.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def as_turns(value: Any) -> tuple[Message, ...]:
    """A history from the data: a list of mappings with role and content.

    Raises:
        UsageError: if it is anything else.
    """
    if not isinstance(value, list | tuple):
        raise UsageError(f"a history must be a list of {{role, content}} turns, but is {_shown(value)}")
    return tuple(_turn(index, turn) for index, turn in enumerate(value))


def _turn(index: int, turn: Any) -> Message:
    if not isinstance(turn, Mapping) or "role" not in turn or "content" not in turn:
        raise UsageError(f"turn {index} of the history must have role and content, but is {_shown(turn)}")
    if turn["role"] not in _ROLES:
        raise UsageError(f"turn {index} of the history has the role {turn['role']!r}; it must be {', '.join(_ROLES)}")
    if not isinstance(turn["content"], str):
        raise UsageError(f"turn {index} of the history: content must be text, but is {_shown(turn['content'])}")
    return Message(turn["role"], turn["content"])


def _listed(choices: Sequence[str]) -> str:
    shown = ", ".join(repr(choice[:40]) for choice in choices[:8])
    return f"the choices {shown}{' …' if len(choices) > 8 else ''}"


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
