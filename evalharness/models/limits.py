"""What requests of one model learn from one another: when the server wants quiet, and whether it was ever reached."""

from __future__ import annotations

from .retry import Timing

__all__ = ["Limits"]

_SPREAD_S = 0.5


class Limits:
    """The shared state of the requests in flight.

    A `Retry-After` holds back all requests, not only the one that was told: the other ninety-nine would be refused
    too. And once a request has spent its tries on a server that nobody has reached yet, the others do not spend
    theirs, so that a wrong address costs seconds, not hours.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._quiet_until = -1.0
        self._reached = False
        self._given_up = False

    async def wait(self) -> None:
        """Return when the server may be asked; those that were held back do not all return at once."""
        while (left := self._quiet_until - self._timing.clock()) > 0:
            await self._timing.sleep(left + self._timing.dice() * _SPREAD_S)

    def quiet_for(self, seconds: float) -> None:
        """Hold all requests back for `seconds` from now."""
        self._quiet_until = max(self._quiet_until, self._timing.clock() + seconds)

    def was_reached(self) -> None:
        """A reply came, of whatever status."""
        self._reached = True

    def gave_up(self) -> None:
        """A request has spent its tries and no reply came."""
        self._given_up = not self._reached

    @property
    def hopeless(self) -> bool:
        """Whether to spare further tries on connecting."""
        return self._given_up and not self._reached
