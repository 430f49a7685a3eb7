"""Decides the gates of a run while it goes on: what `execution.stop_when_decided` looks with.

At each look every blocking rule is put to the samples answered so far, as it would be to a whole run, and
`compare.sequential` holds the p-values against the boundaries of the looks, with Holm's step-down over the rules. What
came of it, with the error that was spent, goes into the record (`execution.looks`), where the gate finds it again
(`gate.looked`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..compare.comparable import require_comparable
from ..compare.paired import figure_of
from ..compare.pairing import identity_of
from ..compare.planned import Figures, LookDecider, MakeDecider, PlannedFigure, RowsSoFar, figures_planned
from ..compare.sequential import Design, LookedRule, LookedRules, Standing
from ..core.canonical import digest
from ..core.errors import UsageError
from ..core.nulls import best_between, direction
from ..core.types import Json, MetricResult
from ..suite.names import covers
from ..suite.schema import BaselineModel, Gates, Rule, StopWhenDecided, Suite
from .cases import decided_by, subject_of
from .decide import show
from .evidence import Evidence, absolute_evidence, paired_evidence
from .missing import bounded_absolute, bounded_paired
from .paired_cases import baseline_figure, question_of
from .rows import FigureRows, PairedRows, figure_rows
from .select import rule_name
from .verdicts import Question

if TYPE_CHECKING:
    from ..core.protocols import Array, Metric
    from ..record import Record

__all__ = ["GateLooks", "as_result", "decide_looks", "gates_digest"]

_TINY = 1e-12
_NOTHING = LookedRule(math.nan, math.nan)
_SPENDING = {"obrien-fleming": "O'Brien-Fleming", "pocock": "Pocock"}


def decide_looks(*, reports: str | Path = "reports", registry_url: str | None = None) -> MakeDecider:
    """What decides a suite's gates look by look; it finds the baseline as `decide_record` does."""

    def make(suite: Suite, figures: Sequence[PlannedFigure]) -> LookDecider:
        from .record_gate import find_baseline, needs_baseline

        gates = suite.gates
        assert gates is not None  # the suite is checked
        baseline = None
        if isinstance(gates.baseline, str) and needs_baseline(gates):
            baseline = find_baseline(gates.baseline, reports=Path(reports), registry_url=registry_url)
        return GateLooks(suite, figures, baseline)

    return make


def gates_digest(gates: Gates) -> str:
    """The sha256 of all that the gates say."""
    return digest(gates.model_dump(mode="json", exclude_none=True))


