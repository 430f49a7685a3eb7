"""How models are asked on behalf of a monitor: by which clock, with whose code, and for which intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Asking", "system_clock"]


def system_clock() -> datetime:
    """The time of now."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Asking:
    """What whoever runs intervals allows.

    What is asked is answered by the production of now, so that intervals which are long over are not asked about unless
    `late` says so. `allow_code` lets suites run Python functions, `environ` (default: the process's) has their secrets.
    """

    clock: Callable[[], datetime] = system_clock
    allow_code: bool = False
    late: bool = False
    environ: Mapping[str, str] | None = None
