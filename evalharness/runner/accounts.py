"""The books of a run: what each answer costs, what each model used, and what the budgets can still bear."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from evalharness.core.allowance import granted_by
from evalharness.core.types import Request, Response
from evalharness.suite.schema import Price

from .budget import Budget
from .prices import cost_of
from .usage import Usage

__all__ = ["Accounts"]


class Accounts:
    """Puts the cost of each response into its meta, as `cost_usd`, and counts what it used.

    A stored answer keeps what it cost when it was asked; one that was asked without a price is reckoned at today's.
    """

    def __init__(
        self,
        prices: Mapping[str, Price] | None = None,
        budget: Budget | None = None,
        *,
        to_ask: Callable[[str], Price | None] | None = None,
    ) -> None:
        self.usage: dict[str, Usage] = {}
        self._prices = prices or {}
        self._budget = budget
        # At what a model is asked now: in batches it is cheaper.
        self._to_ask = to_ask or self._prices.get

    @property
    def has_no_limits(self) -> bool:
        """Whether there is no budget, so that all requests may go at once."""
        return self._budget is None

    def expect(self, n: int) -> None:
        """`n` more requests are to be asked."""
        if self._budget is not None:
            self._budget.n_left += n

    def rounds(self, model: str, requests: Sequence[Request], places: array[int]) -> Iterator[array[int]]:
        """`places` in parts that the budgets can bear, each to be asked before the next one is taken.

        Raises:
            BudgetError: a budget is used up.
        """
        if self._budget is None:
            return iter((places,))
        return self._budget.rounds(model, self._to_ask(model), requests, places)

    def retries(self) -> AbstractContextManager[None]:
        """Within it, the budget decides about retries."""
        return nullcontext() if self._budget is None else granted_by(self._budget.grant_retry)

    def stored(self, model: str, responses: Iterable[Response]) -> list[Response]:
        """The `responses` that were there already, with their costs."""
        return self._booked(model, responses, from_store=True)

    def asked(self, model: str, responses: Iterable[Response]) -> list[Response]:
        """The `responses` that were asked for now, with their costs."""
        found = self._booked(model, responses, from_store=False)
        if self._budget is not None:
            for response in found:
                cost = response.meta.get("cost_usd")
                self._budget.settle(response, cost if isinstance(cost, int | float) else None)
        return found

    def _booked(self, model: str, responses: Iterable[Response], *, from_store: bool) -> list[Response]:
        price, usage = self._prices.get(model), self.usage.setdefault(model, Usage())
        found = list(responses if price is None else (_with_cost(response, price) for response in responses))
        for response in found:
            usage.add(response, from_store=from_store)
        return found


def _with_cost(response: Response, price: Price) -> Response:
    cost = None if "cost_usd" in response.meta else cost_of(price, response)
    return response if cost is None else replace(response, meta={**response.meta, "cost_usd": cost})
