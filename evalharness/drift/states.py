"""Two window states compared: what a monitor does, whose rows are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from ..core.drifting import DriftFinding
from ..core.errors import NotComparableError, UsageError
from .base import Counts, DriftTest, Features, Moments, Window
from .decide import decided
from .lines import chosen_test, design_effect, tested
from .pictures import category_picture, numeric_picture
from .policy import Policy
from .state import WindowState
from .table import YES_OR_NO
from .tests.location import Rate
from .window import MISSING

_QUANTILES = ((0.5, "median"), (0.95, "p95"))

__all__ = ["compare_states", "findings_of_states", "picture_of_states", "summary_of_states"]


def compare_states(reference: WindowState, current: WindowState, policy: Policy) -> tuple[DriftFinding, ...]:
    """What has drifted between two windows, decided over all columns and segments.

    Raises:
        NotComparableError: for states of different layouts.
        UsageError: for a test that needs every row, or that does not fit its column.
    """
    return decided(findings_of_states(reference, current, policy), policy)


def findings_of_states(reference: WindowState, current: WindowState, policy: Policy) -> list[DriftFinding]:
    """The lines before they are decided: evidence and effect of each column, whole and by segment."""
    if reference.layout.digest != current.layout.digest:
        raise NotComparableError(
            f"the two windows are of different layouts: {reference.layout.difference(current.layout)}; "
            "make both from one frozen reference"
        )
    segments = ["", *sorted({*reference.segments, *current.segments})]
    sides = (reference, current)
    return [
        line
        for name in reference.layout.columns
        for segment in segments
        if not segment or name != segment.partition("=")[0]
        for line in _lines(name, segment, sides, policy.of_segment(segment))
    ]


def _lines(name: str, segment: str, sides: tuple[WindowState, WindowState], policy: Policy) -> Iterator[DriftFinding]:
    layout = sides[0].layout.columns[name]
    states = [side.column(name, segment) for side in sides]
    truth = layout.kind == "category" and bool(layout.names) and set(layout.names) <= set(YES_OR_NO)
    test = chosen_test(name, layout.kind, policy.tests, yes_or_no=truth)
    shapes = (_shape(test, name, segment, sides[0]), _shape(test, name, segment, sides[1]))
    sizes = (states[0].n, states[1].n)
    yield tested(name, segment, layout.kind, test, shapes, sizes, policy)
    if name in policy.sampled or not any(state.missing for state in states) or not any(state.n for state in states):
        return  # where nobody knows a value on either side, that is no news
    design = design_effect(*shapes)
    gone = [Counts(np.array([state.n, state.missing]) / design) for state in states]
    rows = (states[0].n + states[0].missing, states[1].n + states[1].missing)
    yield tested(name + MISSING, segment, "category", Rate(), (gone[0], gone[1]), rows, policy)


def _shape(test: DriftTest, name: str, segment: str, side: WindowState) -> Window:
    """The column in the first shape that the test takes and a state keeps.

    Raises:
        UsageError: where it takes none of them.
    """
    kind = side.layout.columns[name].kind
    for shape in test.takes:
        if shape is Counts and kind != "embedding":
            return _counts(test, name, segment, side)
        if shape is Moments and kind == "numeric":
            return side.moments(name, segment)
        if shape is Features and kind == "embedding":
            return side.features(name, segment)
    raise UsageError(
        f"the drift test {test.name} of column {name!r} needs every row, and a monitor keeps counts; "
        "choose another test (evalharness list drift)"
    )


def _counts(test: DriftTest, name: str, segment: str, side: WindowState) -> Counts:
    """The counts; for `rate` those of no and yes: of a category its level true, of numbers what lies above 0."""
    found = side.counts(name, segment)
    if test.name != "rate":
        return found
    layout = side.layout.columns[name]
    if layout.kind == "category":
        # A level that the reference never had is counted with the others: of yes and no, it is the one that is new.
        rest = YES_OR_NO[1] if YES_OR_NO[1] not in layout.names else ""
        yes = np.array([level == YES_OR_NO[1] for level in (*layout.names, rest)])
    else:
        yes = np.concatenate([layout.cuts > 0, [True]])
    join = np.stack([~yes, yes], axis=1).astype(np.float64)
    return Counts(found.counts @ join, None if found.groups is None else found.groups @ join)


def picture_of_states(reference: WindowState, current: WindowState, name: str) -> Mapping[str, Sequence[object] | str]:
    """The picture of a column for `DriftReport.pictures`; empty where a side has no rows, and of embeddings."""
    layout = reference.layout.columns[name]
    if layout.kind == "embedding" or not (reference.column(name).n and current.column(name).n):
        return {}
    sides = [side.counts(name).counts for side in (reference, current)]
    if layout.kind == "numeric":
        ends = [side.column(name).range for side in (reference, current)]  # type: ignore[union-attr]
        low, high = min(float(r[0]) for r in ends), max(float(r[1]) for r in ends)
        # Bins outside of the values are empty: their edges are drawn together.
        edges = np.concatenate([[low], np.clip(layout.cuts, low, high), [high]])
        found = numeric_picture(edges, sides[0], sides[1])
    else:
        found = category_picture([*layout.names, "others"], sides[0], sides[1])
    return found


def summary_of_states(reference: WindowState, current: WindowState, name: str) -> list[tuple[str, float, float]]:
    """(name, reference, current) figures: mean, quantiles of numbers, the share of the level that moved most."""
    kind = reference.layout.columns[name].kind
    sides = (reference, current)
    found: list[tuple[str, float, float]] = []
    if kind == "numeric" and all(side.column(name).n for side in sides):
        means = [side.moments(name).mean for side in sides]
        found.append(("mean", means[0], means[1]))
        found += [(label, *_pair(side.quantile(name, q) for side in sides)) for q, label in _QUANTILES]
    elif kind == "category" and all(side.column(name).n for side in sides):
        shares = [side.counts(name).counts / side.column(name).n for side in sides]
        names = (*reference.layout.columns[name].names, "other levels")
        yes = [i for i, level in enumerate(names) if level == YES_OR_NO[1] and set(names[:-1]) <= set(YES_OR_NO)]
        i = yes[0] if yes else int(np.argmax(np.abs(shares[1] - shares[0])))
        found.append((f"share of {names[i]}", float(shares[0][i]), float(shares[1][i])))
        if not yes:
            found += _levels_of(reference, current, name)
    gone = [side.column(name).missing for side in sides]
    if any(gone):
        rows = [side.column(name).n + side.column(name).missing for side in sides]
        found.append(("share missing", *_pair(g / max(n, 1) for g, n in zip(gone, rows, strict=True))))
    return found


def _levels_of(reference: WindowState, current: WindowState, name: str) -> list[tuple[str, float, float]]:
    """How many distinct levels there are, and the share of the most frequent one that no layout knew."""
    found = [("distinct values", *_pair(round(side.distinct(name)) for side in (reference, current)))]
    new = next(iter(current.fresh(name)), None)
    if new is not None:
        shares = (side.fresh(name).get(new, 0) / side.column(name).n for side in (reference, current))
        found.append((f"share of {new} (new)", *_pair(shares)))
    return found


def _pair(values: Iterable[float]) -> tuple[float, float]:
    first, second = values
    return first, second
