"""May one more request be sent? A run with a budget answers, and a backend asks before it tries a request again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["granted_by", "may_try_again"]

# A context variable: the tasks of a backend inherit it, and the backends need not hand it on.
_grant: ContextVar[Callable[[], bool] | None] = ContextVar("grant", default=None)


def may_try_again() -> bool:
    """Whether a further try may be sent now; each True is counted as one that is sent."""
    grant = _grant.get()
    return True if grant is None else grant()


@contextmanager
def granted_by(grant: Callable[[], bool]) -> Iterator[None]:
    """Within it, `grant` decides about further tries of this task and those that it starts."""
    token = _grant.set(grant)
    try:
        yield
    finally:
        _grant.reset(token)
