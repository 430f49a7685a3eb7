"""What a run used: requests, tokens and money, by model, of all its answers and of those that it asked for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from evalharness.core.types import Json, Response

from .prices import Tariff, tokens_in_meta

__all__ = ["Usage", "nothing_spent", "total_of", "usage_block"]


@dataclass(slots=True)
class Usage:
    """Sums over answers. Cached tokens are a part of the input tokens, reasoning tokens a part of the output tokens.

    `n_requests` counts what this run sent, retries included. `n_priced` of the `n_answers` have a cost; `cost_usd` is
    what those cost when they were asked, `spent_usd` what this run spent on them.
    """

    n_answers: int = 0
    n_from_store: int = 0
    n_requests: int = 0
    n_retries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    spent_tokens: int = 0
    n_priced: int = 0
    cost_usd: float = 0.0
    spent_usd: float = 0.0

    def add(self, response: Response, *, from_store: bool) -> None:
        """Count `response`."""
        tokens_in, tokens_out = response.input_tokens or 0, response.output_tokens or 0
        self.n_answers += 1
        self.input_tokens += tokens_in
        self.output_tokens += tokens_out
        if response.meta:
            self.cached_tokens += tokens_in_meta(response, "cached_tokens")
            self.reasoning_tokens += tokens_in_meta(response, "reasoning_tokens")
        cost = response.meta.get("cost_usd")
        known = isinstance(cost, int | float)
        if known:
            self.n_priced += 1
            self.cost_usd += cost  # type: ignore[operator]
        if from_store:
            self.n_from_store += 1
            return
        self.n_requests += 1 + response.n_retries
        self.n_retries += response.n_retries
        self.spent_tokens += tokens_in + tokens_out
        if known:
            self.spent_usd += cost  # type: ignore[operator]


def total_of(usage: Mapping[str, Usage]) -> Usage:
    """The sums over all models."""
    return Usage(**{f.name: sum(getattr(part, f.name) for part in usage.values()) for f in fields(Usage)})


def usage_block(usage: Mapping[str, Usage], tariff: Tariff) -> dict[str, Json]:
    """What the record keeps under `execution.usage`: by model, and in total.

    Costs are null where no answer has one. `cost` says of a model whether it is "known", "unknown" (it may cost, and
    has no price, or does not say its tokens) or "none" (it runs here).
    """
    models: dict[str, Json] = {}
    for name, part in usage.items():
        known = name in tariff.prices
        unknown = name in tariff.unknown or (known and not part.n_priced)
        models[name] = {
            **_plain(part),
            "cost": "unknown" if unknown else "known" if known else "none",
            **({"price": tariff.describe(name)} if known else {}),
        }
    return {"models": models, "total": _plain(total_of(usage))}


def nothing_spent(block: Json) -> Json:
    """A recorded usage as that of a run that asked nothing: what the answers cost stays, what was spent is 0."""
    if not isinstance(block, Mapping):
        return block
    models = block.get("models")
    parts = models if isinstance(models, Mapping) else {}
    return {
        "models": {name: _unspent(part) for name, part in parts.items()},
        "total": _unspent(block.get("total")),
    }


def _unspent(part: Json) -> Json:
    if not isinstance(part, Mapping):
        return part
    spent: dict[str, Json] = {"n_from_store": part.get("n_answers"), "n_requests": 0, "n_retries": 0, "spent_tokens": 0}
    return {**part, **spent, "spent_usd": None if part.get("spent_usd") is None else 0.0}


def _plain(part: Usage) -> dict[str, Json]:
    plain: dict[str, Json] = asdict(part)
    if not part.n_priced:
        plain |= {"cost_usd": None, "spent_usd": None}
    return plain
