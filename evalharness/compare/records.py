"""Compares records: each figure of each candidate with the baseline's, on the samples that both have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from ..core.errors import NotComparableError, UsageError
from ..core.nulls import best_between
from ..core.registry import suggestion
from ..core.types import MetricResult
from ..metrics.group_figures import is_group_figure
from ..suite.metric_specs import OPERATIONAL
from .attributions import attribution_drifts
from .changed import Picked, changed_samples, pick
from .comparable import Difference, differences
from .compression import DEFAULT_MARGIN, Compressed, compression_rows
from .matching import Matcher
from .paired import drawn_changes, figure_of, paired_change
from .pairing import identity_of, paired_rows
from .prompts import require_same_gold, same_rows
from .rebuild import metric_of
from .result import CORRECTIONS, ComparedFigure, Comparison, Correction, Finding, Section, Side
from .rows import RowSource
from .significance import significance
from .subjects import FigurePair, Subject, labels_of, pairs_of

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["Allowed", "Preset", "compare_records"]

Allowed = Literal["prompts", "decoding"]
Preset = Literal["compression"]
_ALLOWS: Final[Mapping[str, str]] = {"prompts": "prompt", "decoding": "generation"}
_REMEDY: Final[Mapping[str, str]] = {
    "data": "run both on the same data, and on as many samples (--limit)",
    "prompt": "to compare prompts with one another: --allow-different prompts",
    "generation": "to compare decoding settings with one another: --allow-different decoding",
    "kind": "the task asks for something else, or reads the answer in another way: run one of them again",
    "signature": "score one of them again with this metric: evalharness score RUN --suite SUITE",
}
_MOST_REFUSALS: Final = 8


def compare_records(
    candidates: Sequence[Record | Subject],
    baseline: Record | Subject,
    *,
    confidence: float = 0.95,
    correction: Correction = "bh",
    allow_different: Iterable[Allowed] = (),
    tasks: Iterable[str] = (),
    metrics: Iterable[str] = (),
    n_changed: int = 10,
    preset: Preset | None = None,
    margin: float = DEFAULT_MARGIN,
) -> Comparison:
    """Each figure of `candidates` against `baseline`'s, with interval, test and the samples that changed.

    Args:
        candidates: What is compared; records, or single models or tasks of them.
        baseline: What it is compared with.
        confidence: Of the intervals; 1 − confidence is the level at which a difference counts as shown.
        correction: Of the p-values, over all figures of a table.
        allow_different: What may differ: prompts, decoding settings. The comparison then says so. Data, metrics and
            the kind of question never may.
        tasks: Only these tasks.
        metrics: Only these metrics.
        n_changed: At most so many samples that got worse, and as many that got better, of each figure.
        preset: `compression` adds what a quantised, pruned, distilled or fine-tuned model has kept of its base.
        margin: With the preset, how much worse a figure may be and count as kept, as a share of its range.

    Raises:
        NotComparableError: what must agree differs; the message names each field.
        UsageError: there is nothing to compare, or an option is wrong.
    """
    allowed = _allowed(allow_different)
    _check(confidence, correction)
    _check_preset(preset, margin)
    against = baseline if isinstance(baseline, Subject) else Subject(baseline)
    subjects = [c if isinstance(c, Subject) else Subject(c) for c in candidates]
    if not subjects:
        raise UsageError("there is nothing to compare with the baseline; name another run")
    wanted = _Wanted.of([*subjects, against], tasks, metrics)
    base_label, *labels = labels_of([against, *subjects])
    pairs, notes = [], []
    for subject in subjects:
        found, said = pairs_of(subject, against)
        kept = [pair for pair in found if wanted.has(pair.current)]
        if not kept:
            raise UsageError(f"{subject.name} and {against.name} have no figure in common of those that are wanted")
        pairs.append(kept)
        notes += said if not wanted.some else []
    differing = _require(subjects, against, pairs, allowed)
    figures: list[ComparedFigure] = []
    compressed: list[Compressed] = []
    picked: list[Picked] = []
    their_rows = RowSource(against.record)
    for subject, label, own in zip(subjects, labels, pairs, strict=True):
        if "prompt" in {name for pair in own for name in differing[pair]}:
            require_same_gold(subject.record, against.record, [p for p in own if "prompt" in differing[p]])
        our_rows, matcher = RowSource(subject.record), Matcher()
        first = len(figures)
        for pair in own:
            figure, more = _figure(pair, our_rows, their_rows, matcher, label, differing[pair], confidence, n_changed)
            figures.append(figure)
            picked += more
        compressed.append(Compressed(label, subject.record, against.record, own, figures[first:]))
    notes += [_incomplete(s.record) for s in [*subjects, against] if not s.record.manifest.complete]
    return Comparison(
        baseline=_side(against, base_label),
        candidates=tuple(_side(subject, label) for subject, label in zip(subjects, labels, strict=True)),
        figures=tuple(_adjusted(figures, correction, 1 - confidence)),
        changed=tuple(changed_samples(picked)),
        confidence=confidence,
        correction=correction,
        differs=tuple(sorted({name for names in differing.values() for name in names})),
        notes=tuple(dict.fromkeys(notes)),
        compression=compression_rows(compressed, margin=margin, confidence=confidence) if preset else (),
        attributions=tuple(
            drift
            for one in compressed
            for drift in attribution_drifts(
                one.label, one.record, one.base, one.pairs, confidence=confidence, seed=one.record.manifest.seed
            )
        ),
    )


def _allowed(given: Iterable[str]) -> frozenset[str]:
    names = list(given)
    for name in names:
        if name not in _ALLOWS:
            raise UsageError(f"allow_different: {name!r}: what may differ is {' or '.join(_ALLOWS)}")
    return frozenset(_ALLOWS[name] for name in names)


def _check(confidence: float, correction: str) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence: {confidence!r}: it lies between 0 and 1, as in 0.95")
    if correction not in CORRECTIONS:
        raise UsageError(f"correction: {correction!r}: it is one of {', '.join(CORRECTIONS)}")


def _check_preset(preset: str | None, margin: float) -> None:
    if preset not in (None, "compression"):
        raise UsageError(f"preset: {preset!r}: there is one, compression")
    if not 0 <= margin < 1:
        raise UsageError(f"margin: {margin!r}: a share of a figure's range, as in 0.02")


class _Wanted:
    """Which figures are asked for by name."""

    def __init__(self, tasks: frozenset[str], metrics: frozenset[str]) -> None:
        self._tasks, self._metrics = tasks, metrics
        self.some = bool(tasks or metrics)

    @classmethod
    def of(cls, subjects: Sequence[Subject], tasks: Iterable[str], metrics: Iterable[str]) -> _Wanted:
        asked = frozenset(tasks), frozenset(metrics)
        known = (
            {name for s in subjects for r in s.figures for name in (r.task, r.task.partition("@")[0])},
            {r.metric for s in subjects for r in s.figures},
        )
        for what, names, there in zip(("task", "metric"), asked, known, strict=True):
            for name in sorted(names - there):
                near = suggestion(name, there) or f"; there is {', '.join(sorted(there)) or 'none'}"
                raise UsageError(f"neither side has a {what} {name!r}{near}")
        return cls(*asked)

    def has(self, figure: MetricResult) -> bool:
        # Times and states are told of all samples: by group they would be many lines about little.
        if figure.group is not None and figure.metric in OPERATIONAL:
            return False
        by_task = not self._tasks or figure.task in self._tasks or figure.task.partition("@")[0] in self._tasks
        return by_task and (not self._metrics or figure.metric in self._metrics)


def _require(
    subjects: Sequence[Subject], against: Subject, pairs: Sequence[Sequence[FigurePair]], allowed: frozenset[str]
) -> dict[FigurePair, tuple[str, ...]]:
    """What each pair differs in and may; raise where it may not."""
    found: dict[FigurePair, tuple[str, ...]] = {}
    refused: dict[str, list[str]] = {}
    for subject, own in zip(subjects, pairs, strict=True):
        for pair in own:
            all_of_it = differences(
                *pair, identity_of(subject.record, pair.current), identity_of(against.record, pair.baseline)
            )
            names = {d.name for d in all_of_it} & allowed
            # A prompt that reads other fields of the same rows has another digest of what it read.
            if "prompt" in names and same_rows(subject.record, pair.current, against.record, pair.baseline):
                all_of_it = [d for d in all_of_it if d.name != "data"]
            for one in all_of_it:
                if one.name not in allowed:
                    _refuse(refused, one, pair, subject, against)
            found[pair] = tuple(sorted(names))
    if refused:
        shown = list(refused.items())[:_MOST_REFUSALS]
        lines = [f"{against.name} cannot be the baseline: what must agree differs"]
        for said, remedies in shown:
            lines += [said, f"    → {remedies[0]}"]
        if len(refused) > len(shown):
            lines.append(f"  and {len(refused) - len(shown)} more; --task and --metric choose what is compared")
        raise NotComparableError("\n".join(lines))
    return found


def _refuse(
    refused: dict[str, list[str]], one: Difference, pair: FigurePair, subject: Subject, against: Subject
) -> None:
    figure = f"{pair.current.task}.{pair.current.metric}" if one.name == "signature" else f"tasks[{pair.current.task}]"
    field = one.name if one.name == "signature" else f"identity.{one.name}"
    said = f"  {figure}.{field}: {one.ours} in {subject.name}, {one.theirs} in {against.name}"
    refused.setdefault(said, []).append(_REMEDY.get(one.name, "run one of them again"))


def _figure(
    pair: FigurePair,
    our_rows: RowSource,
    their_rows: RowSource,
    matcher: Matcher,
    label: str,
    differs: tuple[str, ...],
    confidence: float,
    n_changed: int,
) -> tuple[ComparedFigure, list[Picked]]:
    current, baseline = pair
    metric = metric_of(our_rows.record, current)
    paired = paired_rows(our_rows, current, their_rows, baseline, by_id="prompt" in differs, matcher=matcher)
    rows = paired.measured(metric)
    seed = our_rows.record.manifest.seed
    n = len(rows.current)
    drawn = drawn_changes(rows.current, rows.baseline, metric, rows.codes, seed)
    change = paired_change(
        rows.current, rows.baseline, metric, confidence=confidence, seed=seed, codes=rows.codes, drawn=drawn
    )
    found = significance(metric, rows.current, rows.baseline, change, codes=rows.codes, seed=seed, drawn=drawn)
    # A regression is what got worse; a difference is value − baseline.
    down = metric.higher_is_better
    low, high = (-change.high, -change.low) if down else (change.low, change.high)
    section: Section = (
        "operations"
        if current.metric in OPERATIONAL
        else "figures"
        if current.group is None and not is_group_figure(current.metric, current.signature)
        else "groups"
    )
    figure = ComparedFigure(
        section=section,
        task=current.task,
        metric=current.metric,
        group=current.group,
        candidate=label,
        model=current.model,
        baseline_task=baseline.task,
        baseline_model=baseline.model,
        higher_is_better=metric.higher_is_better,
        value=figure_of(metric, rows.current),
        baseline=figure_of(metric, rows.baseline),
        difference=-change.regression if down else change.regression,
        low=low,
        high=high,
        confidence=confidence,
        interval_method=change.method,
        p_value=found.p_value,
        adjusted_p=math.nan,
        test=found.test,
        effect=found.effect,
        effect_name=found.effect_name,
        wins=change.n_better,
        losses=change.n_worse,
        ties=n - change.n_better - change.n_worse,
        right_to_wrong=found.right_to_wrong,
        wrong_to_right=found.wrong_to_right,
        n_paired=n,
        n_only_candidate=rows.n_only_current,
        n_only_baseline=rows.n_only_baseline,
        n_missing=current.n_failed,
        n_missing_baseline=baseline.n_failed,
        finding="nothing to compare" if not n else "no difference shown",
        differs=differs,
        towards_best=_towards_best(best_between(metric), current, baseline),
        best=best_between(metric),
    )
    if section != "figures" or not n_changed:
        return figure, []
    is_flip = found.right_to_wrong is not None
    records = our_rows.record, their_rows.record
    return figure, pick(pair, records, label, rows, metric, limit=n_changed, is_flip=is_flip)


def _adjusted(figures: Sequence[ComparedFigure], correction: Correction, level: float) -> list[ComparedFigure]:
    """The figures with their p-values adjusted, table by table, and what follows from them."""
    from ..stats.multiple import benjamini_hochberg, benjamini_yekutieli, holm

    adjust = {"bh": benjamini_hochberg, "by": benjamini_yekutieli, "holm": holm}.get(correction)
    adjusted: dict[int, float] = {}
    for section in dict.fromkeys(figure.section for figure in figures):
        places = [i for i, figure in enumerate(figures) if figure.section == section]
        values = [figures[i].p_value for i in places]
        found = values if adjust is None else [float(p) for p in adjust(values)]
        adjusted.update(zip(places, found, strict=True))
    return [
        replace(figure, adjusted_p=adjusted[i], finding=_finding(figure, adjusted[i], level))
        for i, figure in enumerate(figures)
    ]


def _finding(figure: ComparedFigure, adjusted_p: float, level: float) -> Finding:
    if figure.finding == "nothing to compare" or not adjusted_p <= level or figure.difference == 0:
        return figure.finding
    if figure.towards_best is not None:
        return figure.towards_best
    return "better" if (figure.difference > 0) == figure.higher_is_better else "worse"


def _towards_best(best: float | None, current: MetricResult, baseline: MetricResult) -> Finding | None:
    """What a difference means of a figure that is best between its bounds, such as a bias score; None for others.

    On one side of the best value the difference is that of the distances from it. Across it, −0.3 after 0.3, the one is
    farther away only where its interval of distances lies beyond the other's.
    """
    if best is None:
        return None
    after, before = current.value - best, baseline.value - best
    if after * before >= 0:
        return "better" if abs(after) < abs(before) else "worse"
    (near, far), (was_near, was_far) = _distances(current, best), _distances(baseline, best)
    return "worse" if near > was_far else "better" if far < was_near else "changed sides"


def _distances(result: MetricResult, best: float) -> tuple[float, float]:
    """The interval of a figure's distance from `best`."""
    low, high = result.ci_low - best, result.ci_high - best
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def _side(subject: Subject, label: str) -> Side:
    manifest = subject.record.manifest
    return Side(label, manifest.id, manifest.suite_name, manifest.created_utc, subject.model, subject.task)


def _incomplete(record: Record) -> str:
    return f"{record.id} is not complete: its figures are those of a part"
