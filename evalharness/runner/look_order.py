"""In which order a run in parts asks its samples, and where the parts end."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from evalharness.core.types import Sample
from evalharness.stats.arrays import Ints, np

__all__ = ["SampleOrder", "joint_fractions", "sample_order"]


@dataclass(frozen=True, slots=True, eq=False)
class SampleOrder:
    """Places of samples in the order of asking; part k ends before `ends[k]`, and the last part has the last sample.

    `groups` counts the samples of the groups that matter, by "column=value", up to the end of each part.
    """

    places: Ints
    ends: tuple[int, ...]
    groups: dict[str, tuple[int, ...]]

    def part(self, number: int) -> Ints:
        """The places of the samples of one part, ascending."""
        start = self.ends[number - 1] if number else 0
        found: Ints = np.sort(self.places[start : self.ends[number]])
        return found

    def up_to(self, number: int) -> Ints:
        """The places of the samples of all parts up to this one, ascending."""
        found: Ints = np.sort(self.places[: self.ends[number]])
        return found


def joint_fractions(orders: Sequence[SampleOrder]) -> dict[str | None, tuple[float, ...]]:
    """The share of the samples of several orders together that each part and those before it have: under None of all.

    Under "column=value" of those of the groups that any of them counts.
    """
    found: dict[str | None, tuple[float, ...]] = {None: _joint([order.ends for order in orders])}
    for group in {group: None for order in orders for group in order.groups}:
        found[group] = _joint([order.groups[group] for order in orders if group in order.groups])
    return found


def _joint(ends: Sequence[tuple[int, ...]]) -> tuple[float, ...]:
    sums = [sum(parts) for parts in zip(*ends, strict=True)]
    return tuple(end / max(sums[-1], 1) for end in sums)


def sample_order(samples: Sequence[Sample], *, seed: int, n_parts: int, groups: Collection[str] = ()) -> SampleOrder:
    """The order of `samples` in `n_parts` parts of about the same size.

    A sample's rank is a hash of the seed and of what it holds, so that another model, another run and a baseline have
    the same order, whatever else is in the data: pairs are complete at every look. Those of a cluster have its rank and
    stay in one part, so that the parts are independent of one another.
    """
    ranks = np.fromiter(_ranks(samples, seed), dtype=np.int64, count=len(samples))
    places = np.argsort(ranks, kind="stable").astype(np.int64)
    ranks = ranks[places]
    ends = [_end(ranks, ceil(len(samples) * part / n_parts)) for part in range(1, n_parts + 1)]
    part_of = np.empty(len(samples), dtype=np.int64)
    part_of[places] = np.searchsorted(np.array(ends), np.arange(len(samples)), side="right")
    return SampleOrder(places, tuple(ends), _counted(samples, part_of, n_parts, groups))


def _ranks(samples: Iterable[Sample], seed: int) -> Iterable[int]:
    for sample in samples:
        unit = f"sample {sample.digest}" if sample.cluster is None else f"cluster {sample.cluster}"
        text = f"{seed} {unit}".encode("utf-8", "surrogatepass")
        yield int.from_bytes(hashlib.sha256(text).digest()[:8], signed=True)


def _end(ranks: Ints, at: int) -> int:
    """`at`, or the place behind it where the last cluster before it ends."""
    while 0 < at < len(ranks) and ranks[at] == ranks[at - 1]:
        at += 1
    return at


def _counted(
    samples: Sequence[Sample], part_of: Ints, n_parts: int, groups: Collection[str]
) -> dict[str, tuple[int, ...]]:
    if not groups:
        return {}
    counts = {group: Counter[int]() for group in groups}
    for sample, part in zip(samples, part_of.tolist(), strict=True):
        for column, value in sample.groups.items():
            found = counts.get(f"{column}={value}")
            if found is not None:
                found[part] += 1
    ends = {group: np.cumsum([found[part] for part in range(n_parts)]).tolist() for group, found in counts.items()}
    return {group: tuple(found) for group, found in ends.items() if found[-1]}
