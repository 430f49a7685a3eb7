"""The frozen anchor of the judges: outputs that were judged once are judged again.

So a judge that has changed is told from a model that has. The outputs are those of a recorded run or of a file, word by
word; only the judges are asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalharness.core.errors import UsageError
from evalharness.record import Record
from evalharness.report.text import plural
from evalharness.runner.occasion import with_tasks
from evalharness.stats.agreement import cohen_kappa
from evalharness.stats.arrays import Floats, np
from evalharness.stats.bootstrap import jackknife_interval
from evalharness.stats.intervals import cluster_codes, mean_interval, wilson
from evalharness.stats.leaning import cluster_wilson
from evalharness.stats.multiple import holm
from evalharness.stats.tests import paired_t
from evalharness.suite.judgings import JUDGE_METRIC, judges_of, judgings_of
from evalharness.suite.metric_specs import build_metric, figures_of_metric
from evalharness.suite.schema import ReplayModel, Suite

from ..measurement import FigureRow
from .frozen import Frozen, Verdict, judged_alone, verdicts_of, ways_of
from .runs import find_run, in_time, made_run, run_id_of, suite_of

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.monitor_entry import Anchor
    from evalharness.suite.schema import Task

    from ..parts import Setting

__all__ = ["JudgeDrift", "anchor_rows", "compare_verdicts", "figures_judged_by", "judged_again", "moved_judges"]

PURPOSE: Final = "anchor"
_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class JudgeDrift:
    """How the judges of one figure judge the frozen outputs now: agreement with what they said, and the mean's change.

    `drift` is now − then, in the unit of the scale, whose range is `span`; `p_value` is that of the paired t test, two
    sided, after Holm's correction over the figures.
    """

    task: str
    figure: str
    n: int
    mean: float
    frozen_mean: float
    drift: float
    low: float
    high: float
    p_value: float
    same: float
    same_low: float
    same_high: float
    kappa: float
    kappa_low: float
    kappa_high: float
    span: float

    def has_moved(self, *, alpha: float, margin: float, agreement: float) -> bool:
        """Whether the judge is another one: its mean moved, by evidence and size, or it agrees too little with itself.

        Too little is a share of equal verdicts whose interval lies below `agreement`.
        """
        shifted = self.p_value <= alpha and abs(self.drift) >= margin * self.span * (1 - 1e-9)
        return shifted or self.same_high < agreement

    @property
    def sentence(self) -> str:
        """What was found, for alerts."""
        return (
            f"{self.task}.{self.figure}: {100 * self.same:.0f} % of {self.n:,} frozen verdicts are as they were (95 % "
            f"{100 * self.same_low:.0f} to {100 * self.same_high:.0f}), kappa {self.kappa:.2f}; their mean is "
            f"{self.mean:.3g} and was {self.frozen_mean:.3g} (change 95 % {self.low:.3g} to {self.high:.3g})"
        ).replace("-", "−")


def figures_judged_by(suite: Suite, moved: Sequence[JudgeDrift]) -> dict[tuple[str, str], str]:
    """By task and figure, what is said of those that a judge decides which has changed."""
    found: dict[tuple[str, str], str] = {}
    for task in suite.tasks:
        for one in judgings_of(task):
            figures = [name for name, _ in figures_of_metric(*build_metric(task.metrics[one.position]))]
            for drift in moved:
                if drift.task == task.id and drift.figure == figures[0]:
                    found |= {(task.id, name): "judge changed" for name in figures}
    return found


def moved_judges(anchor: Anchor, drifts: Sequence[JudgeDrift], *, alpha: float) -> tuple[JudgeDrift, ...]:
    """Those whose judge has changed."""
    return tuple(one for one in drifts if one.has_moved(alpha=alpha, margin=anchor.margin, agreement=anchor.agreement))


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────────


def judged_again(setting: Setting, anchor: Anchor, frozen: Frozen) -> Record | None:
    """The record in which the judges have judged the frozen outputs again; None where it may not be made any more.

    Raises:
        UsageError: nothing that is frozen was judged, or a file names samples that the suite has not.
        EvalHarnessError: the judges could not be asked.
    """
    loaded, outputs = suite_of(setting.definition), frozen.outputs
    drawn = sorted({name for rows in outputs.values() for name in rows}, key=_drawn)[: anchor.samples]
    if not drawn:
        raise UsageError(f"{frozen.name} has no output that was judged, which could be an anchor of the judges")
    run_id = run_id_of(setting, PURPOSE, loaded.suite.name, [frozen.id, list(outputs), drawn])
    record = find_run(setting, run_id)
    canary = setting.definition.monitor.canary
    if record is not None or not in_time(setting, canary.schedule if canary is not None else None):
        return record
    folder = setting.past.folder / "asking" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    again = _replayed(loaded, outputs, drawn, folder)
    record = made_run(setting, run_id, PURPOSE, tasks=(), model=None, samples=frozenset(drawn), suite=again)
    if frozen.ways is None:
        _check_samples(record, frozen, drawn)
    return record


def _check_samples(record: Record, frozen: Frozen, drawn: Sequence[str]) -> None:
    """What people write into a file may be misspelt; of a run, samples may have gone from the data since."""
    known = {row.sample.id for row in record.iter_samples()}
    unknown = [name for name in drawn if name not in known]
    if unknown:
        raise UsageError(
            f"{frozen.name} names {plural(len(unknown), 'sample')} that the suite has not: "
            f"{', '.join(map(repr, unknown[:3]))}{', …' if len(unknown) > 3 else ''}"
        )


def _replayed(
    loaded: LoadedSuite, outputs: Mapping[str, Mapping[str, str]], drawn: Sequence[str], folder: Path
) -> LoadedSuite:
    """The suite whose judged tasks answer with the frozen outputs, and are scored by their judges alone."""
    suite, kept = loaded.suite, frozenset(drawn)
    models = {name: spec for name, spec in suite.models.items() if name in judges_of(suite)}
    tasks: dict[int, Task] = {}
    for number, task in enumerate(suite.tasks):
        if task.id not in outputs:
            continue
        path = folder / f"outputs-{number}.jsonl"
        lines = (json.dumps({"id": i, "output": text}) for i, text in outputs[task.id].items() if i in kept)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        models[f"frozen-{number}"] = ReplayModel(backend="replay", path=str(path.resolve()))
        specs = tuple(_uncorrected(task.metrics[place]) for place in judged_alone(task))
        # The frozen output is all there is: one, however often the model itself is asked.
        changed = {"model": f"frozen-{number}", "metrics": specs, "generate": None}
        tasks[number] = task.model_copy(update={k: v for k, v in changed.items() if k in type(task).model_fields})
    own = Suite.model_construct(suite.model_fields_set, **{**dict(suite), "models": models})
    return with_tasks(replace(loaded, suite=own), tasks)


def _uncorrected(spec: Any) -> Any:
    """The judging without people's ratings: it is the judge that is looked at."""
    options = {key: value for key, value in spec[JUDGE_METRIC].items() if key != "calibrate"}
    return {JUDGE_METRIC: options}


