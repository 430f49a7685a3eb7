"""`ModelsPart`: which models answered, and a mark under the charts where production has changed to another one.

A model that answers 5 % of an interval's responses or more, and did not in the interval before, was deployed: with the
time of its first response. A rarer one may be a trial, or a router's last resort, and makes no mark. Nothing is said
where the interval before was not measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from evalharness.core.drifting import DriftFinding

from .parts import Found, Responses, Setting

__all__ = ["ModelsPart"]

_FILE: Final = "models.json"
_LEAST: Final = 0.05
_MOST_MODELS: Final = 1_000
_LONGEST: Final = 80


class ModelsPart:
    """Counts responses by the model that made them (`parts.Part`)."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._n = 0
        self._counts: dict[str, int] = {}
        self._first: dict[str, datetime] = {}

    @property
    def input_digest(self) -> str:
        """Nothing is read beside the responses."""
        return ""

    def add(self, responses: Responses) -> Responses:
        """Count; the responses stay as they are."""
        for one in responses:
            if not one.model:
                continue
            self._n += 1
            if one.model not in self._counts and len(self._counts) >= _MOST_MODELS:
                continue
            self._counts[one.model] = self._counts.get(one.model, 0) + 1
            known = self._first.get(one.model)
            self._first[one.model] = one.event_time if known is None else min(known, one.event_time)
        return responses

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """The models that count, and those of them that the interval before had not."""
        shares = {name: n / self._n for name, n in self._counts.items() if n >= _LEAST * self._n}
        if not shares:
            return Found()
        body = json.dumps(dict(sorted(shares.items())), indent=1, ensure_ascii=False) + "\n"
        files = {_FILE: body.encode("utf-8", "surrogatepass")}
        before = self._before()
        new = [] if before is None else sorted(shares.keys() - before, key=lambda name: (self._first[name], name))
        gone = sorted((before or set()) - shares.keys())
        was = f" (was {', '.join(map(_short, gone[:2]))})" if gone else ""
        marks = tuple((self._first[name], f"model {_short(name)}{was if len(new) == 1 else ''}"[:200]) for name in new)
        return Found(files=files, deployments=marks)

    def _before(self) -> set[str] | None:
        """The models of the interval before; None where they are not known."""
        setting = self._setting
        schedule, interval = setting.definition.schedule, setting.interval
        if schedule.length_s:
            span = schedule.ending(schedule.last(interval.end - timedelta(microseconds=1)))
        else:
            span = schedule.ending(interval.start)
        folder = setting.past.files_of(span)
        try:
            return None if folder is None else set(json.loads((folder / _FILE).read_bytes()))
        except (OSError, ValueError):
            return None


def _short(name: str) -> str:
    text = " ".join(name.encode("utf-8", "replace").decode().split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
