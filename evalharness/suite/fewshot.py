"""Which examples stand before a question."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from math import factorial

from evalharness.core.errors import UsageError
from evalharness.core.types import Row

from .schema import FewShot

__all__ = ["drawer"]

# Of more examples there are more orders than anybody asks for.
_MANY = 8


def drawer(
    spec: FewShot, pool: Sequence[Row], *, same_dataset: bool, id_of: Callable[[str], str] | None = None
) -> Callable[[Row], list[Row]]:
    """A function that gives the examples of a row, never the row itself where `pool` is the task's own dataset.

    `id_of` gives the id of the row in its dataset, where it was rewritten: all variants of a row have its examples.

    A seeded draw for a row depends on the seed and the row's id alone: not on the order, the number or the limit of
    the rows that are asked. Random state is local, from the text "seed/id".

    Raises:
        UsageError: if the pool is too small.
    """
    # One more is drawn than needed, to stand in for the row itself.
    needed = spec.n + 1 if same_dataset else spec.n
    if len(pool) < needed:
        besides = " besides the question itself" if same_dataset else ""
        raise UsageError(
            f"few_shot asks for {spec.n} examples{besides}, and the dataset {spec.dataset!r} has {len(pool)} rows; "
            "lower few_shot.n"
        )
    if spec.draw == "first":
        fixed = list(pool[:needed])
    elif spec.draw == "once":
        fixed = random.Random(str(spec.seed)).sample(list(pool), needed)
    else:
        fixed = []
    indexes = range(len(pool))

    def draw(row: Row) -> list[Row]:
        own = row.id if id_of is None else id_of(row.id)
        drawn = fixed or [pool[i] for i in random.Random(f"{spec.seed}/{own}").sample(indexes, needed)]
        others = [example for example in drawn if not (same_dataset and example.id == own)]
        return _ordered(others[: spec.n], spec.order)

    return draw


def _ordered(examples: list[Row], order: int) -> list[Row]:
    if order == 0:
        return examples
    return [examples[place] for place in _order(len(examples), order)]


@cache
def _order(n: int, order: int) -> tuple[int, ...]:
    """The places of `n` examples in the order of that number: none twice, as far as there are so many.

    By the number alone: the same places change for every row. 0 is theirs, 1 the reverse, others are shuffled.
    """
    if order < 2:
        return tuple(range(n))[:: -1 if order else 1]
    known = {_order(n, other) for other in range(order)}
    draw = random.Random(f"order/{order}")
    found = tuple(draw.sample(range(n), n))
    while found in known and len(known) < factorial(min(n, _MANY)):
        found = tuple(draw.sample(range(n), n))
    return found
