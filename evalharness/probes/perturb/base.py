"""What the perturbations share: the shape, where chance comes from, and how much of a text may change.

A perturbation is a frozen dataclass whose fields are its options. It rewrites one text, drawing from a generator that
the seed, the row and its own name make: the order of the rows, their number and other perturbations change nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeVar

from evalharness.core.errors import UsageError

__all__ = ["Perturbation", "PerturbationError", "chosen", "generator", "require", "require_rate"]

T = TypeVar("T")


class PerturbationError(UsageError, ValueError):
    """An option of a perturbation is wrong; also a `ValueError`, so that pydantic reports it at its place."""


class Perturbation(Protocol):
    """A way to rewrite a text that leaves its meaning (or, for negation, turns it round)."""

    name: ClassVar[str]
    main: ClassVar[str]
    """The option that `{case: upper}` sets, in short."""
    keeps_meaning: ClassVar[bool]

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        """The text rewritten; None where there is nothing in it to rewrite."""
        ...


def generator(seed: int, *names: str) -> random.Random:
    """Chance that depends on the seed and the names (row, field, perturbation) alone."""
    # Each name is quoted: rows "a/b" + "c" and "a" + "b/c" are two.
    return random.Random("/".join([str(seed), *map(repr, names)]))


def chosen(candidates: Sequence[T], rate: float, rng: random.Random) -> list[T]:
    """Some of `candidates`, in their order: the share `rate` of them, rounded, and at least one where there is one."""
    if not candidates:
        return []
    n = max(1, round(rate * len(candidates)))
    return [candidates[i] for i in sorted(rng.sample(range(len(candidates)), n))]


def require(condition: bool, message: str) -> None:
    """Raise a `PerturbationError` with `message` unless `condition` holds."""
    if not condition:
        raise PerturbationError(message)


def require_rate(rate: float) -> None:
    """Raise a `PerturbationError` unless 0 < rate <= 1."""
    require(0 < rate <= 1, f"rate must be above 0 and at most 1; got {rate!r}")
