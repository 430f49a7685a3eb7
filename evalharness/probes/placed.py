"""YAML of a probe's data files with a place for every value, so that a fault is told with its line and column.

Every scalar is the text that stands in the file: `gold: 36` and `gold: "36"`, or `Yes` and `"Yes"`, are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.registry import suggestion

__all__ = ["Placed", "Reader"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_BYTES = 4_000_000
_NULL = "tag:yaml.org,2002:null"

_Value: TypeAlias = "str | None | list[Placed] | dict[str, Placed]"


@dataclass(frozen=True, slots=True)
class Placed:
    """A value and where it stands; `key` is the place of its key."""

    value: _Value
    place: Place
    key: Place | None = None


class Reader:
    """Reads one file and gathers what is wrong with it; `check` raises all of it at once."""

    def __init__(self, path: Path, *, shown: str) -> None:
        self.shown = shown
        self.problems: list[Problem] = []
        self.root = self._read(path)

    def fault(self, at: Placed | Place, message: str) -> None:
        """Note what is wrong."""
        self.problems.append(Problem(at.place if isinstance(at, Placed) else at, "", message))

    def check(self) -> None:
        """Raise a `DataError` with all that was noted, if anything was."""
        if self.problems:
            raise DataError(self.problems)

    def mapping(
        self, node: Placed, what: str, *, known: Collection[str] = (), needed: Collection[str] = ()
    ) -> dict[str, Placed]:
        """The entries of a mapping; unknown and missing keys are noted. Without `known` any key may stand there."""
        if not isinstance(node.value, dict):
            self.fault(node, f"{what} must be a mapping {{key: value}}, found {_kind(node)}")
            return {}
        for key, value in node.value.items():
            if known and key not in known:
                near = suggestion(key, known) or f"; it may have: {', '.join(known)}"
                self.fault(value.key or value, f"{what} has no key {key!r}{near}")
        for key in needed:
            if key not in node.value:
                self.fault(node, f"{what} needs the key {key!r}")
        return node.value

    def items(self, node: Placed, what: str) -> list[Placed]:
        """The items of a list."""
        if not isinstance(node.value, list):
            self.fault(node, f"{what} must be a list, found {_kind(node)}")
            return []
        return node.value

    def text(self, node: Placed, what: str) -> str:
        """A text that is not empty; "" where there is none."""
        if not isinstance(node.value, str) or not node.value.strip():
            self.fault(node, f"{what} must be a text, found {_kind(node)}")
            return ""
        return node.value

    def texts(self, node: Placed, what: str) -> list[str]:
        """A list of texts."""
        return [self.text(item, f"an item of {what}") for item in self.items(node, what)]

    def one_of(self, node: Placed, what: str, known: Collection[str]) -> str:
        """One of some words; the first of them where it is none."""
        found = self.text(node, what)
        if found and found not in known:
            self.fault(node, f"{what} must be one of {', '.join(known)}, found {found!r}{suggestion(found, known)}")
        return found if found in known else next(iter(known))

    def _read(self, path: Path) -> Placed:
        top = Place(self.shown, 1, 1)
        try:
            data = path.read_bytes()
            if len(data) > _MAX_BYTES:
                raise DataError([Problem(top, "", f"the file is larger than {_MAX_BYTES // 1_000_000} MB; split it")])
            node = yaml.compose(data.decode("utf-8-sig"), Loader=_LOADER)
            if node is None:
                raise DataError([Problem(top, "", "the file is empty; see docs/counterfactual.md for its layout")])
            return self._placed(node, frozenset())
        except OSError as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError([Problem(top, "", f"the file cannot be read: {reason}")]) from None
        except UnicodeDecodeError as error:
            raise DataError([Problem(top, "", f"byte {error.start + 1} is not UTF-8; save it as UTF-8")]) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = top if mark is None else Place(self.shown, mark.line + 1, mark.column + 1)
            raise DataError([Problem(place, "", f"this is not YAML: {error.problem or error.context}")]) from None
        except (yaml.YAMLError, RecursionError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise DataError([Problem(top, "", f"this is not YAML: {said}")]) from None

    def _placed(self, node: Any, above: frozenset[int], key: Place | None = None) -> Placed:
        place = self._place(node)
        if id(node) in above:
            raise DataError([Problem(place, "", "an alias stands inside of what it names; write the value out")])
        if isinstance(node, yaml.ScalarNode):
            return Placed(None if node.tag == _NULL else str(node.value), place, key)
        above |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            return Placed([self._placed(item, above) for item in node.value], place, key)
        return Placed(dict(self._entries(node, above)), place, key)

    def _entries(self, node: Any, above: frozenset[int]) -> Iterator[tuple[str, Placed]]:
        seen: dict[str, Place] = {}
        for name, value in node.value:
            at = self._place(name)
            if not isinstance(name, yaml.ScalarNode):
                self.fault(at, "a key must be text, not a list or mapping")
                continue
            text = str(name.value)
            if text in seen:
                self.fault(
                    at, f"the key {text!r} stands here for a second time; the first is in line {seen[text].line}"
                )
                continue
            seen[text] = at
            yield text, self._placed(value, above, at)

    def _place(self, node: Any) -> Place:
        return Place(self.shown, node.start_mark.line + 1, node.start_mark.column + 1)


def _kind(node: Placed) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    return f"{node.value!r}" if node.value else "nothing"
