"""What answers cost: the price of each model, from the suite or from a dated price file, and the cost of a response.

A price file has `as_of`, `source` and, under `hosts`, the prices of the models behind each address: the same name may
cost something else, or nothing, behind another one. A model that runs here costs nothing and has no figure; a model
behind an address without a price has an unknown cost, which is not 0.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from evalharness.core.errors import Problem, SuiteError, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.secrets import resolve
from evalharness.core.types import Json, Response
from evalharness.suite.batches import batched_models
from evalharness.suite.judges import models_in_use
from evalharness.suite.node import Node, plain
from evalharness.suite.schema import Price, Strict
from evalharness.suite.variables import shown_path
from evalharness.suite.wording import described
from evalharness.suite.yamlfile import parse, read

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite

__all__ = ["BATCH_SHARE", "Tariff", "cost_of", "price_in_batches", "price_problems", "tariff_of"]

BATCH_SHARE = 0.5
"""What OpenAI and Anthropic charge for a request in a batch, as a share of the price."""

# Backends that compute here, or only read or script: nobody sends a bill for their tokens.
_FREE = frozenset({"hf-causal", "hf-seq2seq", "hf-classifier", "hf-masked", "python", "replay", "fake"})


class PriceFile(Strict):
    """A dated list of prices."""

    as_of: str = Field(description="The day on which they held.")
    source: str = Field("", description="Where they were read.")
    hosts: dict[str, dict[str, Price]] = Field(description="Prices by host and by name of the model.")


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of a suite's models by name, and where they stand; `unknown` are those that may cost and have none."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    batched: frozenset[str] = frozenset()
    """The models that are asked in batches."""

    def to_ask(self, model: str) -> Price | None:
        """The price at which `model` is asked now; None for one that has none."""
        price = self.prices.get(model)
        return price_in_batches(price) if price is not None and model in self.batched else price

    def describe(self, model: str) -> dict[str, Json]:
        """The price of `model` for the record; {} for one that has none."""
        if model not in self.prices:
            return {}
        share = {"batch": batch_share(self.prices[model])} if model in self.batched else {}
        return {**self.prices[model].model_dump(exclude_none=True), **share, "from": self.sources[model]}


def batch_share(price: Price) -> float:
    """The share of `price` that a request in a batch costs."""
    return BATCH_SHARE if price.batch is None else price.batch


def price_in_batches(price: Price) -> Price:
    """`price` for requests in batches."""
    share = batch_share(price)
    cached = None if price.cached_input is None else price.cached_input * share
    return Price(input=price.input * share, output=price.output * share, cached_input=cached)


def cost_of(price: Price, response: Response) -> float | None:
    """What `response` cost in US dollars; None where it does not say its tokens.

        (input - cached)·p_input + cached·p_cached_input + output·p_output, each per million

    and the batch's share of that for an answer that came in a batch, as `batch_id` of its meta says. `cached_tokens` of
    its meta are a part of its input tokens, reasoning tokens a part of its output tokens.
    """
    if response.input_tokens is None or response.output_tokens is None:
        return None
    cached = min(tokens_in_meta(response, "cached_tokens"), response.input_tokens)
    cached_price = price.input if price.cached_input is None else price.cached_input
    micro_usd = (
        (response.input_tokens - cached) * price.input + cached * cached_price + response.output_tokens * price.output
    )
    return micro_usd / 1e6 * (batch_share(price) if "batch_id" in response.meta else 1.0)


def tokens_in_meta(response: Response, name: str) -> int:
    """The count of tokens that the response's meta has under `name`; 0 where there is none."""
    found = response.meta.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def tariff_of(loaded: LoadedSuite, environ: Mapping[str, str] | None = None) -> Tariff:
    """The prices of the suite's models.

    Raises:
        SuiteError: the price file that the suite names cannot be used.
    """
    suite = loaded.suite
    path = suite.execution.prices
    wanted = [name for name, spec in suite.models.items() if spec.price is None and spec.backend not in _FREE]
    prices = {name: spec.price for name, spec in suite.models.items() if spec.price is not None}
    sources = dict.fromkeys(prices, "the suite")
    file = _read(loaded) if path is not None else _packaged() if wanted else PriceFile(as_of="", hosts={})
    for name in wanted:
        found = file.hosts.get(_host(suite.models[name], environ), {}).get(getattr(suite.models[name], "model", ""))
        if found is not None:
            prices[name] = found
            sources[name] = f"{path or 'the price file of evalharness'}, as of {file.as_of}"
    return Tariff(prices, sources, frozenset(wanted) - prices.keys(), batched_models(suite))


