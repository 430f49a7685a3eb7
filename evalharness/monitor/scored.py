"""The figures under `scores:` of a monitor: which metric, of which responses, read how.

A metric of the suite is that of the task, with its options and its way to read an answer: what decided the release
watches production. It gets of a response what a sample of the suite would give it: the output, the label as reference
and target, the prediction as answer, the conversation as cluster.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from evalharness.core.errors import SuiteError, UsageError
from evalharness.core.production import ProductionResponse
from evalharness.core.protocols import Metric
from evalharness.core.registry import suggestion
from evalharness.core.types import Response, Sample
from evalharness.metrics.judge import LlmJudge
from evalharness.metrics.judge_companions import JudgeCompanion
from evalharness.suite.judgings import JUDGE_METRIC

if TYPE_CHECKING:
    from evalharness.runner.answers import AnswerReader
    from evalharness.suite.monitor_entry import ScoreSpec
    from evalharness.suite.schema import Task

    from .define import Definition

__all__ = ["PREFIX", "Scored", "Shares", "scored_of"]

PREFIX: Final = "scores."
_CUT: Final = frozenset({"length", "max_tokens", "MAX_TOKENS", "max_output_tokens"})
_WITHOUT_KINDS: Final = frozenset({"generate", "classify"})


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of the responses that are scored: of those in a segment, (attribute, value, share), else `default`.

    A response is drawn by a hash of its id, so that a later reading draws the same ones, and a larger share those of a
    smaller one and more.
    """

    default: float = 1.0
    segments: tuple[tuple[str, str, float], ...] = ()

    @property
    def alike(self) -> bool:
        """Whether all responses have the same chance to be drawn."""
        return not self.segments

    def of(self, response: ProductionResponse) -> float:
        """The chance that `response` is drawn."""
        for name, value, share in self.segments:
            if level_of(response.attributes.get(name)) == value:
                return share
        return self.default

    def draws(self, response: ProductionResponse) -> bool:
        """Whether `response` is drawn."""
        share = self.of(response)
        return share >= 1.0 or _uniform(response.id) < share


@dataclass(frozen=True, slots=True)
class Scored:
    """A figure, under the name of its column; of a judge's, what it is asked, and the task and figure of the suite."""

    column: str
    metric: Metric
    shares: Shares
    read: AnswerReader
    judging: LlmJudge | None = None
    place: tuple[str, str] | None = None

    @property
    def is_rate(self) -> bool:
        """Whether each response has it or has it not."""
        return self.metric.interval == "proportion"

    @property
    def needs_label(self) -> bool:
        """Whether responses without a label have none of it."""
        return bool(self.metric.needs & {"references", "target"}) or self._shows_reference

    @property
    def _shows_reference(self) -> bool:
        """Whether judges are shown the label."""
        return self.judging is not None and bool(_names(self.judging) & {"reference", "references"})

    def sample(self, response: ProductionResponse) -> tuple[Sample, Response] | None:
        """`response` as the metric sees it; None where it lacks what the metric needs, or failed."""
        if response.error is not None and not getattr(self.metric, "counts_states", False):
            return None
        if response.output is None and response.prediction is None and response.error is None:
            return None
        gold = response.label
        if gold is None and self.needs_label:
            return None
        sample = Sample(
            id=response.id,
            digest="",
            prompt=response.input or "",
            references=() if gold is None else (gold,),
            target=gold,
            cluster=response.conversation,
            fields={"input": response.input or "", **dict(response.attributes)},
        )
        return sample, self.read(sample, _as_response(response))


def _names(judging: LlmJudge) -> frozenset[str]:
    from evalharness.suite.template import compiled

    return compiled(judging.rubric_text).names


