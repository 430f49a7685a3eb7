"""What a method of explanation is: a frozen dataclass whose fields are its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from evalharness.core.errors import UsageError
from evalharness.core.types import Json
from evalharness.stats.arrays import Bools, Floats, np

from .game import Game

__all__ = ["Attribution", "Method", "check_at_least", "ends"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a method finds: `values` (n_players, n_outputs), and `base` and `full` (n_outputs,)."""

    values: Floats
    base: Floats
    full: Floats
    meta: Mapping[str, Json] = field(default_factory=dict)


@runtime_checkable
class Method(Protocol):
    """A way to divide the value of a text among its players; options are the fields of the dataclass."""

    name: ClassVar[str]
    description: ClassVar[str]

    def attribute(self, game: Game) -> Attribution:
        """The value of each player of `game`.

        Raises:
            GameError: the game cannot be played, or not in this way.
        """
        ...


def ends(game: Game) -> tuple[Floats, Floats]:
    """The outputs (n_outputs,) with every player masked, and with none."""
    n = len(game.tokens)
    both: Bools = np.stack([np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)])
    found = game.value(both)
    return found[0], found[1]


def check_at_least(method: str, least: float, **options: float | None) -> None:
    """Raise a `UsageError` for an option that is no number, or below `least`; None passes.

    Where `least` is a whole number, so must the options be.
    """
    kinds = (int,) if isinstance(least, int) else (int, float)
    for name, given in options.items():
        if given is None:
            continue
        if not isinstance(given, kinds) or isinstance(given, bool) or not given >= least:
            what = "a whole number of at least" if isinstance(least, int) else "a number of at least"
            raise UsageError(f"explain: {method}: {name} must be {what} {least:g}; got {given!r}")
