"""What raters are asked, and the answers that they may give, each with its key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..core.errors import UsageError
from ..record.ratings import RatingKind

__all__ = ["Choice", "Question", "label_question", "pair_question", "scale_question"]

# One key an answer: what needs two keystrokes or the mouse is slow, and a scale of more points is not told apart.
_KEYS: Final = "1234567890x"
_SCALE: Final = re.compile(r"\s*([+-]?\d{1,9})\s*(?:-|–|\.\.|:)\s*([+-]?\d{1,9})\s*")


class Choice(NamedTuple):
    """One answer: the key that gives it, its code in the page's requests, its text, and what else is said of it."""

    key: str
    code: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about each output, or each pair of outputs, and its possible answers."""

    kind: RatingKind
    asked: str
    choices: tuple[Choice, ...]

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the answers."""
        return frozenset(choice.code for choice in self.choices)


def scale_question(scale: str, asked: str | None = None) -> Question:
    """A question answered by a whole number of a scale such as `1-5`; the larger, the better.

    Raises:
        UsageError: if `scale` is none, or has more points than there are keys.
    """
    match = _SCALE.fullmatch(scale)
    low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if low >= high:
        raise UsageError(f"--scale {scale!r} is no scale: write its least and its greatest whole number, as in 1-5")
    values = range(low, high + 1)
    if len(values) > len(_KEYS):
        raise UsageError(
            f"--scale {scale!r} has {len(values):,} points, and there is a key for {len(_KEYS)} at most; take fewer"
        )
    # Digits are their own keys where they can be: 0 is 0 on a scale from 0.
    keys = [str(v) for v in values] if low >= 0 and high <= 9 else list("0123456789x" if low == 0 else _KEYS)
    hints = {low: "worst", high: "best"}
    choices = tuple(Choice(key, str(v), str(v), hints.get(v, "")) for key, v in zip(keys, values, strict=False))
    return Question("scale", _words(asked, "How good is this answer?"), choices)


def label_question(labels: str, asked: str | None = None) -> Question:
    """A question answered by one of the labels in `labels`, which commas separate.

    Raises:
        UsageError: if there are fewer than two, more than there are keys, or the same one twice.
    """
    names = [name.strip() for name in labels.split(",")]
    if len(names) < 2 or not all(names):
        raise UsageError(f"--labels {labels!r}: write two labels or more, separated by commas, as in good,bad")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"--labels {labels!r}: {twice!r} stands there twice; labels must differ")
    if len(names) > len(_KEYS) - 1:
        raise UsageError(f"--labels has {len(names)} labels, and there is a key for {len(_KEYS) - 1} at most")
    choices = tuple(Choice(key, name, name) for key, name in zip(_KEYS, names, strict=False))
    return Question("label", _words(asked, "Which label fits this answer?"), choices)


def pair_question(asked: str | None = None) -> Question:
    """A question answered by the better one of two outputs, A or B, or by neither."""
    choices = (Choice("1", "a", "A is better"), Choice("2", "tie", "About the same"), Choice("3", "b", "B is better"))
    return Question("pairwise", _words(asked, "Which answer is better?"), choices)


def _words(asked: str | None, default: str) -> str:
    return " ".join(asked.split()) if asked and asked.strip() else default
