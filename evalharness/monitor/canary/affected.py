"""Which samples of a task are like what moved in production: of the drifted segment, or where its inputs went."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from evalharness.core.drifting import DriftFinding

if TYPE_CHECKING:
    from evalharness.core.production import ProductionResponse

    from ..describe import Watch

__all__ = ["Affected", "affected_samples", "moved_most"]

_BINS: Final = 10
_LEAST: Final = 10
# What holds so much more of production than of the task has gained.
_GAINED: Final = 1.2
_TERMS: Final = 12


class Affected(NamedTuple):
    """Samples of a task by their ids (None: all of them), and what they have in common, in words."""

    samples: frozenset[str] | None
    what: str
    segment: str = ""


def moved_most(findings: Sequence[DriftFinding]) -> DriftFinding | None:
    """The finding that speaks for a window's drift: of the column that is furthest beyond its threshold.

    It is that of a segment where only some of the column's segments have drifted, and the whole where all have. None
    where nothing has drifted.
    """
    drifted = [one for one in findings if one.drifted]
    if not drifted:
        return None
    column = max(drifted, key=_excess).column
    own = [one for one in findings if one.column == column and one.state != "too_few"]
    segments = [one for one in own if one.segment]
    moved = [one for one in segments if one.drifted]
    whole = [one for one in own if one.drifted and not one.segment]
    local = moved and (len(moved) < len(segments) or not whole)
    return max(moved if local else whole, key=_excess)


def _excess(one: DriftFinding) -> float:
    share = abs(one.effect) / one.effect_threshold if one.effect_threshold else math.nan
    return -math.inf if math.isnan(share) else share


def affected_samples(
    finding: DriftFinding,
    task: Sequence[ProductionResponse],
    production: Sequence[ProductionResponse],
    watches: Sequence[Watch] = (),
) -> Affected:
    """The samples of a task that are like what moved.

    `task` are the task's samples as responses, whose ids are those of the samples and whose attributes are their
    groups; `production` are responses of the interval. Where the task has the drifted segment's group, they are that
    group. Else they are those samples whose value of the drifted column lies where production has at least 1.2 times
    the share that the task has (tenths of the task for numbers, levels for classes), or that hold a word which
    production has gained. A column that tells nothing of inputs, and fewer than ten such samples, give all.
    """
    name, _, level = finding.segment.partition("=")
    if finding.segment:
        of_group = frozenset(one.id for one in task if _level(one.attributes, name) == level)
        if of_group:
            return Affected(of_group, finding.segment, finding.segment)
        production = [one for one in production if _level(one.attributes, name) == level]
    like, what = _like(finding.column, task, production, watches)
    lead = f"{finding.segment}, which the task has no group for: " if finding.segment else ""
    if like is None:
        return Affected(None, f"{lead}the whole task ({what})")
    if len(like) < _LEAST:
        return Affected(None, f"{lead}the whole task (only {len(like)} of its samples have {what})")
    return Affected(like, f"{lead}samples with {what}")


def _level(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _like(
    column: str,
    task: Sequence[ProductionResponse],
    production: Sequence[ProductionResponse],
    watches: Sequence[Watch],
) -> tuple[frozenset[str] | None, str]:
    """The samples, and what they have in common; None and the reason where the column says nothing of them."""
    watch = next((one for one in watches if one.column == column), None)
    if column == "input.characters":
        lengths = [
            [math.nan if one.input is None else float(len(one.input)) for one in side] for side in (task, production)
        ]
        return _gained_numbers(column, task, *lengths)
    if watch is None or watch.side != "input":
        return None, f"{column} says nothing of a sample before it is asked"
    if watch.kind == "text":
        return _gained_terms(task, production)
    values = watch.values(task), watch.values(production)
    if watch.kind == "numeric":
        numbers = [[math.nan if one is None else float(one) for one in side] for side in values]
        return _gained_numbers(column, task, *numbers)
    return _gained_levels(column, task, *values)


def _gained_numbers(
    column: str, task: Sequence[ProductionResponse], ours: Sequence[float], theirs: Sequence[float]
) -> tuple[frozenset[str] | None, str]:
    own, now = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    known, there = own[~np.isnan(own)], now[~np.isnan(now)]
    if not len(known) or not len(there):
        return None, f"{column} is not known of them"
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    places, places_now = np.searchsorted(edges, known, side="right"), np.searchsorted(edges, there, side="right")
    share = np.bincount(places, minlength=len(edges) + 1) / len(known)
    gained = np.bincount(places_now, minlength=len(edges) + 1) / len(there) >= _GAINED * share
    chosen = ~np.isnan(own) & gained[np.searchsorted(edges, own, side="right")]
    picked = own[chosen]
    span = f"{picked.min():.6g} to {picked.max():.6g}" if len(picked) else "values that it has more of now"
    return frozenset(one.id for one, yes in zip(task, chosen, strict=True) if yes), f"{column} of {span}"


def _gained_levels(
    column: str, task: Sequence[ProductionResponse], ours: Sequence[Any], theirs: Sequence[Any]
) -> tuple[frozenset[str] | None, str]:
    levels = sorted({value for value in theirs if value is not None}, key=str)
    if not levels:
        return None, f"{column} is not known of production"
    gained = [
        level
        for level in levels
        if theirs.count(level) / len(theirs) >= _GAINED * ours.count(level) / max(len(ours), 1)
    ]
    named = " or ".join("yes" if one is True else "no" if one is False else str(one) for one in gained)
    return frozenset(one.id for one, value in zip(task, ours, strict=True) if value in gained), f"{column} {named}"


def _gained_terms(
    task: Sequence[ProductionResponse], production: Sequence[ProductionResponse]
) -> tuple[frozenset[str] | None, str]:
    from evalharness.drift.terms import diagnose_texts
    from evalharness.drift.terms_of_text import document_terms

    found = diagnose_texts([one.input for one in task], [one.input for one in production], n_terms=_TERMS)
    terms = {one.term for one in found.terms if one.z > 0}
    if not terms:
        return None, "no word of its inputs is much more frequent in production"
    shown = ", ".join(sorted(terms))
    ids = frozenset(one.id for one in task if one.input and terms & document_terms(one.input))
    return ids, f"one of the words {shown}"