def _question(rule: Rule, figure: PlannedFigure) -> Question:
    if rule.kind == "at_least" or rule.kind == "at_most":
        return Question(((rule.number, rule.kind),))
    return question_of(rule, figure.metric)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule on one figure; what it is compared with are rows of the baseline, or another figure of the same run."""

    rule: Rule
    figure: PlannedFigure
    question: Question
    rows: FigureRows | None = None
    other: PlannedFigure | None = None

    @property
    def name(self) -> str:
        return rule_name(self.rule, as_result(self.figure, self.rule.group))


class _Seen(NamedTuple):
    """What a look saw of a rule: p-values, samples, and the figure, or its difference to the baseline."""

    found: LookedRule
    n: int
    value: float


class GateLooks:
    """A suite's blocking rules, followed over the looks of a run."""

    def __init__(self, suite: Suite, figures: Sequence[PlannedFigure], baseline: Record | None) -> None:
        """Find each rule's figures and what they are compared with.

        Raises:
            UsageError: a rule has no figure or no baseline; nothing was asked yet.
            NotComparableError: the baseline cannot be compared with.
        """
        gates, options = suite.gates, suite.execution.stop_when_decided
        assert gates is not None  # the suite is checked
        assert options is not None
        self._gates = gates
        self._options: StopWhenDecided = options
        self._seed = suite.seed
        self._baseline_id = None if baseline is None else baseline.manifest.id
        if isinstance(gates.baseline, BaselineModel) and any(rule.is_paired for rule in gates.rules):
            self._baseline_id = gates.baseline.model
        self._entries = [entry for rule in _looked_at(gates) for entry in _entries(rule, gates, figures, baseline)]
        designs = [
            Design(
                entry.figure.fractions[entry.rule.group],
                options.spending,
                gates.alpha,
                gives_up=options.futility,
            )
            for entry in self._entries
        ]
        self._rules = LookedRules(designs, correction=gates.correction)
        self._seen: list[list[_Seen]] = []

    @property
    def needed(self) -> frozenset[tuple[str, str, str]]:
        """The figures that the rules are about, and those that they are compared with."""
        found = {entry.figure.place for entry in self._entries}
        return frozenset(found | {entry.other.place for entry in self._entries if entry.other is not None})

    def look(self, number: int, figures: Figures) -> bool:
        """Whether every rule is decided, or given up, on the rows so far."""
        assert number == len(self._seen)  # looks come in order
        self._seen.append([self._looked(entry, figures) for entry in self._entries])
        standing = self._rules.look([seen.found for seen in self._seen[-1]])
        return "open" not in standing

    def _looked(self, entry: _Entry, figures: Figures) -> _Seen:
        told = self._evidence(entry, figures)
        evidence, allowed = (None, 0.0) if told is None else told
        if evidence is None or not evidence.n or not math.isfinite(evidence.value):
            return _Seen(_NOTHING, 0 if evidence is None else evidence.n, math.nan)
        found = LookedRule(entry.question.holds(evidence), entry.question.is_violated(evidence))
        return _Seen(found, evidence.n, evidence.value - allowed)

    def _evidence(self, entry: _Entry, figures: Figures) -> tuple[Evidence, float] | None:
        """What the samples so far say of a rule, and what of its value is a drop that is allowed; None for nothing."""
        group = entry.rule.group
        found = _of_group(figures[entry.figure.place], group)
        metric = entry.figure.metric if found.metric is None else found.metric
        worst_case = self._gates.missing == "worst_case"
        clusters = _clusters(found.clusters)
        if entry.rows is None and entry.other is None:
            if worst_case:
                return bounded_absolute(metric, found.values, found.n_failed, clusters=clusters, seed=self._seed), 0.0
            return absolute_evidence(metric, found.values, clusters=clusters, seed=self._seed), 0.0
        other, n_failed = entry.rows, found.n_failed
        if other is None:
            assert entry.other is not None
            against = _of_group(figures[entry.other.place], group)
            n_failed += against.n_failed
            other = FigureRows(_keys(against.digests), tuple(against.clusters), against.values)
        paired = _paired(found, other)
        relative = entry.rule.number if entry.rule.kind == "max_relative_drop" else 0.0
        before = _level(metric, figure_of(metric, paired.baseline)) if relative else 0.0
        if relative and (not before > 0 or (relative >= 1 and direction(metric) > 0)):
            return None  # a share of nothing is no drop, and one by all or more is none that could be exceeded
        if worst_case:
            return bounded_paired(metric, paired, n_failed, seed=self._seed, relative=relative), relative * before
        evidence = paired_evidence(
            metric,
            paired.current,
            paired.baseline,
            clusters=_clusters(paired.clusters),
            seed=self._seed,
            relative=relative,
        )
        return evidence, relative * before

    @property
    def n_given_up(self) -> int:
        """How many rules were given up at the last look."""
        return self._rules.standing.count("given up")

    def body(self) -> dict[str, Json]:
        """How the error was spent, and where each rule stands."""
        return {
            "spending": self._options.spending,
            "futility": self._options.futility,
            "alpha": self._gates.alpha,
            "correction": self._gates.correction,
            "gates": gates_digest(self._gates),
            "baseline_id": self._baseline_id,
            "rules": [self._told(place, entry) for place, entry in enumerate(self._entries)],
        }

    def _told(self, place: int, entry: _Entry) -> dict[str, Json]:
        state, (look, level) = self._rules.standing[place], self._rules.crossing(place)
        seen = self._seen[look][place]
        return {
            "rule": entry.name,
            "task": entry.figure.task,
            "model": entry.figure.model,
            "metric": entry.figure.name,
            "group": entry.rule.group,
            "state": "pass" if state == "pass" else "fail" if state == "fail" else "inconclusive",
            "given_up": state == "given up",
            "look": look + 1,
            "n": seen.n,
            "p_pass": _or_none(seen.found.p_pass),
            "p_fail": _or_none(seen.found.p_fail),
            "level": level,
            "fractions": list(entry.figure.fractions[entry.rule.group]),
            "reason": self._reason(entry, state, look, seen, level),
        }

    def _reason(self, entry: _Entry, state: Standing, look: int, seen: _Seen, level: float) -> str:
        over = ""
        if self._gates.correction == "holm" and len(self._entries) > 1:
            over = f" over {len(self._entries)} rules"
        spent = f"{_SPENDING[self._options.spending]} spending of alpha {self._gates.alpha:g}{over}"
        lead, where = _lead(entry, seen), f"look {look + 1} of {self._options.looks}"
        if math.isnan(seen.found.p_pass):
            return f"{lead}: there is no figure to decide on after {where}."
        if state == "given up":
            return (
                f"{lead}: given up at {where}, as it was no longer likely to pass on all samples; that is no proof "
                "that it is violated."
            )
        p = seen.found.p_fail if state == "fail" else seen.found.p_pass
        told = f"p = {p:.2g} where {level:.2g} was asked ({spent})"
        if state == "open":
            return f"{lead}: not decided by the last of {self._options.looks} looks, {told}; more samples are needed."
        return f"{lead}: {'shown to be violated' if state == 'fail' else 'shown to hold'} at {where}, {told}."