def _as_response(one: ProductionResponse) -> Response:
    known = not math.isnan(one.probability) and one.prediction is not None
    return Response(
        key=one.id,
        status="error" if one.error is not None else "truncated" if one.finish_reason in _CUT else "ok",
        text=one.output if one.output is not None else one.prediction,
        answer=one.prediction,
        label_probabilities={str(one.prediction): one.probability} if known else {},
        error=one.error,
        finish_reason=one.finish_reason or None,
        input_tokens=None if math.isnan(one.input_tokens) else int(one.input_tokens),
        output_tokens=None if math.isnan(one.output_tokens) else int(one.output_tokens),
        latency_s=None if math.isnan(one.latency_s) else one.latency_s,
    )


def _uniform(name: str) -> float:
    """A number in [0, 1) that `name` decides; apart from other uses of a hash of it."""
    data = hashlib.sha256(b"evalharness scores\0" + name.encode("utf-8", "replace")).digest()
    return int.from_bytes(data[:8]) / 2**64


def level_of(value: Any) -> str | None:
    """An attribute as segments name it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def scored_of(definition: Definition) -> tuple[Scored, ...]:
    """The figures that `scores:` asks for.

    Raises:
        SuiteError: one does not exist, or cannot be measured of responses; all that are wrong at once.
    """
    found: dict[str, Scored] = {}
    problems = []
    for i, spec in enumerate(definition.monitor.scores):
        try:
            one = _scored(spec, definition)
            if one.column in found:
                name = one.column.removeprefix(PREFIX)
                raise UsageError(f"{name!r} stands twice; give one of them a name of its own: {{{name}: {{as: …}}}}")
            found[one.column] = one
        except UsageError as error:
            problems.append(definition.problem(("scores", i), str(error)))
    if problems:
        raise SuiteError(problems)
    return tuple(found.values())


def _scored(spec: ScoreSpec, definition: Definition) -> Scored:
    from evalharness.runner.answers import reader_for
    from evalharness.suite.metric_specs import build_metric

    task: Task | None = None
    place = None
    if isinstance(spec.metric, str) and "." in spec.metric:
        name, task, metric = _of_suite(spec.metric, definition)
        place = (task.id, name.partition(".")[2])
    else:
        entry: Any = spec.metric
        name, metric = build_metric(entry)
        metric = _loaded(metric, definition).for_task(())
    judging = _judging_of(name, metric, definition)
    _check(name, metric)
    pattern = getattr(task, "extract", None)
    read = reader_for(choices=False, extract=pattern, refusals=True)
    return Scored(PREFIX + name, metric, _shares(spec.sample, metric), read, judging, place)


def _of_suite(path: str, definition: Definition) -> tuple[str, Task, Metric]:
    """The name, task and metric of `task.metric`."""
    from evalharness.suite.metric_specs import build_metric, figures_of_metric

    if definition.suite is None:
        raise UsageError(f"{path!r} is a metric of a suite, and the monitor names none; add suite: suite.yaml")
    tasks = {task.id: task for task in definition.suite.suite.tasks}
    name, _, figure = path.partition(".")
    task = tasks.get(name)
    if task is None:
        near = suggestion(name, tasks) or f"; there is: {', '.join(tasks)}"
        raise UsageError(f"the suite has no task {name!r}{near}")
    metrics: dict[str, Metric] = {}
    for spec in task.metrics:
        shown, metric = build_metric(_uncalibrated(spec))
        metrics |= dict(figures_of_metric(shown, _loaded(metric, definition)))
    if figure not in metrics:
        near = suggestion(figure, metrics) or f"; it has: {', '.join(metrics) or 'none'}"
        raise UsageError(f"the task {name!r} has no metric {figure!r}{near}")
    return path, task, metrics[figure].for_task(_labels(task))


def _uncalibrated(spec: Any) -> Any:
    """The entry without people's ratings, if it is a judge's: those are of the suite's answers, not of these."""
    if isinstance(spec, str) or not isinstance(spec.get(JUDGE_METRIC), Mapping):
        return spec
    return {JUDGE_METRIC: {key: value for key, value in spec[JUDGE_METRIC].items() if key != "calibrate"}}


