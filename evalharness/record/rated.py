"""What people said of one run, as its report needs it: pairs with other runs seen from this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .plain import has_registry, plain_rows
from .ratings import Rating

__all__ = ["ratings_of"]


def ratings_of(run_id: str, reports: Path, *, url: str | None = None) -> tuple[Rating, ...]:
    """The ratings of the run in its registry, in the order they were given; none where there is no registry.

    Where two runs were compared, the outputs of this one bear the names of their models, those of the other one
    MODEL@RUN_ID, whichever of the two the rating is stored with.

    Raises:
        EvalHarnessError: if there is a registry and it cannot be read.
    """
    if not has_registry(reports, url) or plain_rows(reports, url, "SELECT 1 FROM ratings LIMIT 1", {}) == []:
        return ()
    from .registry import RunRegistry

    with RunRegistry.open(url, reports=reports) as registry:
        own = registry.ratings(run_id=run_id)
        there = [r for r in registry.ratings(question="pairwise") if (r.against or "").endswith(f"@{run_id}")]
    return (*own, *(_from_here(rating, run_id) for rating in there if rating.run_id != run_id))


def _from_here(rating: Rating, run_id: str) -> Rating:
    here = (rating.against or "").removesuffix(f"@{run_id}")
    there = f"{rating.model}@{rating.run_id}"
    names = {rating.model: there, rating.against: here}
    return replace(rating, run_id=run_id, model=here, against=there, label=names.get(rating.label, rating.label))
