"""`check_references`: does all that a well-shaped suite refers to exist, and does it fit together?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from evalharness.core.errors import Problem, SuiteError, UsageError
from evalharness.core.levels import levels_in
from evalharness.core.protocols import Metric
from evalharness.core.registry import suggestion
from evalharness.core.types import Kind

from .attacked import encoder_problems, synonym_problems
from .check_entries import entry_problems, no_field, own_columns, unknown_fields
from .check_rules import rule_problems
from .check_secrets import secret_problems
from .explained import asked_of_model, base_of, explain_problems, unfit_models
from .groups import group_columns
from .judges import judge_problems, rubric_problems
from .judgings import JUDGE_METRIC
from .kinds import CAPABILITIES, blind_to_shared, capabilities_of, kind_of, silent_about_tokens
from .load import LoadedSuite, as_written
from .metric_specs import OPERATIONAL, MetricFault, build_metric, figures_of_metric
from .names import check_names
from .node import plain
from .plan import Plan, models_of
from .probe_specs import ProbeFault, build_probe
from .repeats import few_repeats
from .schema import (
    AttackTask,
    ClassifyTask,
    DataTask,
    FakeModel,
    Generation,
    HttpModel,
    LmEvalTask,
    OpenAIModel,
    PluginModel,
    ProbeTask,
    PromptTask,
    PythonModel,
    ReplayModel,
    StudyTask,
    Suite,
    Task,
)
from .sources import schema_text, sources_of, template_of
from .variables import Key, shown_path

__all__ = [
    "OPERATIONAL",
    "build_metric",
    "check_parts",
    "check_plan",
    "check_references",
    "incapable",
    "obeys_schemas",
]

_KIND_WORDS = {
    "generate": "generate text",
    "loglikelihood": "score choices by likelihood",
    "loglikelihood_rolling": "score whole texts by likelihood",
    "classify": "classify",
    "study": "explain another task",
}


_ATTACKS = "attack another task"


def check_references(
    loaded: LoadedSuite,
    *,
    environ: Mapping[str, str] | None = None,
    secrets: bool = True,
    more: Iterable[Problem] = (),
) -> None:
    """Raise where something that the suite names is not there, or does not fit what it is used for.

    Args:
        loaded: The suite.
        more: What others have found wrong with it.
        environ: Environment variables (default: the process's).
        secrets: Whether the variables of `${env:NAME}` must be set.

    Raises:
        SuiteError: all problems at once, each with its place.
    """
    problems = [*_Checker(loaded).run(), *more]
    if secrets:
        problems += secret_problems(loaded, os.environ if environ is None else environ)
    if problems:
        raise SuiteError(as_written(problems, loaded.root, loaded.before))


def check_plan(loaded: LoadedSuite, plan: Plan) -> None:
    """Raise where a metric does not suit the label set of its task, which only the data may tell.

    Raises:
        SuiteError: all problems at once, each with its place.
    """
    problems: list[Problem] = []
    index = {task.id: position for position, task in enumerate(loaded.suite.tasks)}
    for planned in plan.tasks:
        for position, spec in enumerate(planned.task.metrics):
            try:
                metric = build_metric(spec)[1].for_task(planned.labels)
                bind = getattr(metric, "for_levels", None)
                if bind is not None:
                    # Nothing is asked for a figure that the levels of its column cannot give.
                    bind(levels_in(planned.samples)).finalize_nothing()
            except (UsageError, ValueError) as error:
                path: Key = ("tasks", index[planned.task.id], "metrics", position)
                problems.append(Problem(loaded.place_of(path), shown_path(path), str(error)))
    if problems:
        raise SuiteError(as_written(problems, loaded.root, loaded.before))


def check_parts(loaded: LoadedSuite, indexes: Sequence[int]) -> list[Problem]:
    """What is wrong with the references of a broken suite's well-shaped parts; `indexes` are those of its tasks."""
    return list(_Checker(loaded, indexes).run())


class _Checker:
    def __init__(self, loaded: LoadedSuite, indexes: Sequence[int] | None = None) -> None:
        self.loaded = loaded
        self.suite: Suite = loaded.suite
        # Tasks with a metric that could not be built: which figures they have is not known.
        self.unclear: set[str] = set()
        self.indexes = range(len(self.suite.tasks)) if indexes is None else indexes

    def problem(self, path: Key, message: str, *, key: bool = False) -> Problem:
        return Problem(self.loaded.place_of(path, key=key), shown_path(path), message)

    def run(self) -> Iterator[Problem]:
        yield from check_names(plain(self.loaded.root), self.loaded.root)
        yield from entry_problems(self.loaded)
        for index, task in zip(self.indexes, self.suite.tasks, strict=True):
            yield from self._schemas(index, task)
            if isinstance(task, LmEvalTask):
                # Which figures it has only lm-eval knows; `runner.lm_eval` checks the rest.
                self.unclear.add(task.id)
            elif isinstance(task, StudyTask):
                yield from self._explained(index, task)
            elif isinstance(task, ProbeTask):
                # It could not become the tasks that it makes, or nobody has tried yet.
                self.unclear.add(task.id)
                yield from self._probe(index, task)
            else:
                yield from self._task(index, task)
        yield from rule_problems(self.loaded, self.unclear)

    def _task(self, index: int, task: DataTask) -> Iterator[Problem]:
        base: Key = ("tasks", index)
        yield from self._templates(base, task)
        kind = kind_of(task)
        for path, message in [*incapable(self.suite, index, task, kind), *judge_problems(self.suite, index, task)]:
            yield self.problem(path, message)
        known = {name: spec for name in models_of(task, self.suite) if (spec := self.suite.models.get(name))}
        for name in silent_about_tokens(task, known):
            message = (
                f"the model {name.partition('@')[0]!r} (backend {known[name].backend}) does not tell the likeliest "
                "tokens of a text; leave top_logprobs out, or name models of the backend hf-causal under `model`"
            )
            yield self.problem((*base, "top_logprobs"), message)
        for name in blind_to_shared(task, known):
            message = (
                f"the model {name.partition('@')[0]!r} (backend {known[name].backend}) cannot score only the tokens "
                "that two choices share; set score: all, or name models of the backends hf-masked and hf-causal under "
                "`model`"
            )
            yield self.problem((*base, "score"), message)
        if not models_of(task, self.suite) and not self._lacks_models():
            message = "runs on no model: all models of the suite are judges; name those to be judged under `model`"
            yield self.problem((*base, "id"), message)
        yield from self._metrics(base, task)

    def _lacks_models(self) -> bool:
        """Whether models of a broken suite were left out for faults of their own: tasks may run on those."""
        written = self.loaded.root.get("models")
        return written is not None and len(written.mapping) > len(self.suite.models)

    def _explained(self, index: int, task: StudyTask) -> Iterator[Problem]:
        """A task that explains another one: what it explains, the models that it asks, its figures."""
        place: Key = ("tasks", index)
        for key, message in explain_problems(self.suite, task):
            yield self.problem((*place, *key), message)
        base = base_of(task, self.suite)
        if base is not None:
            names = models_of(task, self.suite)
            for key, message in unfit_models(self.suite, task, names):
                yield self.problem((*place, *key), message)
            for path, message in incapable(self.suite, index, task, asked_of_model(base)):
                yield self.problem(path, message)
        if isinstance(task, AttackTask):
            own = (synonym_problems(task, self.loaded.base), encoder_problems(task, self.loaded.base))
            for key, message in chain.from_iterable(own):
                yield self.problem((*place, *key), message)
        yield from self._metrics(place, task)

    def _probe(self, index: int, task: ProbeTask) -> Iterator[Problem]:
        try:
            build_probe(task)
        except ProbeFault as error:
            path: Key = ("tasks", index, error.option) if error.option else ("tasks", index)
            yield self.problem(path, str(error), key=error.option in task.options)

    def _schemas(self, index: int, task: Task) -> Iterator[Problem]:
        """Schemas that cannot be read, and models that cannot be held to one."""
        own: Generation | None = getattr(task, "generate", None)
        if isinstance(task, ProbeTask) or (not isinstance(task, LmEvalTask) and kind_of(task) != "generate"):
            return
        for name in models_of(task, self.suite):
            spec = self.suite.models.get(name)
            of_model = spec.generate if spec is not None else None
            in_model = of_model is not None and of_model.json_schema is not None
            schema = of_model.json_schema if of_model is not None and in_model else None
            schema = own.json_schema if schema is None and own is not None else schema
            if schema is None:
                continue
            place: Key = ("models", name) if in_model else ("tasks", index)
            path = (*place, "generate", "json_schema")
            try:
                schema_text(schema, self.loaded.base)
            except UsageError as error:
                yield self.problem(path, str(error))
            if spec is not None and not obeys_schemas(spec):
                message = (
                    f"the model {name.partition('@')[0]!r} (backend {spec.backend}) cannot be held to a schema; leave "
                    "it out, or use a model with `backend: openai` and `api: chat` or `responses`"
                )
                yield self.problem(path, message)

    def _templates(self, base: Key, task: DataTask) -> Iterator[Problem]:
        columns = self._columns(task.dataset)
        for key, source in sources_of(task):
            path = (*base, *key)
            try:
                template = template_of(source, self.loaded.base)
            except UsageError as error:
                yield self.problem(path, str(error))
                continue
            pool = isinstance(task, PromptTask) and task.few_shot is not None and key[0] == "few_shot"
            known = self._columns(task.few_shot.dataset) if pool and task.few_shot else columns  # type: ignore[union-attr]
            for message in unknown_fields(template, known):
                yield self.problem(path, message)
        for position, column in enumerate(task.groups or ()):
            if columns and column not in columns:
                yield self.problem((*base, "groups", position), no_field(column, columns))

    def _columns(self, name: str) -> frozenset[str]:
        """The columns of a dataset where the suite itself tells them: inline rows. Else none."""
        dataset = self.suite.datasets.get(name)
        if dataset is None:
            return frozenset()
        own = own_columns(dataset)
        return own | set(dataset.fields) if own else own

    def _metrics(self, base: Key, task: DataTask | StudyTask) -> Iterator[Problem]:
        seen: dict[str, int] = {}
        for index, spec in enumerate(task.metrics):
            path: Key = (*base, "metrics", index)
            name = spec if isinstance(spec, str) else next(iter(spec))
            try:
                shown, metric = build_metric(spec)
                figures = figures_of_metric(shown, metric)
            except UsageError as error:
                self.unclear.add(task.id)
                option = error.option if isinstance(error, MetricFault) else ""
                yield self.problem((*path, name, option) if option else path, str(error), key=bool(option))
                continue
            for figure, _ in figures:
                if figure in seen:
                    message = f"a second figure called {figure!r}; give one of them another name: {{{name}: {{as: …}}}}"
                    yield self.problem(path, message)
                seen[figure] = index
            column, columns = getattr(metric, "column", None), group_columns(self.suite, task)
            if hasattr(metric, "for_levels") and column not in columns:
                known = f"it has: {', '.join(columns)}" if columns else "it has none"
                message = (
                    f"{column!r} is no group column of the task{suggestion(str(column), columns)} ({known}); name it "
                    "under the task's or the dataset's `groups`"
                )
                yield self.problem((*path, name, "column"), message)
            for message in (*_misfits(task, name, metric), *few_repeats(self.suite, task, name, metric)):
                yield self.problem(path, message)
            if name == JUDGE_METRIC and not isinstance(task, StudyTask):
                yield from self._judging((*path, name), task, metric)
            for option, message in getattr(metric, "faults", _no_faults)(self.loaded.base):
                options = spec[name] if isinstance(spec, Mapping) else None
                if isinstance(options, Mapping) and option in options:
                    place: Key = (*path, name, option)
                else:  # its one option in short, or one that has its default
                    place = (*path, name) if isinstance(options, str) else path
                yield self.problem(place, message)

    def _judging(self, path: Key, task: DataTask, metric: Any) -> Iterator[Problem]:
        """Files that a judging names, and its template."""
        columns = self._columns(task.dataset)
        columns |= metric.names if columns else frozenset()
        for message in rubric_problems(self.loaded.base, task, metric.rubric_source, metric.rubric_path, columns):
            yield self.problem((*path, "rubric"), message)
        if metric.calibrate is not None:
            try:
                (self.loaded.base / metric.calibrate).open("rb").close()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                message = f"the file {metric.calibrate!r} cannot be read: {reason}"
                yield self.problem((*path, "calibrate"), message)


def incapable(suite: Suite, index: int, task: Task, kind: Kind) -> Iterator[tuple[Key, str]]:
    """(path, message) for each model of `task`, the one at `index`, that cannot do what it asks."""
    for name in models_of(task, suite):
        spec = suite.models.get(name)
        can = capabilities_of(spec) if spec is not None else None
        if can is None or kind in can:
            continue
        path: Key = ("tasks", index, "model" if task.model is not None else "id")
        backend = spec.backend if spec is not None else ""
        able = [n for n, s in suite.models.items() if kind in (capabilities_of(s) or ())]
        remedy = f"use {', '.join(map(repr, able[:5]))}" if able else "use a model of another backend"
        if isinstance(spec, OpenAIModel) and kind in CAPABILITIES["openai"]:
            remedy += ", or set `api: completions` for it if its server tells the log-probabilities of a prompt"
        if isinstance(spec, HttpModel) and kind == "classify":
            remedy += ", or set `kind: classify` for it if its endpoint answers with labels"
        if kind == "loglikelihood" and isinstance(task, PromptTask) and "generate" in can:
            remedy += ", or let it write its choice: `choice_by: generation`"
        if task.model is None:
            remedy += ", named under the task's `model`"
        if isinstance(spec, PythonModel) and kind in ("generate", "loglikelihood", "classify"):
            remedy += f", or set `kind: {kind}` for it if that is what its function does"
        yield (
            path,
            f"the task must {_KIND_WORDS[kind]}, which the model {name.partition('@')[0]!r} (backend {backend}) "
            f"cannot do; {remedy}",
        )


def obeys_schemas(spec: object) -> bool:
    """Whether a schema reaches the model; answers that exist or are scripted are what they are."""
    if isinstance(spec, OpenAIModel):
        return spec.api != "completions"
    return isinstance(spec, FakeModel | PluginModel | PythonModel | ReplayModel)


def _no_faults(base: object) -> tuple[tuple[str, str], ...]:
    """What is wrong with the files of a metric that has none."""
    return ()


def _misfits(task: DataTask | StudyTask, name: str, metric: Metric) -> Iterator[str]:
    kind = kind_of(task)
    procedure = getattr(metric, "procedure", None)
    own = "attack" if isinstance(task, AttackTask) else "explain"
    if kind not in metric.kinds:
        fitting = ", ".join(_KIND_WORDS[k] for k in _KIND_WORDS if k in metric.kinds)
        if procedure == "attack":
            fitting = _ATTACKS
        must = _ATTACKS if own == "attack" else _KIND_WORDS[kind]
        yield f"the metric {name!r} scores tasks that {fitting}; this one must {must}"
        return
    if kind == "study" and procedure not in (None, own):
        yield f"the metric {name!r} scores tasks with `{procedure}`; this one has `{own}`"
        return
    has = {
        "references": getattr(task, "reference", None) is not None,
        "target": getattr(task, "target", None) is not None,
    }
    keys = {"references": "reference", "target": "target"}
    for need in sorted(metric.needs):
        if not has.get(need, True):
            if need == "references" and isinstance(task, ClassifyTask):
                yield f"the metric {name!r} needs references, which a classify task has not; use accuracy or f1_macro"
            else:
                yield f"the metric {name!r} needs the task's `{keys[need]}`: the template of the gold answer"
