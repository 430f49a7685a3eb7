"""The rows that could not be read as responses: where, why, and what to do; all counted, the first ones listed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from evalharness.core.errors import Place
from evalharness.core.files import write_atomic

from .refusal import Refusal

__all__ = ["Quarantine", "Quarantined"]

_LISTED_OF_A_RULE = 100


class Quarantined(NamedTuple):
    """One row: its place, the rule it breaks, the field and its value, and the remedy."""

    place: Place
    rule: str
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.field}: {self.value}; {self.remedy}"


class Quarantine:
    """Counts refused rows by their rule; of each rule the first hundred are listed, however many come."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self.by_rule: Counter[str] = Counter()
        self.listed: list[Quarantined] = []

    def __len__(self) -> int:
        return self.by_rule.total()

    def add(self, place: Place, refusal: Refusal) -> None:
        """Note one row."""
        self.by_rule[refusal.rule] += 1
        if self.by_rule[refusal.rule] <= _LISTED_OF_A_RULE:
            value = self._redact(refusal.value)
            self.listed.append(Quarantined(place, refusal.rule, refusal.field, value, refusal.remedy))

    def write(self, path: Path) -> None:
        """Write `to_bytes` to `path`."""
        write_atomic(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """What is listed as JSON Lines; the last line counts all by rule."""
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows())
        return "".join(lines).encode("utf-8", "backslashreplace")

    def _rows(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = [
            {
                "file": item.place.file,
                "line": item.place.line,
                "rule": item.rule,
                "field": item.field,
                "value": item.value,
                "remedy": item.remedy,
            }
            for item in self.listed
        ]
        return [*rows, {"quarantined": len(self), "listed": len(self.listed), "by_rule": dict(self.by_rule)}]
