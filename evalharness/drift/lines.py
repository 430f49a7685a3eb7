"""One line of a window's table: one column of one segment, tested."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..core.drifting import ColumnKind, DriftFinding
from ..core.errors import UsageError
from ..core.types import Json
from .base import Counts, DriftTest, Window
from .defaults import default_test, make_test
from .policy import Policy
from .tests.location import Rate

__all__ = ["chosen_test", "design_effect", "tested"]


def chosen_test(column: str, kind: ColumnKind, tests: Mapping[str, Json], *, yes_or_no: bool) -> DriftTest:
    """The test of a column: what `tests` names for it, else the default of its kind: of truth values, `rate`.

    Raises:
        UsageError: for an unknown test or option, and for a test of another kind of column.
    """
    wanted = tests.get(column)
    if wanted is None:
        return Rate() if yes_or_no else default_test(kind)
    if isinstance(wanted, str):
        name, options = wanted, {}
    elif isinstance(wanted, Mapping) and len(wanted) == 1:
        name, given = next(iter(wanted.items()))
        options = dict(given) if isinstance(given, Mapping) else {}
    else:
        raise UsageError(f"the test of column {column!r} must be a name or {{name: {{option: value}}}}, not {wanted!r}")
    test = make_test(name, options)
    if test.name == Rate.name and kind == "category" and not yes_or_no:
        raise UsageError(
            f"the drift test rate is of true and false, or 0 and 1, but column {column!r} has other values; write them "
            "so, or choose chi_square"
        )
    if kind not in test.kinds:
        raise UsageError(
            f"the drift test {name} is for {' and '.join(test.kinds)} columns, but {column!r} is {kind}; "
            f"choose another test (evalharness list drift), or read the column as another kind"
        )
    return test


def design_effect(reference: Window, current: Window) -> float:
    """By how much clusters inflate the variance: the mean over bins, from the spread between random groups; 1 without.

    The variance of a bin's share between G groups, over what independent rows would have (Kish's design effect).
    """
    found = [_design_of(side) for side in (reference, current)]
    told = [value for value in found if math.isfinite(value)]
    return max(1.0, sum(told) / len(told)) if told else 1.0


def _design_of(side: Window) -> float:
    if not isinstance(side, Counts) or side.groups is None or side.n == 0:
        return math.nan
    groups = side.groups[side.groups.sum(axis=1) > 0]
    if len(groups) < 2:
        return math.nan
    shares = side.counts / side.n
    residual = groups - groups.sum(axis=1, keepdims=True) * shares
    between = (residual**2).sum(axis=0) * len(groups) / (len(groups) - 1)
    independent = side.n * shares * (1 - shares)
    return float(between.sum() / independent.sum()) if independent.sum() > 0 else math.nan


def tested(
    column: str,
    segment: str,
    kind: ColumnKind,
    test: DriftTest,
    sides: tuple[Window, Window],
    sizes: tuple[int, int],
    policy: Policy,
) -> DriftFinding:
    """Evidence and effect of one column, not yet decided; `sizes` are the rows that have a value."""
    effect = policy.effects.get(column, test.effect)
    least_n = policy.least_n
    bins = sides[0].counts.size if isinstance(sides[0], Counts) else 20
    design = design_effect(*sides)
    outcome = None if min(sizes) < least_n else test.compare(*sides, seed=policy.seed)
    smallest = test.smallest_effect(*sizes, policy.alpha, design=design, bins=bins) if min(sizes) else math.inf
    said = outcome is not None and not math.isnan(outcome.p_value)
    return DriftFinding(
        column=column,
        kind=kind,
        test=test.name,
        state="no_drift" if said else "too_few",
        reason="" if said else _too_few(sizes, least_n),
        p_value=outcome.p_value if outcome else math.nan,
        q_value=math.nan,
        effect=outcome.effect if outcome else math.nan,
        effect_name=test.effect_name,
        effect_threshold=effect,
        smallest_effect=smallest,
        statistic=outcome.statistic if outcome else math.nan,
        n_reference=sizes[0],
        n_current=sizes[1],
        segment=segment,
        effect_low=outcome.effect_low if outcome else math.nan,
        effect_high=outcome.effect_high if outcome else math.nan,
    )


def _too_few(sizes: tuple[int, int], least_n: int) -> str:
    if min(sizes) < least_n:
        return f"{sizes[0]:,} and {sizes[1]:,} values are too few: at least {least_n} are needed on each side"
    return "the values say nothing that could be tested"
