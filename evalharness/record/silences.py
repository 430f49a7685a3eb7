"""Silences: alerts that nobody wants to hear of until a time, by their labels."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, insert, or_, select, update

from ..core.errors import UsageError
from .alert_tables import SILENCES

__all__ = ["Matcher", "Silence", "add_silence", "end_silence", "is_silenced", "parse_matcher", "silences"]

_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)


@functools.lru_cache(maxsize=8_192)
def _fits(pattern: str, value: str) -> bool:
    """Whether `pattern` describes the whole of `value`, by RE2: in a time that grows with their lengths alone.

    Raises:
        ValueError: if it is no regular expression that RE2 knows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = [text.encode("utf-8", "replace").decode() for text in (pattern, value)]
    pc.match_substring_regex(pa.array([""]), plain[0])  # "a)(b" is an expression in brackets only
    return bool(pc.match_substring_regex(pa.array([plain[1]]), rf"\A(?:{plain[0]})\z")[0].as_py())


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label and what it must be (or must not be); `=~` and `!~` hold a regular expression for the whole value.

    Expressions are those of RE2, as in Alertmanager: none takes so long that a silence holds up alerts. One that was
    stored and is none agrees with nothing.
    """

    label: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` agree; a label that is missing is the empty text."""
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        try:
            return _fits(self.value, found) == (self.operator == "=~")
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{self.value}"


@dataclass(frozen=True, slots=True)
class Silence:
    """All matchers must agree; it holds in `[starts_utc, until_utc)`, unless it was ended earlier."""

    id: int
    matchers: tuple[Matcher, ...]
    starts_utc: datetime
    until_utc: datetime
    created_by: str
    comment: str
    ended_utc: datetime | None = None

    def holds(self, labels: Mapping[str, str], now: datetime) -> bool:
        """Whether an alert with `labels` is silenced at `now`."""
        return (
            self.starts_utc <= now < self.until_utc
            and (self.ended_utc is None or now < self.ended_utc)
            and all(matcher.matches(labels) for matcher in self.matchers)
        )


def parse_matcher(text: str) -> Matcher:
    """The matcher that `text` writes: `column=output.length`, `segment!=`, `alert=~drift:.*`.

    Raises:
        UsageError: if it is none.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} matches no labels; write LABEL=VALUE, LABEL!=VALUE, LABEL=~REGEX or LABEL!~REGEX")
    label, operator, value = found.groups()
    if operator.endswith("~"):
        try:
            _fits(value, "")
        except ValueError as error:
            why = str(error).removeprefix("Invalid regular expression: ")
            raise UsageError(f"{text!r}: {value!r} is no regular expression (RE2): {why}") from error
    return Matcher(label, operator, value)  # type: ignore[arg-type]


def add_silence(
    connection: Connection,
    matchers: Sequence[Matcher],
    *,
    until: datetime,
    now: datetime,
    starts: datetime | None = None,
    created_by: str = "",
    comment: str = "",
) -> int:
    """Store a silence; returns its number.

    Raises:
        UsageError: without matchers, or if it would never hold.
    """
    starts = now if starts is None else starts
    if not matchers:
        raise UsageError("a silence needs at least one matcher; to silence all, write: alert=~.+")
    if until <= max(starts, now):
        raise UsageError(f"the silence would be over at {until.isoformat()} before it begins; give a later time")
    done = connection.execute(
        insert(SILENCES).values(
            matchers=json.dumps([[m.label, m.operator, m.value] for m in matchers]),
            starts_utc=starts,
            until_utc=until,
            created_utc=now,
            created_by=created_by,
            comment=comment,
        )
    )
    key = done.inserted_primary_key
    assert key is not None
    return int(key[0])


def end_silence(connection: Connection, number: int, now: datetime) -> None:
    """Let the silence `number` end now.

    Raises:
        UsageError: if there is none, or it is over.
    """
    holds = (SILENCES.c.id == number) & (SILENCES.c.until_utc > now) & SILENCES.c.ended_utc.is_(None)
    if connection.execute(update(SILENCES).where(holds).values(ended_utc=now)).rowcount == 0:
        raise UsageError(f"there is no silence {number} that could end; see: evalharness monitor silence --list")


def silences(connection: Connection, now: datetime) -> tuple[Silence, ...]:
    """The silences that are not over at `now`, those to come among them."""
    query = (
        select(SILENCES)
        .where(SILENCES.c.until_utc > now, or_(SILENCES.c.ended_utc.is_(None), SILENCES.c.ended_utc > now))
        .order_by(SILENCES.c.id)
    )
    return tuple(
        Silence(
            row["id"],
            tuple(Matcher(*matcher) for matcher in json.loads(row["matchers"])),
            row["starts_utc"],
            row["until_utc"],
            row["created_by"],
            row["comment"],
            row["ended_utc"],
        )
        for row in connection.execute(query).mappings()
    )


def is_silenced(found: Iterable[Silence], labels: Mapping[str, str], now: datetime) -> bool:
    """Whether one of the silences holds for an alert with `labels`."""
    return any(silence.holds(labels, now) for silence in found)
