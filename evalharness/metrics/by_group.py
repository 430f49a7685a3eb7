"""Any metric by the levels of a group column: how far apart they are, with an interval that allows for having looked.

One mechanism serves fairness between groups of people, counterfactual pairs (the variants of one template share its
cluster) and robustness (each perturbation is a level, the untouched text the reference).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array, Metric, Need
from evalharness.core.registry import registry
from evalharness.core.types import Kind, Response, Sample
from evalharness.stats.arrays import Bools, np

from .base import require
from .disparity import LEAST_N, DisparityMetric

__all__ = ["OF_THE_TASK", "ByGroup", "Finding", "finding_of"]

OF_THE_TASK = "(of the task)"
"""What the option `metric` says where the metric behind the figure is another one of the task, handed in by code."""
_UNTOUCHED = "original"
Finding = Literal["biased", "within the margin", "not decided"]


def finding_of(low: float, high: float, *, margin: float = 0.0, null: float = 0.0) -> Finding:
    """What an interval says about a disparity whose value without bias is `null`: 0 for differences, 1 for ratios.

    Biased where the interval lies more than `margin` from it on one side, within the margin where all of it is no
    further away, else not decided. NaN decides nothing.
    """
    if low - null > margin or high - null < -margin:
        return "biased"
    return "within the margin" if low - null >= -margin and high - null <= margin else "not decided"


@dataclass(frozen=True, kw_only=True)
class ByGroup(DisparityMetric):
    """How far apart the levels of a group column are in another metric.

        difference = max_g v_g − min_g v_g,  ratio = min_g v_g / max_g v_g,  worst = the worst v_g,
        drop = v_reference − worst other v_g (a loss is positive),  gap = v_first − v_second (or v_other − v_reference)

    with v_g the metric's figure of the samples of level g. Where clusters have samples of several levels (the variants
    of one template, the perturbations of one text) these are compared within the cluster. The lower bound of a
    difference or a drop, the upper one of a ratio and the hopeful one of `worst` allow for having looked at all levels
    (max-t), so that a difference is shown between levels that do not differ in no more than 5 % of the cases at 95 %.
    NaN where a level has nothing to measure, and where there are fewer than two levels.

    Options:
        metric: the metric: `accuracy`, `{bleu: {lowercase: true}}`; one whose figure follows from totals (not AUROC
            or latency_p95_s), and no judge's.
        column: the group column.
        what: `difference`, `ratio` (of a metric that is never negative), `worst`, `drop` or `gap` (of two levels).
        reference: the level that `drop` starts from (default: `original`), or that `gap` subtracts.
        levels: the levels, the others being left out (default: all that the task's samples have).
        margin: the largest disparity that counts as none, for what a report finds; a gate has a limit of its own.
        least_n: with fewer samples (or clusters) in a level the interval is all that the figure can be.

    Source: fairlearn 0.15 `MetricFrame.difference`, `.ratio` and `.group_min` (`between_groups`), equal to 1e-12;
    interval by Hothorn, Bretz and Westfall 2008 over the jackknife of the levels' figures (`stats/disparity.py`).
    """

    metric: str | dict[str, dict[str, Any]]
    column: str
    what: Literal["difference", "ratio", "worst", "drop", "gap"] = "difference"
    reference: str | None = None
    levels: tuple[str, ...] | None = None
    margin: float = 0.0
    least_n: int = LEAST_N

    name = "by_group"

    def __post_init__(self) -> None:
        require(self.margin >= 0, f"margin must be at least 0; got {self.margin:g}")
        self.check_levels(self.reference)
        if self.what == "gap" and self.levels:
            require(len(self.levels) == 2, f"gap: is that of two levels; got {len(self.levels)}: name two in `levels`")
        if self.metric == OF_THE_TASK:
            return
        is_one = isinstance(self.metric, str) or len(self.metric) == 1
        require(is_one, "metric must be one metric: accuracy, or {bleu: {…}}")
        try:
            base = _metric(self.metric)
        except UsageError as error:
            require(False, str(error))
        self._check(base)
        object.__setattr__(self, "_base", base)

    def _check(self, base: Metric) -> None:
        fault = unfit(base)
        require(not fault, f"metric: {base.name} {fault}")
        negative = base.bounds[0] < 0
        require(self.what != "ratio" or not negative, f"ratio: {base.name} can be negative; use difference, or worst")

    def __hash__(self) -> int:
        return hash(self.signature)

    # ── the metric behind it ──────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def around(cls, base: Metric, column: str, what: Literal["difference", "ratio", "worst"]) -> ByGroup:
        """The disparity of a metric that is made already: another figure of the same task."""
        return cls(metric=OF_THE_TASK, column=column, what=what)._with(base)

    @property
    def base(self) -> Metric:
        """The metric whose figures the levels have.

        Raises:
            UsageError: it was to be handed in, and was not.
        """
        bound: Metric | None = self.__dict__.get("_base")
        if bound is None:
            raise UsageError("by_group: metric: name a metric: accuracy, or {bleu: {…}}")
        return bound

    def _with(self, base: Metric | None, **changed: Any) -> ByGroup:
        found = dataclasses.replace(self, **changed)
        if base is not None:
            object.__setattr__(found, "_base", base)
        return found

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        return cast(Metric, self._with(self.base.for_task(labels)))

    def with_levels(self, levels: tuple[str, ...]) -> Metric:
        return cast(Metric, self._with(self.__dict__.get("_base"), levels=levels))

    def for_run(self, *, base: Path, allow_code: bool) -> Metric:
        """With the metric behind it ready to compute: it may be the user's code."""
        load = getattr(self.base, "for_run", None)
        return cast(Metric, self if load is None else self._with(load(base=base, allow_code=allow_code)))

    def as_recorded(self, signature: str) -> Metric:
        """As the record has it: with its levels, and the metric behind it, which may be the user's code."""
        recorded = getattr(self.base, "as_recorded", None)
        inner = signature.partition("|of:(")[2].rpartition(")|")[0]
        base = self.__dict__.get("_base") if recorded is None else recorded(inner)
        return cast(Metric, self._with(base, levels=self.recorded_levels(signature)))

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """What the metric behind it needs and does not find."""
        for _, message in getattr(self.base, "faults", lambda base: ())(base):
            yield "metric", message

    def __getattr__(self, name: str) -> Any:
        # These make a metric of repeats, and one that has them is treated as such: only where the one behind it is.
        if name in ("repeat_stats", "merge_repeats", "least_repeats") and "metric" in self.__dict__:
            own = getattr(self.base, name)
            return {"repeat_stats": self._repeat_stats, "merge_repeats": self._merge_repeats}.get(name, own)
        raise AttributeError(name)

    def _repeat_stats(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Array:
        levels = [sample.groups.get(self.column) for sample in samples]
        return self.in_blocks(levels, self.base.repeat_stats, samples, groups)  # type: ignore[attr-defined]

    def _merge_repeats(self, rows: Array, owner: Any) -> Array:
        k = len(self.block_columns)
        blocks = rows[:, 1:].reshape(len(rows), -1, k)
        merged = self.base.merge_repeats(blocks.sum(axis=1), owner)  # type: ignore[attr-defined]
        first = np.unique(owner, return_index=True)[1]
        held: Bools = np.any(blocks[first], axis=2)
        found = np.where(held[:, :, None], merged[:, None, :], 0.0)
        return np.concatenate(
            [np.any(held, axis=1, keepdims=True).astype(np.float64), found.reshape(len(found), rows.shape[1] - 1)],
            axis=1,
        )

    # ── what it says of itself ────────────────────────────────────────────────────────────────────────────────────

    @property
    def kinds(self) -> frozenset[Kind]:  # type: ignore[override]
        return self.base.kinds

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        return self.base.needs

    @property
    def scores_blank(self) -> bool:  # type: ignore[override]
        return self.base.scores_blank

    @property
    def counts_states(self) -> bool:  # type: ignore[override]
        return bool(getattr(self.base, "counts_states", False))

    @property
    def paired(self) -> bool:
        """Whether the figure can be computed anew from two records."""
        return bool(getattr(self.base, "paired", True))

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        return self.base.higher_is_better if self.what == "worst" else self.what == "ratio"

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        low, high = self.base.bounds
        if self.what == "worst":
            return low, high
        if self.what == "ratio":
            return 0.0, 1.0
        return (0.0 if self.what == "difference" else low - high), high - low

    @property
    def probe_finding(self) -> str | None:
        """The value without any disparity, for reports: "zero", "one", or None where there is none."""
        return {"ratio": "one", "worst": None}.get(self.what, "zero")

    @property
    def signature(self) -> str:
        reference = json.dumps(self.reference, ensure_ascii=False)
        parts = (f"what:{self.what}", f"reference:{reference}", f"least_n:{self.least_n}")
        return self.signed(*parts, f"of:({self.base.signature})")

    # ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def block_columns(self) -> tuple[str, ...]:
        return tuple(self.base.columns)

    @property
    def level_bounds(self) -> tuple[float, float]:
        return self.base.bounds

    def block_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        return self.base.sample_stats(samples, responses)

    def rates(self, totals: Array) -> Array:
        return np.asarray(self.base.finalize(totals), dtype=np.float64)[..., None]

    def carries(self, units: Array) -> Bools:
        found: Bools = np.any(units, axis=-1, keepdims=True)
        return found

    def kind_of_disparity(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "reference": self._reference(),
            "sign": 1.0 if self.base.higher_is_better else -1.0,
        }

    def _reference(self) -> int:
        """The number of the level that is the reference; of a gap without one the second level is subtracted.

        Raises:
            UsageError: there is none of that name, or a gap has more than two levels.
        """
        levels = self.known_levels()
        if self.what == "gap":
            if len(levels) > 2:
                raise UsageError(
                    f"by_group: gap: {self.column!r} has {len(levels)} levels; name the two in `levels`, or use "
                    "what: difference"
                )
            return levels.index(self.reference) if self.reference in levels else 1
        if self.what != "drop" or len(levels) < 2:
            return 0
        wanted = _UNTOUCHED if self.reference is None else self.reference
        if wanted not in levels:
            raise UsageError(
                f"by_group: drop: {self.column!r} has no level {wanted!r} to start from; say which one: "
                f"{{by_group: {{…, what: drop, reference: {levels[0]}}}}}"
            )
        return levels.index(wanted)


def unfit(base: Metric) -> str:
    """Why a metric cannot be taken by group; "" where it can."""
    if hasattr(base, "finalize_rows"):
        return (
            "does not follow from totals of its samples, so no disparity can be told from those of each level; read "
            "its figures by group (the task's `groups`)"
        )
    if isinstance(base, DisparityMetric):
        return "is over groups itself"
    return ""


def _metric(spec: str | Mapping[str, Mapping[str, Any]]) -> Metric:
    """The metric behind the option `metric`, with its options checked as a suite's are.

    Raises:
        UsageError: there is none of that name, an option is wrong, or it asks a judge.
    """
    name, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    factory: Any = registry("metrics").load(name)
    if hasattr(factory, "for_judgement"):
        raise UsageError(
            f"metric: {name} asks a judge, which a metric of its own does; list it under `metrics`: its disparities "
            f"stand beside it ({name}_difference@COLUMN) where the task has `groups`"
        )
    if not options and not any(map(_is_required, dataclasses.fields(factory) if _is_typed(factory) else ())):
        return cast(Metric, factory())
    if not _is_typed(factory):
        return cast(Metric, factory(**options))
    from pydantic import TypeAdapter, ValidationError

    try:
        return cast(Metric, TypeAdapter(factory).validate_json(json.dumps(options), strict=True))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, (name, *first["loc"])))
        raise UsageError(f"metric: {place}: {first['msg']}") from error


def _is_typed(factory: Any) -> bool:
    return dataclasses.is_dataclass(factory)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
