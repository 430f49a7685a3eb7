"""One rater's place: the items in this rater's order, what was said of them, and the way back.

A desk talks to the database and blocks; the server asks it from one thread. What it returns is JSON for the page, in
which no model, run or sample is named, and in which no text can act.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any, Final

from ..core.errors import UsageError
from ..core.types import Prompt
from ..core.visible import safe
from ..record import Rating, RunRegistry
from .deck import Deck

__all__ = ["MAX_COMMENT", "Desk", "check_earlier", "rater_name"]

MAX_COMMENT: Final = 10_000
_MAX_NAME: Final = 80


def rater_name(text: str) -> str:
    """A rater's name, with blanks and accents in one form.

    Raises:
        UsageError: if it is empty, too long, or has characters that cannot be seen.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise UsageError(
            f"{text[:_MAX_NAME]!r} is no name of a rater: write 1 to {_MAX_NAME} characters that can be seen"
        )
    return name


def check_earlier(registry: RunRegistry, deck: Deck) -> None:
    """Refuse to go on with a question whose ratings so far were on another scale, or had other labels.

    Raises:
        UsageError: naming one of them.
    """
    for rating in _earlier(registry, deck, rater=None):
        if deck.question.kind != "pairwise" and (code := deck.code(rating, 0)) not in {None, *deck.question.codes}:
            offered = ", ".join(choice.text for choice in deck.question.choices)
            raise UsageError(
                f"{rating.rater} answered {deck.question.asked!r} with {code}, which is not among {offered}: use the "
                f"scale or the labels of before, or ask in other words (--question)"
            )


class Desk:
    """The items of `deck` as `rater` meets them; every change is in the registry before it is acknowledged."""

    def __init__(self, deck: Deck, registry: RunRegistry, rater: str, *, show_reference: bool = False) -> None:
        self.rater = rater
        self._deck = deck
        self._registry = registry
        self._show_reference = show_reference
        self._order = deck.order(rater)
        self._positions = {self._identity(index): position for position, index in enumerate(self._order)}
        self._ratings: dict[int, Rating] = {}
        self._before: list[tuple[int, Rating | None]] = []
        self.load()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def n_rated(self) -> int:
        """How many of the items have an answer."""
        return sum(rating.is_answered for rating in self._ratings.values())

    def load(self) -> None:
        """Read the rater's ratings anew: another page or process may have added some."""
        earlier = _earlier(self._registry, self._deck, rater=self.rater)
        places = ((self._positions.get(rating.identity), rating) for rating in earlier)
        self._ratings = {position: rating for position, rating in places if position is not None}

    def state(self) -> dict[str, Any]:
        """Where the rater stands: `marks` has a 1 for each item with an answer, else a 0."""
        answered = {position for position, rating in self._ratings.items() if rating.is_answered}
        marks = "".join("1" if position in answered else "0" for position in range(len(self)))
        return {"rater": self.rater, "marks": marks}

    def view(self, position: int) -> dict[str, Any]:
        """An item to be shown, and what the rater said of it so far."""
        shown = self._deck.shown(self.rater, self._order[position])
        references = shown[0].references if self._show_reference else ()
        return {
            "position": position,
            "prompt": _turns(shown[0].prompt),
            "answers": [safe(output.text) for output in shown],
            "references": [safe(text) for text in references],
            **self._said(position),
        }

    def answer(self, position: int, code: str | None, comment: str) -> dict[str, Any]:
        """Store an answer and a comment in place of what was said of the item; neither of them takes it back.

        Raises:
            UsageError: for an answer that is none of the question's, or a comment that is too long.
        """
        if code is not None and code not in self._deck.question.codes:
            raise UsageError(f"{code!r} is not an answer to this question")
        if len(comment) > MAX_COMMENT:
            raise UsageError(
                f"the comment has {len(comment):,} characters, and {MAX_COMMENT:,} is the most; shorten it"
            )
        before = self._ratings.get(position)
        given = self._deck.rating(self.rater, self._order[position], code, comment.strip())
        wanted = given if given.is_answered or given.comment else None
        if wanted != _untimed(before):
            self._put(position, wanted)
            self._before.append((position, before))
        return self._said(position)

    def undo(self) -> dict[str, Any] | None:
        """Put back what was said before the rater's last change of this sitting; None if there is none."""
        if not self._before:
            return None
        position, before = self._before[-1]
        # It is given again, now: a rating's time is when it was decided on.
        self._put(position, _untimed(before))
        self._before.pop()
        return self.view(position)

    def _put(self, position: int, rating: Rating | None) -> None:
        if rating is not None:
            (self._ratings[position],) = self._registry.add_ratings([rating])
        elif (gone := self._ratings.get(position)) is not None:
            self._registry.withdraw_ratings([gone])
            del self._ratings[position]

    def _said(self, position: int) -> dict[str, Any]:
        rating = self._ratings.get(position)
        code = None if rating is None else self._deck.code(rating, self._order[position])
        return {"choice": code, "comment": "" if rating is None else rating.comment}

    def _identity(self, index: int) -> tuple[object, ...]:
        return self._deck.rating(self.rater, index, None, "").identity


def _earlier(registry: RunRegistry, deck: Deck, *, rater: str | None) -> list[Rating]:
    """The ratings so far of the deck's question."""
    question = deck.question
    return [
        rating
        for run_id in sorted({item.key.contestant.run_id for item in deck.items})
        for rating in registry.ratings(
            run_id=run_id, task=deck.outputs.task, rater=rater, question=question.kind, asked=question.asked
        )
    ]


def _untimed(rating: Rating | None) -> Rating | None:
    return None if rating is None else replace(rating, created_utc="")


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    """A prompt as turns; one that is no chat is a single turn without a role."""
    if isinstance(prompt, str):
        return [{"role": "", "text": safe(prompt)}]
    return [{"role": safe(turn.role), "text": safe(turn.content)} for turn in prompt]
