"""Puts a suite's parts together: its rows, its models, its figures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.errors import DataError, Problem, SuiteError, UsageError
from evalharness.core.protocols import Metric, Model
from evalharness.core.registry import registry
from evalharness.core.types import Kind
from evalharness.suite.schema import ExplainTask, LmEvalTask, PluginModel, Suite

from .scoring import Figure

if TYPE_CHECKING:
    from evalharness.data.load import LoadedDataset
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.schema import Task

__all__ = ["figures_of", "load_datasets", "load_metrics", "make_models"]


def load_datasets(loaded: LoadedSuite) -> dict[str, LoadedDataset]:
    """The rows of every dataset that a task of the suite uses.

    Raises:
        DataError: files or their rows are wrong; the problems of all datasets at once.
    """
    from evalharness.data.load import load
    from evalharness.suite.template import condition, evaluate

    suite = loaded.suite
    used = {task.dataset for task in suite.tasks if not isinstance(task, LmEvalTask | ExplainTask)}
    used |= {few_shot.dataset for task in suite.tasks if (few_shot := getattr(task, "few_shot", None)) is not None}
    datasets: dict[str, LoadedDataset] = {}
    problems: list[Problem] = []
    for name in sorted(used):
        try:
            spec = suite.datasets[name]
            datasets[name] = load(name, spec, base=loaded.base, render=evaluate, condition=condition)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return datasets


def make_models(
    suite: Suite, *, base: Path, allow_code: bool, environ: Mapping[str, str] | None = None, only: frozenset[str] | None
) -> dict[str, Model]:
    """The suite's models by name (`only` those named), made but not opened: no weights, no connection.

    Raises:
        UsageError: a model's settings are wrong: a missing checkpoint, an unset variable, code without --allow-code.
    """
    environ = os.environ if environ is None else environ
    models: dict[str, Model] = {}
    for name, spec in suite.models.items():
        if only is not None and name not in only:
            continue
        factory = registry("models").load(spec.backend)
        concurrency = getattr(spec, "concurrency", None) or suite.execution.concurrency
        handed = spec.options if isinstance(spec, PluginModel) else spec
        models[name] = factory(name, handed, base=base, environ=environ, concurrency=concurrency, allow_code=allow_code)
    return models


def load_metrics(loaded: LoadedSuite, *, allow_code: bool) -> None:
    """Load what metrics of the suite have to load, so that nothing is asked for figures that cannot be computed.

    Raises:
        SuiteError: metrics cannot be loaded, or run code and `allow_code` is false; each with its place.
    """
    from evalharness.suite.metric_specs import build_metric

    problems = []
    for index, task in enumerate(loaded.suite.tasks):
        for position, spec in enumerate(task.metrics):
            try:
                _loaded(build_metric(spec)[1], base=loaded.base, allow_code=allow_code)
            except UsageError as error:
                path = f"tasks[{index}].metrics[{position}]"
                problems.append(Problem(loaded.place_of(path), path, str(error)))
    if problems:
        raise SuiteError(problems)


def _loaded(metric: Metric, *, base: Path, allow_code: bool) -> Metric:
    """`metric` ready to compute: one that is the user's code is found from `base`, the suite's folder."""
    load = getattr(metric, "for_run", None)
    if load is None:
        return metric
    found: Metric = load(base=base, allow_code=allow_code)
    return found


def figures_of(
    task: Task,
    kind: Kind,
    labels: tuple[str, ...],
    *,
    base: Path = Path(),
    allow_code: bool = False,
    judgements: Mapping[str, str] | None = None,
) -> list[Figure]:
    """The task's metrics under their names, then those operational ones that a request of `kind` has.

    `judgements` are the digests of the judgings that the model was judged by, by figure: others have no figure.

    Raises:
        UsageError: a metric cannot be loaded, or runs code and `allow_code` is false.
    """
    from evalharness.suite.metric_specs import OPERATIONAL, build_metric, figures_of_metric

    found: list[Figure] = []
    for name, metric in map(build_metric, task.metrics):
        if kind not in metric.kinds:
            continue
        loaded = _loaded(metric, base=base, allow_code=allow_code)
        judging = getattr(loaded, "for_judgement", None)
        if judging is not None:
            digest = (judgements or {}).get(name)
            if digest is None:
                continue  # the model whose answers are the other half of each pair is not judged itself
            loaded = judging(digest)
        fails = getattr(loaded, "failed", None)
        found += [Figure(shown, own.for_task(labels), fails) for shown, own in figures_of_metric(name, loaded)]
    named = {figure.name for figure in found}
    always = [(name, metric) for name, metric in map(build_metric, OPERATIONAL) if name not in named]
    return found + [Figure(name, metric.for_task(labels)) for name, metric in always if kind in metric.kinds]
