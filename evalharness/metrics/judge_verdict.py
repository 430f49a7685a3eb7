"""The verdict of a judge: the one JSON object that it must give, and the strict reading of its reply."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["PAIR_VALUES", "Verdict", "VerdictFault", "VerdictForm", "read_verdict"]

PAIR_VALUES: Mapping[str, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}
"""What the outcome of a pair counts, for the answer that is judged."""

_LONGEST_LIST = 101  # whole numbers are listed in the schema up to 0, 1, … 100
_CODE_FENCE = re.compile(r"[\s`*.]*\Z")
_SHOWN = 120


class VerdictFault(ValueError):
    """A reply holds no verdict; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said: a number or a label, and the reason that it gave, if any."""

    value: float | None
    label: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class VerdictForm:
    """What a verdict must look like: a number of a scale, one of some classes, or the better one of A and B."""

    kind: Literal["scale", "classes", "pair"]
    low: float = 1.0
    high: float = 5.0
    classes: Mapping[str, float] = field(default_factory=dict)
    explain: bool = True

    @property
    def whole(self) -> bool:
        """Whether only whole numbers count; on [0, 1] and the like any number in between does."""
        return self.low.is_integer() and self.high.is_integer() and self.high - self.low >= 2

    @property
    def key(self) -> str:
        """The key of the object under which the verdict stands."""
        return {"scale": "score", "classes": "label", "pair": "better"}[self.kind]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that a verdict may have."""
        return ("A", "B", "tie") if self.kind == "pair" else tuple(self.classes)

    def schema(self) -> str:
        """The JSON Schema of the object, as JSON text: the reason comes first, so that it leads to the verdict."""
        wanted: dict[str, Any]
        if self.kind != "scale":
            wanted = {"type": "string", "enum": list(self.labels)}
        elif self.whole and self.high - self.low < _LONGEST_LIST:
            wanted = {"type": "integer", "enum": list(range(int(self.low), int(self.high) + 1))}
        else:
            wanted = {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}
        properties: dict[str, Any] = {"reason": {"type": "string"}} if self.explain else {}
        properties[self.key] = wanted
        return json.dumps(
            {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
            ensure_ascii=False,
        )

    def words(self) -> str:
        """How the judge is told to reply."""
        wanted = {
            "scale": f"a {'whole ' if self.whole else ''}number from {self.low:g} (worst) to {self.high:g} (best)",
            "classes": f"one of {', '.join(json.dumps(label, ensure_ascii=False) for label in self.labels)}",
            "pair": '"A" if answer A is better, "B" if answer B is better, "tie" if neither is',
        }[self.kind]
        reason = '"reason": a short text that says why, ' if self.explain else ""
        return f'{{{reason}"{self.key}": …}}, where "{self.key}" is {wanted}'

    def checked(self, found: Mapping[str, Any]) -> Verdict:
        """The verdict in an object of the right shape.

        Raises:
            VerdictFault: its value is not on the scale, or its label is none of the classes.
        """
        value, reason = found[self.key], found.get("reason")
        if self.kind != "scale":
            if not isinstance(value, str) or value not in self.labels:
                raise VerdictFault(f"the {self.key} {_shown(value)} is none of {', '.join(self.labels)}")
            return Verdict(self.classes.get(value), value, reason)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise VerdictFault(f"the {self.key} {_shown(value)} is no number")
        if not self.low <= value <= self.high:
            raise VerdictFault(f"the {self.key} {_shown(value)} is not on the scale from {self.low:g} to {self.high:g}")
        if self.whole and not float(value).is_integer():
            raise VerdictFault(f"the {self.key} {_shown(value)} is no whole number")
        return Verdict(float(value), None, reason)


def read_verdict(form: VerdictForm, reply: str) -> Verdict:
    """The verdict that `reply` ends with: its last JSON object, if that has the right shape and nothing follows it.

    Text may stand before the object, and a code fence around it. What looks like a verdict earlier in the reply, or
    within a text of the object, is quoted and does not count. So that an object which a slip in the quoting has broken
    is not read from its middle, nothing but a closing fence may follow, and no key may stand twice.

    Raises:
        VerdictFault: there is none; nothing is guessed.
    """
    end, found = _last_object(reply)
    if found is None:
        raise VerdictFault(f"the reply holds no JSON object: {_shown(reply.strip())}")
    if not _CODE_FENCE.match(reply, end):
        raise VerdictFault(f"the reply does not end with its verdict, but with: {_shown(reply[end:].strip())}")
    wanted = {form.key, "reason"} if form.explain else {form.key}
    if form.key not in found:
        raise VerdictFault(f"the last JSON object of the reply has no {form.key!r}: {_shown(found)}")
    if unknown := sorted(found.keys() - wanted - {"reason"}):
        raise VerdictFault(f"the last JSON object of the reply has the unknown key {_shown(unknown[0])}")
    if not isinstance(found.get("reason", ""), str):
        raise VerdictFault(f"the reason is no text: {_shown(found['reason'])}")
    return form.checked(found)


def _last_object(reply: str) -> tuple[int, dict[str, Any] | None]:
    """(where it ends, the last JSON object that is not within another one), None where there is none."""
    decoder = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)
    place, end, last = reply.find("{"), 0, None
    while place >= 0:
        try:
            last, end = decoder.raw_decode(reply, place)
            place = reply.find("{", end)
        except (ValueError, RecursionError):
            place = reply.find("{", place + 1)
    return end, last


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