def price_problems(loaded: LoadedSuite, environ: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """What is wrong with the price file that the suite names, and the models that its `budget_usd` cannot watch."""
    suite = loaded.suite
    if suite.execution.prices is None and suite.execution.budget_usd is None:
        return
    try:
        tariff = tariff_of(loaded, environ)
    except SuiteError as error:
        yield from error.problems
        return
    if suite.execution.budget_usd is None:
        return
    for name in sorted(tariff.unknown & models_in_use(suite)):
        called = getattr(suite.models[name], "model", None)
        yield Problem(
            loaded.place_of(("models", name)),
            shown_path(("models", name, "price")),
            f"execution.budget_usd needs the price of every model, and that of {called or name!r} is not known; give "
            "it, in US dollars per million tokens: price: {input: 0.15, output: 0.60}, or zeros for a server of your "
            "own",
        )


def _host(spec: Any, environ: Mapping[str, str] | None) -> str:
    written = getattr(spec, "base_url", None) or getattr(spec, "url", None) or ""
    try:
        return urlsplit(resolve(written, os.environ if environ is None else environ)).hostname or ""
    except (UsageError, ValueError):
        return ""  # said where the address is checked


# ── price files ───────────────────────────────────────────────────────────────────────────────────────────────────


def _packaged() -> PriceFile:
    from importlib import resources

    text = (resources.files("evalharness.models") / "prices.yaml").read_text(encoding="utf-8")
    root, problems = parse(text, shown="prices.yaml")
    assert root is not None
    assert not problems
    return PriceFile.model_validate_json(json.dumps(plain(root)), strict=True)


def _read(loaded: LoadedSuite) -> PriceFile:
    written = loaded.suite.execution.prices or ""
    path = loaded.base / written
    root, problems = read(path, shown=str(path))
    if not path.is_file():
        reason = problems[0].message if problems else "it is no file"
        place = loaded.place_of(("execution", "prices"))
        raise SuiteError([Problem(place, "execution.prices", f"{written}: {reason}")])
    if root is None or problems:
        # The reader speaks of suites.
        raise SuiteError(replace(p, message=p.message.partition("; a suite")[0]) for p in problems)
    try:
        return PriceFile.model_validate_json(json.dumps(plain(root)), strict=True)
    except ValidationError as error:
        raise SuiteError(_problems(error, root)) from error


class _Fault:
    def __init__(self, error: Any) -> None:
        self.type: str = error["type"]
        self.context: Mapping[str, Any] = error.get("ctx", {})
        self.message: str = error["msg"]
        self.about_key = False


def _problems(error: ValidationError, root: Node) -> Iterator[Problem]:
    for found in error.errors(include_url=False, include_input=False):
        path, node, key = found["loc"], root, root.place
        for step in path:
            entry = node.mapping.get(str(step))
            if entry is None:
                break
            node, key = entry.node, entry.key
        if found["type"] == "missing":
            place, message = key, "is missing; a price file has as_of and hosts, a price has input and output"
        elif found["type"] == "extra_forbidden":
            known = list(PriceFile.model_fields if len(path) == 1 else Price.model_fields)
            near = suggestion(str(path[-1]), known) or f"; known: {', '.join(known)}"
            place, message = key, f"unknown key {str(path[-1])!r}{near}"
        else:
            place, message = node.place, described([_Fault(found)], node, path)
        yield Problem(place, shown_path(path), message)
