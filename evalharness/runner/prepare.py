"""All that is known of a run before anything is asked: the suite, its rows, its models and their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.spool import Joined
from evalharness.core.types import Json, Request

from .batch_run import refuse_likelihoods
from .build import load_datasets, load_metrics, make_models
from .occasion import of_model, of_tasks
from .prices import Tariff, price_problems, tariff_of

if TYPE_CHECKING:
    from evalharness.core.protocols import Model
    from evalharness.data.load import LoadedDataset
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.plan import Plan, PlannedTask
    from evalharness.suite.schema import Suite

    from .judged import Judgements
    from .lm_eval_plan import LmEvalWork
    from .occasion import Occasion

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A suite that is ready to be asked; its models are made but not opened."""

    loaded: LoadedSuite
    datasets: Mapping[str, LoadedDataset]
    models: Mapping[str, Model]
    identities: Mapping[str, Mapping[str, Json]]
    plan: Plan
    bridged: Sequence[LmEvalWork]
    tariff: Tariff
    judgements: Judgements

    @property
    def suite(self) -> Suite:
        """The suite itself."""
        return self.loaded.suite

    @property
    def tasks(self) -> list[PlannedTask]:
        """Each task on each of its models, those of lm-eval last."""
        return [*self.plan.tasks, *(planned for work in self.bridged for planned in work.planned)]

    @property
    def requests(self) -> Sequence[Request]:
        """The requests of all tasks, in their order."""
        return Joined(planned.requests for planned in self.tasks)


def prepare(
    suite: str | Path | LoadedSuite,
    *,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    allow_code: bool = False,
    environ: Mapping[str, str] | None = None,
    begin: Callable[[Suite], None] | None = None,
    occasion: Occasion | None = None,
) -> Prepared:
    """Load and check the suite file, read its data and plan its requests; arguments as those of `run`.

    `begin` is called once the suite is known to be right, before its data is read.

    Raises:
        UsageError: the suite, its data or its settings are wrong.
    """
    from evalharness.core.errors import UsageError
    from evalharness.suite.batches import batch_problems
    from evalharness.suite.check import check_plan, check_references
    from evalharness.suite.expand import expand_probes
    from evalharness.suite.judges import models_in_use
    from evalharness.suite.judgings import judges_of
    from evalharness.suite.load import load_suite
    from evalharness.suite.plan import make_plan
    from evalharness.suite.stop_check import stop_problems

    from .explain_options import option_problems
    from .lm_eval_plan import lm_eval_problems, plan_lm_eval

    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}: it is the number of samples of each task, 1 or more")
    read = load_suite(suite, overrides=overrides) if isinstance(suite, str | Path) else suite
    if occasion is not None:
        read = of_model(read, occasion.model)
    loaded, more = expand_probes(read)
    if occasion is not None:
        loaded = of_tasks(loaded, occasion.tasks)
    more += [*lm_eval_problems(loaded), *price_problems(loaded, environ)]
    more += [*batch_problems(loaded), *stop_problems(loaded), *option_problems(loaded)]
    check_references(loaded, environ=environ, more=more)
    if begin is not None:
        begin(loaded.suite)
    datasets = load_datasets(loaded)
    models = make_models(
        loaded.suite, base=loaded.base, allow_code=allow_code, environ=environ, only=models_in_use(loaded.suite)
    )
    identities = {key: model.identity() for key, model in models.items()}
    plan = make_plan(
        loaded.suite,
        {key: dataset.rows for key, dataset in datasets.items()},
        identities,
        base=loaded.base,
        limit=limit,
        place_of=loaded.place_of,
    )
    if occasion is not None:
        plan = occasion.slice_of(plan)
    check_plan(loaded, plan)
    load_metrics(loaded, allow_code=allow_code)
    judgements: Judgements = {}
    if judges_of(loaded.suite):
        from .judging import judgements_of

        judgements = judgements_of(loaded, plan.tasks, identities, limit=limit)
    bridged = plan_lm_eval(loaded, models, identities, limit=limit, allow_code=allow_code)
    ready = Prepared(loaded, datasets, models, identities, plan, bridged, tariff_of(loaded, environ), judgements)
    refuse_likelihoods(loaded.suite, ready.tasks)
    return ready
