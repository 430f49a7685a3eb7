"""Budgets of a run: requests, tokens, money. Before a request is sent, the most that it may use is reserved.

Requests are let go in rounds: as many as the budgets can bear if each used the most that it may. At the end of a round
what the answers say takes the place of what was reserved, and what is left over lets the next round go. Where all
requests fit at once there is one round, or one for every few thousand, and a budget costs no time. When not even the
next request fits, the run stops; what was answered is kept, as always.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evalharness.core.errors import BudgetError
from evalharness.core.types import FAILED_STATES, Request, Response
from evalharness.suite.schema import Execution, Price

from .estimate import Tokens, estimate, estimated_usd

__all__ = ["Budget", "Limits"]

# What is reserved for the requests of a round stays in memory. A round of batches is waited for for hours: there
# should be few of them.
_MOST_A_ROUND = 5_000
_MOST_IN_BATCHES = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a run may use; None for no limit."""

    budget_usd: float | None = None
    max_requests: int | None = None
    max_tokens: int | None = None

    @classmethod
    def of(cls, execution: Execution) -> Limits | None:
        """The limits that a suite sets, None where it sets none."""
        found = cls(execution.budget_usd, execution.max_requests, execution.max_tokens)
        return None if found == cls() else found


@dataclass(slots=True)
class _Use:
    requests: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, other: _Use, sign: int = 1) -> None:
        self.requests += sign * other.requests
        self.tokens += sign * other.tokens
        self.usd += sign * other.usd


class Budget:
    """Lets requests go as long as `limits` can bear them; what this run uses is counted, stored answers are not.

    `keeps` tells whether answers are stored, `most_output` the most tokens of an answer by model, where that is not
    what requests say, `in_batches` whether services are asked in batches. A retry is a request, too: `grant_retry` is
    asked before each. An answer that does not say its tokens keeps what was reserved for it; one that failed used no
    tokens.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        keeps: bool = True,
        most_output: Mapping[str, int] | None = None,
        in_batches: bool = False,
    ) -> None:
        self.limits = limits
        self._in_batches = in_batches
        self.spent = _Use()
        self.n_left = 0
        self._keeps = keeps
        self._most_output = most_output or {}
        self._reserved = _Use()
        self._by_key: dict[str, _Use] = {}

    def rounds(
        self, model: str, price: Price | None, requests: Sequence[Request], places: array[int]
    ) -> Iterator[array[int]]:
        """`places` in parts, each to be asked and settled before the next one is taken.

        Raises:
            BudgetError: the next request could exceed a limit.
        """
        most_output = self._most_output.get(model)
        start, most = 0, _MOST_IN_BATCHES if self._in_batches else _MOST_A_ROUND
        while start < len(places):
            part = array("Q")
            for place in places[start : start + most]:
                request = requests[place]
                tokens = estimate(request, most_output=most_output)
                use = _Use(1, sum(tokens), estimated_usd(tokens, price) if price is not None else 0.0)
                if (short := self._short(use)) is not None:
                    if not part:
                        raise BudgetError(self._message(short, model, tokens, use))
                    break
                self._by_key[request.key] = use
                self._reserved.add(use)
                part.append(place)
            yield part
            start += len(part)
            # Whatever came of them, nothing of this round is in flight any more.
            self._reserved, self._by_key = _Use(), {}

    def settle(self, response: Response, cost_usd: float | None) -> None:
        """Put what `response` used in the place of what was reserved for it."""
        reserved = self._by_key.pop(response.key, _Use())
        self._reserved.add(reserved, -1)
        self._reserved.requests -= response.n_retries
        unsaid = _Use() if response.status in FAILED_STATES else reserved
        said = response.input_tokens is not None and response.output_tokens is not None
        tokens = (response.input_tokens or 0) + (response.output_tokens or 0) if said else unsaid.tokens
        usd = unsaid.usd if cost_usd is None else cost_usd
        self.spent.add(_Use(1 + response.n_retries, tokens, usd))
        # One that failed is not kept: it is asked again with what is left.
        self.n_left -= response.status not in FAILED_STATES

    def grant_retry(self) -> bool:
        """Whether one more request may be sent; it is counted with its response."""
        most = self.limits.max_requests
        if most is not None and self.spent.requests + self._reserved.requests >= most:
            return False
        self._reserved.requests += 1
        return True

    def _short(self, use: _Use) -> str | None:
        """The budget that cannot bear `use`."""
        limits, spent, reserved = self.limits, self.spent, self._reserved
        if limits.max_requests is not None and spent.requests + reserved.requests + use.requests > limits.max_requests:
            return "max_requests"
        if limits.max_tokens is not None and spent.tokens + reserved.tokens + use.tokens > limits.max_tokens:
            return "max_tokens"
        if limits.budget_usd is not None and spent.usd + reserved.usd + use.usd > limits.budget_usd:
            return "budget_usd"
        return None

    def _message(self, short: str, model: str, tokens: Tokens, use: _Use) -> str:
        limit = f"${self.limits.budget_usd:g}" if short == "budget_usd" else f"{getattr(self.limits, short):,}"
        spent, could = {
            "max_requests": (f"{self.spent.requests:,} requests were sent", "the next one would be one more"),
            "max_tokens": (
                f"{self.spent.tokens:,} tokens were used",
                f"the next request to {model} may use {use.tokens:,} ({tokens.input:,} of its prompt, estimated, and "
                f"max_tokens {tokens.output:,})",
            ),
            "budget_usd": (
                f"${self.spent.usd:.6g} was spent",
                f"the next request to {model} may cost ${use.usd:.6g}",
            ),
        }[short]
        kept = (
            "what was answered is kept, and the same command with a larger budget continues from it"
            if self._keeps
            else "the response store is off, so what was answered is lost; run again with a larger budget"
        )
        return (
            f"execution.{short} is {limit}: {spent}, and {could}; the run stopped with {self.n_left:,} requests left; "
            f"{kept}: --set execution.{short}=…"
        )
