"""Which examples stand before a question."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from evalharness.core.errors import UsageError
from evalharness.core.types import Row

from .schema import FewShot

__all__ = ["drawer"]


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
    # By the number of the order alone: the same places change for every row.
    return examples[::-1] if order == 1 else random.Random(f"order/{order}").sample(examples, len(examples))
