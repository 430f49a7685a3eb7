"""What a comparison found: plain values, which tables, pages and frames are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from ..core.canonical import to_jsonable
from .attributions import AttributionDrift
from .compression import CompressionRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CORRECTIONS",
    "ChangedSample",
    "ComparedFigure",
    "Comparison",
    "Correction",
    "Finding",
    "Section",
    "Side",
]

Correction = Literal["bh", "holm", "by", "none"]
CORRECTIONS: Mapping[str, str] = {
    "bh": "Benjamini-Hochberg",
    "holm": "Holm",
    "by": "Benjamini-Yekutieli",
    "none": "none",
}
"""How p-values are adjusted, and what that is called."""
Section = Literal["figures", "groups", "operations"]
Finding = Literal["better", "worse", "changed sides", "no difference shown", "nothing to compare"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things compared: a run, or a model or task of it. `label` tells it apart in tables."""

    label: str
    run: str
    suite: str
    created_utc: str
    model: str | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of a candidate against the baseline's, both on the samples that they have in common.

    `difference` is value − baseline in the metric's own unit, `low` and `high` its interval; it is better where it has
    the sign of `higher_is_better`; of a figure that is best between its bounds, such as a bias score, where it comes
    nearer to that (`best`, `towards_best`), and neither where it comes out as far on the other side ("changed sides").
    `adjusted_p` is `p_value` adjusted over the table (`section`) that the figure stands in. `wins`, `losses` and `ties`
    count the samples whose own value got better, worse, or stayed. The flips are None for figures that do not say right
    or wrong of a sample. `n_missing` are samples without a usable answer, which are in no pair unless they count as
    wrong. `differs` names what differs and was allowed to.
    """

    section: Section
    task: str
    metric: str
    group: str | None
    candidate: str
    model: str
    baseline_task: str
    baseline_model: str
    higher_is_better: bool
    value: float
    baseline: float
    difference: float
    low: float
    high: float
    confidence: float
    interval_method: str
    p_value: float
    adjusted_p: float
    test: str
    effect: float
    effect_name: str
    wins: int
    losses: int
    ties: int
    right_to_wrong: int | None
    wrong_to_right: int | None
    n_paired: int
    n_only_candidate: int
    n_only_baseline: int
    n_missing: int
    n_missing_baseline: int
    finding: Finding
    differs: tuple[str, ...] = ()
    towards_best: Finding | None = None
    best: float | None = None


@dataclass(frozen=True, slots=True)
class ChangedSample:
    """A sample whose own value changed, with both answers. `worsening` > 0 where the candidate does worse on it.

    `flip` says so of answers that are right or wrong. An answer is the text that came back, else the choice that was
    made, None where none came; `read` is what was read from the text where that is something else.
    """

    task: str
    metric: str
    candidate: str
    model: str
    sample_id: str
    value: float
    baseline_value: float
    worsening: float
    flip: Literal["right to wrong", "wrong to right"] | None
    prompt: str
    baseline_prompt: str | None
    gold: tuple[str, ...]
    answer: str | None
    read: str | None
    status: str
    baseline_answer: str | None
    baseline_read: str | None
    baseline_status: str
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs against a baseline on the same samples.

    `figures` hold all rows, sections together and in the order of the candidate's record. `changed` are samples of each
    figure, worst first. `differs` names what the runs differ in and were allowed to: it must be said with the figures.
    `compression` is filled by the preset of that name, `attributions` where both sides hold explanations.
    """

    baseline: Side
    candidates: tuple[Side, ...]
    figures: tuple[ComparedFigure, ...]
    changed: tuple[ChangedSample, ...]
    confidence: float
    correction: Correction
    differs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    compression: tuple[CompressionRow, ...] = ()
    attributions: tuple[AttributionDrift, ...] = ()

    def of(self, section: Section) -> tuple[ComparedFigure, ...]:
        """The rows of one table."""
        return tuple(figure for figure in self.figures if figure.section == section)

    def frame(self) -> pd.DataFrame:
        """One row a figure, with the names of `ComparedFigure`; `differs` as text."""
        import pandas as pd

        names = [field.name for field in fields(ComparedFigure)]
        rows = [asdict(figure) for figure in self.figures]
        columns = {}
        for name in names:
            cells = [" ".join(row[name]) if name == "differs" else row[name] for row in rows]
            text = name in _TEXT
            kind = "object" if text else "Int64" if name in _WHOLE else None
            columns[name] = pd.Series(cells, dtype=kind)
        return pd.DataFrame(columns)

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain JSON types; numbers that are not finite as "nan" and "inf"."""
        found: dict[str, Any] = to_jsonable(self)
        return found


_TEXT = frozenset(
    {"section", "task", "metric", "group", "candidate", "model", "baseline_task", "baseline_model", "interval_method"}
    | {"test", "effect_name", "finding", "differs"}
)
_WHOLE = frozenset(
    {"wins", "losses", "ties", "right_to_wrong", "wrong_to_right", "n_paired", "n_only_candidate", "n_only_baseline"}
    | {"n_missing", "n_missing_baseline"}
)