def _drawn(sample: str) -> str:
    return hashlib.sha256(sample.encode("utf-8", "surrogatepass")).hexdigest()


# ── comparing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def compare_verdicts(record: Record, frozen: Frozen) -> tuple[JudgeDrift, ...]:
    """What became of each judged figure of `record`, which judged the `frozen` outputs again.

    Raises:
        UsageError: no output was judged in both.
    """
    found = []
    for entry in record.manifest.tasks:
        ways = ways_of(record, entry.id, entry.model)
        for figure, verdicts in verdicts_of(record, entry.id, entry.model).items():
            if frozen.ways is not None and ways.get(figure) != frozen.ways.get((entry.id, figure)):
                raise UsageError(
                    f"{entry.id}.{figure} of {frozen.name} was judged in another way (rubric, scale, judges or their "
                    f"settings); name a run that was judged as the suite says now: canary.anchor.run"
                )
            before = frozen.verdicts.get((entry.id, figure), {})
            both = [name for name in verdicts if name in before]
            if both:
                pairs = [(verdicts[name], before[name]) for name in both]
                found.append(_drift(entry.id, figure, pairs, _span(record, entry.id, figure)))
    if not found:
        raise UsageError(f"no output of {frozen.name} has a verdict both then and now")
    adjusted = holm([one.p_value for one in found])
    return tuple(replace(one, p_value=float(p)) for one, p in zip(found, adjusted, strict=True))


def _span(record: Record, task: str, figure: str) -> float:
    result = next((one for one in record.results if one.task == task and one.metric == figure), None)
    return result.bounds[1] - result.bounds[0] if result is not None else 1.0


def _drift(task: str, figure: str, pairs: Sequence[tuple[Verdict, Verdict]], span: float) -> JudgeDrift:
    now, then = (np.array([pair[side].value for pair in pairs]) for side in (0, 1))
    codes = cluster_codes([new.cluster for new, _ in pairs])
    equal = np.array([float(new.label == old.label) for new, old in pairs])
    same = wilson(equal.sum(), len(equal)) if codes is None else cluster_wilson(equal, codes)
    changes = now - then
    low, high = mean_interval(changes, confidence=_CONFIDENCE, codes=codes)
    # Where all have moved alike the t test knows no spread: then the sign test says how likely that is by chance.
    units = len(changes) if codes is None else int(codes.max()) + 1
    alike = 1.0 if not changes.any() else 2.0 ** (1 - units)
    p = paired_t(changes, codes=codes).p_value
    kappa, kappa_bounds = _kappa([(new.label, old.label) for new, old in pairs])
    return JudgeDrift(
        task,
        figure,
        len(pairs),
        float(now.mean()),
        float(then.mean()),
        float(changes.mean()),
        low,
        high,
        p if np.ptp(changes) else alike,
        float(equal.mean()),
        same[0],
        same[1],
        kappa,
        *kappa_bounds,
        span,
    )


def _kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, tuple[float, float]]:
    """Cohen's kappa of then and now, with the jackknife's interval."""
    classes = {name: i for i, name in enumerate(sorted({label for pair in pairs for label in pair}))}
    each: Floats = np.zeros((len(pairs), len(classes), len(classes)))
    for row, (new, old) in enumerate(pairs):
        each[row, classes[new], classes[old]] = 1.0
    whole = each.sum(axis=0)
    kappa = float(cohen_kappa(whole))
    low, high = jackknife_interval(kappa, cohen_kappa(whole - each), confidence=_CONFIDENCE)
    return kappa, (low, high)


def anchor_rows(drifts: Sequence[JudgeDrift]) -> tuple[FigureRow, ...]:
    """What is recorded of each judged figure."""
    nan = float("nan")
    return tuple(
        FigureRow(f"judge.{one.task}.{one.figure}", name, value, one.n, low, high)
        for one in drifts
        for name, value, low, high in (
            ("same", one.same, one.same_low, one.same_high),
            ("kappa", one.kappa, one.kappa_low, one.kappa_high),
            ("drift", one.drift, one.low, one.high),
            ("p_adjusted", one.p_value, nan, nan),
        )
    )
