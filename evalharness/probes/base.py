"""What a probe is: something that makes rows, and says how they are asked and by which metrics they are scored.

```
ItemsProbe      rows of its own                      → one task for each of its parts
RewritingProbe  the rows of another task, rewritten  → that task again, asked once for each variant of a row
```

A probe is a frozen dataclass whose fields are the options that a suite may give; it asks no model and computes no
figure. What it makes becomes ordinary tasks of the suite, so that running, scoring, comparing and gating need to know
nothing of probes. A probe may have both shapes: it rewrites where the entry names a task. See `docs/probes.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from evalharness.core.types import Json, Row

__all__ = ["ORIGINAL", "ItemsProbe", "Part", "Probe", "Rewrite", "RewritingProbe", "Variant"]

ORIGINAL = "original"
"""The variant of a row that is the row itself."""

Rewrite: TypeAlias = Callable[[Row, tuple[str, ...]], Row | None]
"""(row, names of the fields to rewrite) -> the row with those fields changed; None where there is nothing to change."""


@dataclass(frozen=True, slots=True)
class Part:
    """One ordinary task that a probe makes.

    `task` has the keys of a task of a suite but id, model, dataset and limit; `keep` says which of the probe's rows it
    asks (None: all). The task is called `id/suffix`, or `id` where the probe has one part without a suffix.
    """

    task: Mapping[str, Json]
    suffix: str = ""
    keep: Callable[[Row], bool] | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One rewriting of each row of another task.

    `rewrite` leaves id, groups and cluster of a row alone: they are given to it. `task` has keys of the other task
    that this variant replaces: those that make the prompt, its choices and its gold answer.
    """

    name: str
    rewrite: Rewrite
    task: Mapping[str, Json] = field(default_factory=dict)


@runtime_checkable
class Probe(Protocol):
    """What every probe has; its docstring begins with the line that `evalharness list probes` shows.

    A class may also have: `flagged`, the word for a finding above its margin (default "biased"); `scoring`, its options
    that change how answers are scored and not what is asked (default margin and least_n): a record may be scored again
    with others of these; `speaks(figure) -> bool`: whether a figure that could be a finding is one (default: all are).
    """

    name: ClassVar[str]
    question: ClassVar[str]
    description: ClassVar[str]


@runtime_checkable
class ItemsProbe(Probe, Protocol):
    """A probe with items of its own.

    A class may also have `unit(row) -> str`: rows of one unit stand together, and no limit parts them (default: each
    row is one).
    """

    def rows(self, base: Path) -> Sequence[Row]:
        """Its items, with ids, groups and clusters; relative paths start from `base`, the suite's folder.

        Raises:
            UsageError: a file is not there.
            DataError: rows are wrong, each with its place.
        """
        ...

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        """The tasks that ask the items."""
        ...


@runtime_checkable
class RewritingProbe(Probe, Protocol):
    """A probe that asks the rows of another task in other words (`of: TASK`).

    `column` is the group column that says which variant a sample is. A class may also have `reference`: whether the
    untouched row is a variant, too, called "original" (default true); `of_answers`: whether what it rewrites in a
    prompt belongs rewritten in gold answers, too, so that a run warns where these are left as they are (default false);
    and `settings(task)`: by the part of the id (`id/part`), keys of the other task that are replaced for all its rows,
    such as `generate`. One with settings may have no variants, and the rows are then asked as they are.
    """

    column: ClassVar[str]

    def variants(self, task: Mapping[str, Json], base: Path) -> Sequence[Variant]:
        """The rewritings, without the original; `task` is the entry of the other task."""
        ...

    def metrics(self, metrics: Sequence[Json], levels: Sequence[str]) -> Sequence[Json]:
        """Entries under `metrics` of the task that is made, from those of the other task and the variants' names."""
        ...
