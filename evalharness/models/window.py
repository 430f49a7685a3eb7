"""How many requests may be in flight: more while answers come, fewer in proportion to what the server refuses.

The window grows by a step for each round trip (a window's worth of answers), and the step doubles with each round trip
in which nothing was refused: the first ones double the window, and one that was cut grows back as fast as it is borne.
A refusal (429, 503, a timeout) cuts it once for each round trip, however many requests of that round are refused: by
half of the share that is being refused, as DCTCP does (Alizadeh et al., "Data Center TCP", SIGCOMM 2010, eq. 2). So a
server with a fixed capacity is used to some percent of it, a server that is overrun is left alone within a few round
trips, and one that refuses now and then, however busy it is, is not starved of requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

__all__ = ["Outcome", "Window"]

Outcome = Literal["taken", "refused", "unknown"]

# Servers that answer at once lose nothing by it, and it is less than what opens a thousand connections.
_FIRST = 100
_SHORTEST_MEMORY = 10
_LEAST_CUT = 0.05
_FIRST_STEP = 0.1


class Window:
    """Lets at most `most` requests in, and at first no more than 100; first come, first served."""

    def __init__(self, most: int, *, first: int = _FIRST) -> None:
        self._most = float(most)
        self._size = self._step = self._size_before = float(min(most, first))
        self._n_taken = 0
        self._refused_share = 0.0
        self._in_flight = self._busiest = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.round = 0
        """The number of cuts so far: what is sent now belongs to this round."""

    @property
    def size(self) -> int:
        """How many may be in flight."""
        return int(self._size)

    async def enter(self) -> None:
        """Return when one more may be sent; `leave` must follow."""
        if self._in_flight < self.size and not self._waiting:
            self._let_one_in()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:
                self._in_flight -= 1
            self._let_in()
            raise

    def leave(self, sent_in: int, outcome: Outcome) -> None:
        """One that was sent in the round `sent_in` is back, and was taken by the server, or refused."""
        if outcome == "taken":
            self._grow()
        elif outcome == "refused":
            self._note(1.0)
            # What was sent before the last cut says nothing about the window as it is now.
            if sent_in == self.round:
                self._cut()
        self._in_flight -= 1
        self._let_in()

    def _grow(self) -> None:
        self._note(0.0)
        # No further than a step beyond what was in flight: if something else holds requests back, the server was not
        # seen to bear more.
        if self._size < min(self._most, self._busiest + self._step):
            self._size = min(self._most, self._size + self._step / self._size)
        self._n_taken += 1
        if self._n_taken >= self._size_before:
            if self._busiest >= int(self._size_before):
                self._step = min(2 * self._step, self._size)
            self._begin_round_trip()
            self._busiest = self._in_flight

    def _cut(self) -> None:
        cut = max(1.0, self._size * max(self._refused_share / 2, _LEAST_CUT))
        self._size = max(1.0, self._size - cut)
        self._step = min(1.0, self._size * _FIRST_STEP)
        self.round += 1
        self._begin_round_trip()

    def _begin_round_trip(self) -> None:
        self._size_before, self._n_taken = self._size, 0

    def _note(self, refused: float) -> None:
        self._refused_share += (refused - self._refused_share) / max(self._size, _SHORTEST_MEMORY)

    def _let_in(self) -> None:
        while self._waiting and self._in_flight < self.size:
            # One that was cancelled in this very moment still stands in the queue; it removes itself.
            turn = next((turn for turn in self._waiting if not turn.done()), None)
            if turn is None:
                return
            self._waiting.remove(turn)
            self._let_one_in()
            turn.set_result(None)

    def _let_one_in(self) -> None:
        self._in_flight += 1
        self._busiest = max(self._busiest, self._in_flight)