def _loaded(metric: Metric, definition: Definition) -> Metric:
    """The metric with what it reads from files; those of a monitor without a suite lie beside the monitor."""
    load = getattr(metric, "for_run", None)
    if load is None:
        return metric
    base = definition.base if definition.suite is None else definition.suite.base
    found: Metric = load(base=base, allow_code=False)
    return found


def _judging_of(name: str, metric: Metric, definition: Definition) -> LlmJudge | None:
    """What judges are asked for the figure, None where it is no judge's.

    Raises:
        UsageError: no judge can be asked so about responses of production.
    """
    judging = metric.judge if isinstance(metric, JudgeCompanion) else metric
    if not isinstance(judging, LlmJudge):
        return None
    if definition.suite is None:
        raise UsageError(f"{name!r} is a judge's verdict, and judges are models of a suite; add suite: suite.yaml")
    models = definition.suite.suite.models
    for judge in judging.judges:
        if judge not in models:
            near = suggestion(judge, models) or f"; it has: {', '.join(models)}"
            raise UsageError(f"{name!r}: the suite has no model {judge!r}{near}")
    if judging.against is not None and not judging.against_reference:
        raise UsageError(
            f"{name!r} compares two models, and production answers with one; let the canary measure it, or judge "
            "against: reference, which the label is"
        )
    if str(judging.context or "").startswith("meta."):
        raise UsageError(
            f"{name!r} reads documents from {judging.context}, which no response of production has; name an attribute "
            "of the response that holds them: context: row.NAME"
        )
    return judging


def _labels(task: Task) -> tuple[str, ...]:
    labels: Any = getattr(task, "labels", None) or getattr(task, "choices", None)
    return tuple(labels) if isinstance(labels, tuple) else ()


def _check(name: str, metric: Metric) -> None:
    """Raise for what responses of production cannot tell."""
    elsewhere = "let the canary measure it, which asks the suite's own requests"
    if not metric.kinds & _WITHOUT_KINDS:
        raise UsageError(f"{name!r} is computed from log-likelihoods, which no response of production has; {elsewhere}")
    if hasattr(metric, "repeat_stats"):
        raise UsageError(f"{name!r} needs several answers to one prompt, and production gives one; {elsewhere}")
    if getattr(metric, "disparity", None) is not None or hasattr(metric, "for_levels"):
        raise UsageError(
            f"{name!r} compares groups; name the metric itself here, and the groups under `segments`, each of which "
            "then has its figure"
        )
    if hasattr(metric, "known_labels") and not getattr(metric, "labels", True):
        own = name.rpartition(".")[2]
        raise UsageError(
            f"{name!r} needs the label set: give the task `labels: [...]`; a metric by itself takes it as an option: "
            f"{{{own}: {{labels: [...]}}}}"
        )
    if metric.needs - {"references", "target"}:
        lacking = ", ".join(sorted(metric.needs - {"references", "target"}))
        raise UsageError(f"{name!r} needs {lacking} of each sample, which no response of production has; {elsewhere}")


def _shares(given: float | Mapping[str, float], metric: Metric) -> Shares:
    if not isinstance(given, Mapping):
        return Shares(float(given))
    if "default" not in given:
        raise UsageError("sample: shares by segment need one for all others: {language=de: 1.0, default: 0.05}")
    segments = []
    for key, share in given.items():
        if key == "default":
            continue
        name, sign, value = key.partition("=")
        if not sign or not name or not value:
            raise UsageError(f"sample: {key!r} is no segment; write attribute=value, as in language=de, or default")
        segments.append((name, value, float(share)))
    if hasattr(metric, "finalize_rows"):
        raise UsageError("sample: this metric is no function of sums, which weights would need; give one share for all")
    return Shares(float(given["default"]), tuple(segments))


def weights_of(shares: Shares, responses: Sequence[ProductionResponse]) -> list[float]:
    """How many responses each stands for: one over the chance that it was drawn."""
    return [1.0 / shares.of(one) for one in responses]
