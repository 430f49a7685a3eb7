"""What evalharness's own package metadata asks for, compared with what is installed; nothing is imported for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

__all__ = ["Requirement", "allows", "installed", "parse_requirements"]

_LINE = re.compile(
    r"^\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*\(?(?P<range>[^;)]*)\)?\s*(;(?P<marker>.*))?$"
)
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_CLAUSE = re.compile(r"^\s*(>=|<=|==|!=|~=|>|<)\s*([0-9][^\s]*?)(\.\*)?\s*$")


class Requirement(NamedTuple):
    """A package, the versions of it that will do (">=3.10,<4", "" for all) and the extra that asks for it, if one."""

    name: str
    range: str
    extra: str | None


def parse_requirements(lines: Sequence[str]) -> Iterator[Requirement]:
    """The requirements that `importlib.metadata.requires` gives; conditions other than an extra are passed over."""
    for line in lines:
        match = _LINE.match(line)
        marker = "" if match is None else match["marker"] or ""
        extra = _EXTRA.search(marker)
        # A condition on the platform or the Python is not judged here: what it asks for is passed over.
        if match is not None and (extra or not marker.strip()):
            yield Requirement(match["name"], match["range"].replace(" ", ""), extra[1] if extra else None)


def installed(name: str) -> str | None:
    """The version of the package `name` that is installed; None where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def allows(range_: str, found: str) -> bool:
    """Whether `found` lies in `range_`, by release numbers alone: 2.0rc1 counts as 2.0, and 2.0+cpu too."""
    return all(_holds(clause, found) for clause in range_.split(",") if clause)


def _holds(clause: str, found: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return True
    operator, wanted, star = match[1], _numbers(match[2]), match[3]
    has = _numbers(found)
    if star or operator == "~=":
        prefix = wanted if star else wanted[:-1]
        same = has[: len(prefix)] == prefix
        return (same and has >= wanted) if operator == "~=" else same == (operator == "==")
    width = max(len(has), len(wanted))
    left, right = (numbers + (0,) * (width - len(numbers)) for numbers in (has, wanted))
    return {
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
        "==": left == right,
        "!=": left != right,
    }[operator]


def _numbers(text: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
