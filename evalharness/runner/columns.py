"""What scoring keeps of a task's samples, as columns on the disk: a run of any length takes little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.spool import Spool
from evalharness.core.types import Sample
from evalharness.stats.arrays import Bools, Ints, np

__all__ = ["Blocks", "SampleBlock", "SampleColumns"]


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Some samples, one after the other."""

    ids: list[str]
    digests: list[str]
    clusters: list[str | None]


class SampleColumns:
    """The samples of a task in order: their names and clusters on the disk, groups and failures as short arrays."""

    def __init__(self, group_columns: Sequence[str] = ()) -> None:
        self._blocks: Spool[SampleBlock] = Spool(live_bytes=0)
        self._failed: list[Bools] = []
        self._codes: dict[str, list[Ints]] = {column: [] for column in group_columns}
        self._values: dict[str, dict[str, int]] = {column: {} for column in group_columns}
        self.clustered = False

    def append(self, samples: Sequence[Sample], failed: Sequence[bool]) -> None:
        """Add `samples`; `failed` tells which of them have a response without a usable answer."""
        clusters = [sample.cluster for sample in samples]
        self.clustered = self.clustered or any(cluster is not None for cluster in clusters)
        self._blocks.append(SampleBlock([s.id for s in samples], [s.digest for s in samples], clusters))
        self._failed.append(np.array(failed, dtype=bool))
        for column, known in self._values.items():
            found = (sample.groups.get(column) for sample in samples)
            codes = [-1 if value is None else known.setdefault(value, len(known)) for value in found]
            self._codes[column].append(np.array(codes, dtype=np.int64))

    def __len__(self) -> int:
        return sum(len(block) for block in self._failed)

    @property
    def failed(self) -> Bools:
        """(n,) whether a sample has a response without a usable answer."""
        return np.concatenate([*self._failed, np.zeros(0, dtype=np.bool_)])

    def groups(self, column: str) -> Iterator[tuple[str, Bools]]:
        """Each value of a group column, sorted, and (n,) which samples have it."""
        codes = np.concatenate([*self._codes[column], np.zeros(0, dtype=np.int64)])
        for value in sorted(self._values[column]):
            yield value, codes == self._values[column][value]

    def blocks(self, kept: Bools) -> Iterator[SampleBlock]:
        """The samples of which (n,) `kept` is true, in order."""
        start = 0
        for block, failed in zip(self._blocks, self._failed, strict=True):
            mask = kept[start : start + len(failed)]
            start += len(failed)
            if mask.all():
                yield block
            elif mask.any():
                places = mask.nonzero()[0].tolist()
                yield SampleBlock(
                    [block.ids[i] for i in places],
                    [block.digests[i] for i in places],
                    [block.clusters[i] for i in places],
                )

    def clusters(self, kept: Bools) -> list[str | None]:
        """The clusters of the samples of which (n,) `kept` is true."""
        return [cluster for block in self.blocks(kept) for cluster in block.clusters]


class Blocks:
    """An array written a block of rows at a time and read as a whole."""

    def __init__(self, *blocks: Any) -> None:
        self._blocks: Spool[Any] = Spool(blocks, live_bytes=0)  # few and large

    def append(self, block: Any) -> None:
        """Add rows at the end."""
        self._blocks.append(block)

    def array(self) -> Any:
        """All rows.

        Raises:
            ValueError: there is no block; give an empty one where there are no rows.
        """
        return np.concatenate(list(self._blocks))