def _lead(entry: _Entry, seen: _Seen) -> str:
    """What the samples up to a look say of a figure."""
    figure, rule = entry.figure, entry.rule
    subject = subject_of(as_result(figure, rule.group))
    if not rule.is_paired:
        return f"{subject} is {show(seen.value, rule.number)} (n = {seen.n:,})"
    if math.isnan(seen.value):
        return subject
    way = "better" if seen.value > 0 else "worse"
    change = "as good as" if abs(seen.value) < _TINY else f"{show(abs(seen.value))} {way} than"
    return f"{subject} is {change} the baseline (n = {seen.n:,} paired)"


def _looked_at(gates: Gates) -> list[Rule]:
    """The rules that the looks decide; one on the point is a fact of whatever was asked, and waits for the end."""
    return [rule for rule in gates.rules if rule.tier == "block" and decided_by(rule, gates) == "interval"]


def _entries(rule: Rule, gates: Gates, figures: Sequence[PlannedFigure], baseline: Record | None) -> list[_Entry]:
    found = figures_planned(rule, figures)
    own = gates.baseline.model if isinstance(gates.baseline, BaselineModel) else None
    if own is not None and (rule.is_paired or rule.model is None):
        found = [figure for figure in found if not covers(own, figure.model)]
    if not found:
        group = f" for the group {rule.group}" if rule.group else ""
        raise UsageError(
            f"stop_when_decided: the rule on {rule.metric} has no figure{group} that the answers alone would give, so "
            "nothing could decide it; mend the rule, or give it the tier warn"
        )
    return [_entry(rule, figure, own, figures, baseline) for figure in found]


def _entry(
    rule: Rule, figure: PlannedFigure, own: str | None, figures: Sequence[PlannedFigure], baseline: Record | None
) -> _Entry:
    question = _question(rule, figure)
    if not rule.is_paired:
        return _Entry(rule, figure, question)
    if getattr(figure.metric, "is_known_by_answers", False):
        raise UsageError(
            f"stop_when_decided: lm-eval makes {figure.task}.{figure.name} of all documents together, so that those of "
            "a part cannot be paired with a baseline; give the rule the tier warn, or a limit: at_least, at_most"
        )
    if own is not None:
        return _Entry(rule, figure, question, other=_other(rule, figure, own, figures))
    if baseline is None:
        raise UsageError(
            f"the rule on {rule.metric} compares with a baseline, and there is none; promote a run: "
            "evalharness promote RUN --as production, and name it: gates.baseline: SUITE@production"
        )
    return _Entry(rule, figure, question, rows=_rows(rule, figure, baseline))


