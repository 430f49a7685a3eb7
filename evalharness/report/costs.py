"""What the answers of a record used and cost, model by model, and what the run itself spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.language import t
from .text import MISSING, amount

if TYPE_CHECKING:
    from ..record import RunManifest

__all__ = ["HEADS", "CostRow", "cost_rows", "cost_table", "cost_total", "spent_text", "usage_line", "usd"]


class CostTable(NamedTuple):
    """Heads (the first is text, all others numbers) and lines, as text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class CostRow(NamedTuple):
    """One model's use, or that of all models together; a count that is not known is None.

    `cost` is "known", "unknown" (the model may cost) or "none" (it runs here). `n_unpriced` answers of a model with
    a price do not say what they cost.
    """

    model: str
    cost: str
    n_answers: int | None
    n_requests: int | None
    n_retries: int | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    n_unpriced: int
    cost_usd: float | None
    spent_usd: float | None

    @property
    def cost_text(self) -> str:
        """`$0.0123`, `at least $0.01`, `unknown`, or — for a model that costs nothing."""
        if self.cost == "none":
            return MISSING
        if self.cost_usd is None:
            return t("unknown")
        known = usd(self.cost_usd)
        return t("at least %(cost)s", cost=known) if self.n_unpriced or self.cost == "unknown" else known


def usd(value: float | None) -> str:
    """`$12.34`; below a dollar three significant digits: `$0.0123`. — for None."""
    if value is None or not math.isfinite(value):
        return MISSING
    if not value or abs(value) >= 1:
        return f"${value:,.2f}" if value else "$0"
    return f"${value:.{min(2 - math.floor(math.log10(abs(value))), 12)}f}"


def cost_rows(manifest: RunManifest) -> list[CostRow]:
    """A row for each model of the record that has any use on record."""
    usage = _mapping(manifest.execution.get("usage"))
    return [_row(name, _mapping(part)) for name, part in _mapping(usage.get("models")).items()]


def cost_total(manifest: RunManifest) -> CostRow | None:
    """All models together; None for a record without use on record."""
    rows = cost_rows(manifest)
    if not rows:
        return None
    costs = {row.cost for row in rows}
    total = _row(t("total"), _mapping(_mapping(manifest.execution.get("usage")).get("total")))
    return total._replace(
        cost="unknown" if "unknown" in costs else "known" if "known" in costs else "none",
        n_unpriced=sum(row.n_unpriced for row in rows),
    )


def usage_line(row: CostRow) -> str:
    """The row in words: `gpt: 20 requests sent (2 retries), 1,200 tokens in (300 cached), 90 out, $0.0012`."""

    def part(count: int | None, what: str) -> str:
        return f" ({amount(count)} {what})" if count else ""

    return (
        f"{row.model}: {amount(row.n_requests)} requests sent{part(row.n_retries, 'retries')}"
        f" · {amount(row.input_tokens)} tokens in{part(row.cached_tokens, 'cached')}"
        f", {amount(row.output_tokens)} out{part(row.reasoning_tokens, 'of reasoning')}"
        f" · cost {row.cost_text}{f', {spent}' if (spent := spent_text(row)) else ''}"
    )


def spent_text(row: CostRow) -> str:
    """What the run itself spent, where that is less than what the answers cost."""
    if row.cost_usd is None or row.spent_usd is None or math.isclose(row.cost_usd, row.spent_usd):
        return ""
    return t("of which this run spent %(cost)s", cost=usd(row.spent_usd))


def _row(model: str, part: Mapping[str, Any]) -> CostRow:
    def count(name: str) -> int | None:
        value = part.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def money(name: str) -> float | None:
        value = part.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    cost = str(part.get("cost", "none"))
    return CostRow(
        model=model,
        cost=cost,
        n_answers=count("n_answers"),
        n_requests=count("n_requests"),
        n_retries=count("n_retries"),
        input_tokens=count("input_tokens"),
        cached_tokens=count("cached_tokens"),
        output_tokens=count("output_tokens"),
        reasoning_tokens=count("reasoning_tokens"),
        n_unpriced=(count("n_answers") or 0) - (count("n_priced") or 0) if cost == "known" else 0,
        cost_usd=money("cost_usd"),
        spent_usd=money("spent_usd"),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


_COUNTS = ("n_requests", "n_retries", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
HEADS = ("model", "requests sent", "retries", "tokens in", "cached", "tokens out", "reasoning", "cost", "spent now")


def cost_table(manifest: RunManifest) -> CostTable | None:
    """A line for each model and one for all together; None where no model may have cost anything."""
    rows = cost_rows(manifest)
    if all(row.cost == "none" for row in rows):
        return None
    total = cost_total(manifest)
    return CostTable(
        tuple(t(head) for head in HEADS),
        tuple(
            (row.model, *(amount(getattr(row, name)) for name in _COUNTS), row.cost_text, usd(row.spent_usd))
            for row in [*rows, *([total] if total is not None and len(rows) > 1 else [])]
        ),
    )
