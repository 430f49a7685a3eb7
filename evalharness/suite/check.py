"""`check_references`: does all that a well-shaped suite refers to exist, and does it fit together?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evalharness.core.errors import Problem, SuiteError, UsageError
from evalharness.core.protocols import Metric
from evalharness.core.registry import suggestion
from evalharness.core.secrets import placeholders
from evalharness.core.templating import Condition, Template
from evalharness.core.types import Kind

from .explained import asked_of_model, base_of, explain_problems, unfit_models
from .judges import judge_problems, rubric_problems
from .judgings import JUDGE_METRIC
from .kinds import CAPABILITIES, capabilities_of, kind_of, silent_about_tokens
from .load import LoadedSuite, as_written
from .metric_specs import OPERATIONAL, MetricFault, build_metric, figure_names, figures_of_metric
from .names import check_names, covers, owner_of
from .node import plain
from .plan import Plan, models_of
from .repeats import few_repeats
from .schema import (
    BaselineModel,
    ClassifyTask,
    Dataset,
    DataTask,
    ExplainTask,
    FakeModel,
    Generation,
    HttpModel,
    LmEvalTask,
    OpenAIModel,
    PluginModel,
    PromptTask,
    PythonModel,
    ReplayModel,
    Rule,
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
# The conditions of a rule that compare with a baseline.
_PAIRED_CONDITIONS = ("max_regression", "non_inferior", "superior", "equivalent", "max_relative_drop")
# What the templates of a request see; `models.outputs.request_values` gives it.
_REQUEST_NAMES = frozenset({"prompt", "messages", "sampling", "sample_id", "repeat"})


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
    checker = _Checker(loaded)
    problems = [*checker.run(), *more]
    if secrets:
        problems += checker.secrets(os.environ if environ is None else environ)
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
                build_metric(spec)[1].for_task(planned.labels)
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
        for name, model in self.suite.models.items():
            yield from self._model(name, model)
        for name, dataset in self.suite.datasets.items():
            yield from self._dataset(name, dataset)
        for index, task in zip(self.indexes, self.suite.tasks, strict=True):
            yield from self._schemas(index, task)
            if isinstance(task, LmEvalTask):
                # Which figures it has only lm-eval knows; `runner.lm_eval` checks the rest.
                self.unclear.add(task.id)
            elif isinstance(task, ExplainTask):
                yield from self._explained(index, task)
            else:
                yield from self._task(index, task)
        yield from self._gates()
        yield from self._unpaired()

    # ── models and datasets ───────────────────────────────────────────────────────────────────────────────────────

    def _model(self, name: str, model: Any) -> Iterator[Problem]:
        if isinstance(model, FakeModel):
            yield from self._request_template(("models", name, "reply"), model.reply)
        elif isinstance(model, HttpModel):
            yield from self._body(("models", name, "body"), model.body)

    def _body(self, path: Key, value: Any) -> Iterator[Problem]:
        if isinstance(value, str):
            yield from self._request_template(path, value)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._body((*path, key), item)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from self._body((*path, index), item)

    def _request_template(self, path: Key, source: str) -> Iterator[Problem]:
        try:
            template = Template(source)
        except UsageError as error:
            yield self.problem(path, str(error))
            return
        for name in sorted(template.required - _REQUEST_NAMES):
            near = suggestion(name, _REQUEST_NAMES) or f"; there is: {', '.join(sorted(_REQUEST_NAMES))}"
            yield self.problem(path, f"the template uses {name!r}, which a request does not have{near}")

    def _dataset(self, name: str, dataset: Dataset) -> Iterator[Problem]:
        columns = _own_columns(dataset)
        for column, source in dataset.fields.items():
            path: Key = ("datasets", name, "fields", column)
            try:
                yield from self._unknown_fields(path, Template(source), columns)
            except UsageError as error:
                yield self.problem(path, str(error))
        if dataset.where is not None:
            try:
                condition = Condition(dataset.where)
            except UsageError as error:
                yield self.problem(("datasets", name, "where"), str(error))
            else:
                known = columns and columns | set(dataset.fields)
                for field in sorted(condition.required - known) if known else ():
                    yield self.problem(("datasets", name, "where"), _no_field(field, known))

    def _unknown_fields(self, path: Key, template: Template, columns: frozenset[str]) -> Iterator[Problem]:
        for name in sorted(template.required - columns) if columns else ():
            yield self.problem(path, _no_field(name, columns))

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────

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
        if not models_of(task, self.suite):
            message = "runs on no model: all models of the suite are judges; name those to be judged under `model`"
            yield self.problem((*base, "id"), message)
        yield from self._metrics(base, task)

    def _explained(self, index: int, task: ExplainTask) -> Iterator[Problem]:
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
        yield from self._metrics(place, task)

    def _schemas(self, index: int, task: Task) -> Iterator[Problem]:
        """Schemas that cannot be read, and models that cannot be held to one."""
        own: Generation | None = getattr(task, "generate", None)
        if not isinstance(task, LmEvalTask) and kind_of(task) != "generate":
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
            yield from self._unknown_fields(path, template, known)
        for position, column in enumerate(task.groups or ()):
            if columns and column not in columns:
                yield self.problem((*base, "groups", position), _no_field(column, columns))

    def _columns(self, name: str) -> frozenset[str]:
        """The columns of a dataset where the suite itself tells them: inline rows. Else none."""
        dataset = self.suite.datasets.get(name)
        if dataset is None:
            return frozenset()
        own = _own_columns(dataset)
        return own | set(dataset.fields) if own else own

    def _metrics(self, base: Key, task: DataTask | ExplainTask) -> Iterator[Problem]:
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
            for message in (*_misfits(task, name, metric), *few_repeats(self.suite, task, name, metric)):
                yield self.problem(path, message)
            if name == JUDGE_METRIC and not isinstance(task, ExplainTask):
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

    # ── gates and secrets ─────────────────────────────────────────────────────────────────────────────────────────

    def _gates(self) -> Iterator[Problem]:
        gates = self.suite.gates
        for index, rule in enumerate(gates.rules if gates is not None else ()):
            base: Key = ("gates", "rules", index)
            if rule.is_paired and gates is not None:
                yield from self._compared(base, rule, gates.baseline)
            yield from self._rule(base, rule)

    def _compared(self, base: Key, rule: Rule, baseline: str | BaselineModel | None) -> Iterator[Problem]:
        """A rule that compares needs a baseline; a model of the same suite must run on the rule's task."""
        if baseline is None:
            message = (
                "needs gates.baseline: a promoted run such as my-suite@production, a run id, a folder, or "
                "{model: NAME} for another model of this suite"
            )
            yield self.problem((*base, rule.kind), message)
        if not isinstance(baseline, BaselineModel):
            return
        name = rule.metric.rpartition(".")[0]
        used = {
            model
            for task in self.suite.tasks
            if covers(owner_of(name), task.id)
            for model in models_of(task, self.suite)
        }
        of_baseline = {model for model in used if covers(baseline.model, model)}
        if used and not of_baseline:
            message = (
                f"the task {name!r} does not run on {baseline.model!r}, which gates.baseline names; it runs on: "
                f"{', '.join(sorted(used))}; add it to the task's `model`"
            )
            yield self.problem((*base, "metric"), message)
        elif used and of_baseline == used:
            message = f"the task {name!r} runs on the baseline {baseline.model!r} alone; add the model to be released"
            yield self.problem((*base, "metric"), message)

    def _rule(self, base: Key, rule: Rule) -> Iterator[Problem]:
        name, _, figure = rule.metric.rpartition(".")
        tasks = [task for task in self.suite.tasks if covers(owner_of(name), task.id)]
        if not tasks:
            return
        first = tasks[0]
        figures = _figures(first)
        if figure not in figures and not isinstance(first, LmEvalTask):
            figures += _operational(first)
        if figure not in figures and first.id not in self.unclear:
            near = suggestion(figure, figures) or f"; it has: {', '.join(figures)}"
            yield self.problem((*base, "metric"), f"the task {name!r} has no figure {figure!r}{near}")
        if rule.model is not None and rule.model in {m.partition("@")[0] for m in self.suite.models} | set(
            self.suite.models
        ):
            used = {model for task in tasks for model in models_of(task, self.suite)}
            if not any(covers(rule.model, model) for model in used):
                message = (
                    f"the task {name!r} does not run on the model {rule.model!r}; it runs on: {', '.join(sorted(used))}"
                )
                yield self.problem((*base, "model"), message)
        if rule.group is not None:
            column = rule.group.partition("=")[0]
            of = base_of(first, self.suite) if isinstance(first, ExplainTask) else first
            dataset = None if isinstance(of, LmEvalTask) or of is None else self.suite.datasets.get(of.dataset)
            own = None if of is None else of.groups
            columns = own if own is not None else dataset.groups if dataset is not None else None
            if columns is not None and column not in columns:
                near = suggestion(column, columns) or f"; it has: {', '.join(columns) or 'none'}"
                yield self.problem((*base, "group"), f"the task {name!r} has no group column {column!r}{near}")

    def _unpaired(self) -> Iterator[Problem]:
        """Rules that compare with a baseline what cannot be computed from two records."""
        gates = self.suite.gates
        for index, rule in enumerate(gates.rules if gates is not None else ()):
            name, _, figure = rule.metric.rpartition(".")
            found = next((condition for condition in _PAIRED_CONDITIONS if getattr(rule, condition, None)), None)
            if found is None:
                continue
            tasks = [
                task for task in self.suite.tasks if covers(owner_of(name), task.id) and task.id not in self.unclear
            ]
            specs = [spec for task in tasks for spec in task.metrics if figure in figure_names(spec)]
            if any(not getattr(build_metric(spec)[1], "paired", True) for spec in specs):
                message = (
                    f"the figure {figure!r} is one of all answers together and cannot be compared with a baseline "
                    "sample by sample; use at_least or at_most"
                )
                yield self.problem(("gates", "rules", index, found), message)

    def secrets(self, environ: Mapping[str, str]) -> Iterator[Problem]:
        """Placeholders of variables that are not set."""
        for name, entry in (self.loaded.root.get("models") or self.loaded.root).mapping.items():
            for key, child in entry.node.mapping.items():
                texts = (
                    {(key,): child.node.value}
                    if not child.node.mapping
                    else {(key, k): e.node.value for k, e in child.node.mapping.items()}
                )
                for path, text in texts.items():
                    if key not in ("api_key", "base_url", "url", "headers") or not isinstance(text, str):
                        continue
                    for variable in placeholders(text):
                        if not environ.get(variable):
                            message = f"the environment variable {variable} is not set; set it: export {variable}=…"
                            yield self.problem(("models", name, *path), message)
            yield from self._default_key(name, environ)

    def _default_key(self, name: str, environ: Mapping[str, str]) -> Iterator[Problem]:
        """A key that the suite does not name, and whose variable is not set."""
        model = next((m for n, m in self.suite.models.items() if n.partition("@")[0] == name), None)
        if model is None or "api_key" in model.model_fields_set:
            return
        for variable in placeholders(getattr(model, "api_key", None) or ""):
            if not environ.get(variable):
                message = (
                    f"the environment variable {variable} is not set; set it: export {variable}=…, or name another "
                    "one under `api_key`"
                )
                yield self.problem(("models", name), message)


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
        if kind == "loglikelihood" and isinstance(task, PromptTask) and "generate" in can:
            remedy += ", or let it write its choice: `choice_by: generation`"
        if task.model is None:
            remedy += ", named under the task's `model`"
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


def _own_columns(dataset: Dataset) -> frozenset[str]:
    return frozenset(key for row in dataset.rows or () for key in row)


def _no_field(name: str, columns: frozenset[str]) -> str:
    near = suggestion(name, columns) or f"; the rows have: {', '.join(sorted(columns)[:20])}"
    return f"the dataset has no column {name!r}{near}"


def _figures(task: Task) -> list[str]:
    names = []
    for spec in task.metrics:
        try:
            names.extend(figure_names(spec))
        except UsageError:
            continue  # reported where the metric stands
    return names


def _operational(task: DataTask | ExplainTask) -> list[str]:
    """The figures that every task of this kind has."""
    kind = kind_of(task)
    return [name for name in OPERATIONAL if kind in build_metric(name)[1].kinds]


def _misfits(task: DataTask | ExplainTask, name: str, metric: Metric) -> Iterator[str]:
    kind = kind_of(task)
    if kind not in metric.kinds:
        fitting = ", ".join(_KIND_WORDS[k] for k in _KIND_WORDS if k in metric.kinds)
        yield f"the metric {name!r} scores tasks that {fitting}; this one must {_KIND_WORDS[kind]}"
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