def _other(rule: Rule, figure: PlannedFigure, model: str, figures: Sequence[PlannedFigure]) -> PlannedFigure:
    """The same figure of the model that is the baseline; of its variants the one that was made as the figure's."""
    of_task = [f for f in figures if (f.task, f.name) == (figure.task, figure.name) and covers(model, f.model)]
    variant = figure.model.partition("@")[2]
    same = [f for f in of_task if f.model.partition("@")[2] == variant] or of_task
    if len(same) != 1:
        has = "no such figure" if not same else f"several ({', '.join(f.model for f in same)})"
        raise UsageError(
            f"the rule on {rule.metric} compares {figure.model} with the model {model} of this run, which has {has}; "
            "name one in gates.baseline"
        )
    return same[0]


def _rows(rule: Rule, figure: PlannedFigure, baseline: Record) -> FigureRows:
    """The baseline's rows of the same figure."""
    asked = as_result(figure, rule.group)
    against = baseline_figure(asked, baseline, None)
    if isinstance(against, str):
        raise UsageError(
            f"the rule on {rule.metric} of {figure.model} has nothing to be compared with in {baseline.manifest.id}: "
            f"{against}; promote a run of this suite"
        )
    require_comparable(
        asked,
        against,
        dict(figure.identity),
        identity_of(baseline, against),
        run_id="this run",
        baseline_id=baseline.manifest.id,
    )
    return figure_rows(baseline, against)


def as_result(figure: PlannedFigure, group: str | None) -> MetricResult:
    """A figure that has no value yet, for what asks for its names alone."""
    metric, nan = figure.metric, math.nan
    return MetricResult(
        task=figure.task,
        model=figure.model,
        metric=figure.name,
        value=nan,
        ci_low=nan,
        ci_high=nan,
        ci_method="none",
        confidence=0.95,
        n=figure.n,
        n_failed=0,
        higher_is_better=metric.higher_is_better,
        bounds=metric.bounds,
        signature=metric.signature,
        group=group,
    )


def _level(metric: Metric, before: float) -> float:
    """What a share of the baseline's figure is a share of: that, or how far it is from the best value."""
    best = best_between(metric)
    return before if best is None else abs(before - best)


def _of_group(rows: RowsSoFar, group: str | None) -> RowsSoFar:
    """The rows of a group; which of them failed is known of all samples only, and counted so."""
    if group is None:
        return rows
    mask = rows.members[group]
    places = mask.nonzero()[0].tolist()
    return rows._replace(
        values=rows.values[mask],
        digests=[rows.digests[i] for i in places],
        clusters=[rows.clusters[i] for i in places],
    )


def _keys(digests: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Each digest with how often it came before, so that samples of equal content are paired once."""
    seen: Counter[str] = Counter()
    keys = []
    for found in digests:
        keys.append((found, seen[found]))
        seen[found] += 1
    return tuple(keys)


def _paired(ours: RowsSoFar, theirs: FigureRows) -> PairedRows:
    """The rows of samples that both have; what the baseline has beyond them was not asked, and is not missing."""
    place = {key: i for i, key in enumerate(theirs.keys)}
    keys = _keys(ours.digests)
    mine = np.array([i for i, key in enumerate(keys) if key in place], dtype=np.intp)
    other = np.array([place[keys[i]] for i in mine], dtype=np.intp)
    values: Array = np.asarray(ours.values, dtype=np.float64)
    return PairedRows(
        current=values[mine],
        baseline=theirs.values[other],
        clusters=tuple(ours.clusters[i] for i in mine),
        only_current=np.delete(values, mine, axis=0),
        only_baseline=theirs.values[:0],
    )


def _clusters(found: Sequence[str | None]) -> Sequence[str | None] | None:
    return found if any(cluster is not None for cluster in found) else None


def _or_none(p: float) -> float | None:
    return None if math.isnan(p) else p
