"""JSON: one array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.types import Row

from .jsonl import decoder, object_row
from .problems import Problems
from .source import numbered_lines

__all__ = ["read_json"]

_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(path: str, *, encoding: str = "utf-8") -> Iterator[Row]:
    """Rows of a JSON file (`.json`, also `.json.gz`): one array of objects; each row's place is its first line.

    Raises:
        DataError: at the end, with the line of every item that is not an object; at once where the JSON is broken.
    """
    problems = Problems()
    text = "".join(line for _, line in numbered_lines(Path(path), encoding=encoding, problems=problems))
    problems.check()
    scanner = _Scanner(path, text)
    decode = decoder().raw_decode
    if scanner.peek() != "[":
        raise scanner.error("expected an array of objects [{…}, …]; for one object a line set format: jsonl")
    scanner.position += 1
    if scanner.peek() == "]":
        scanner.position += 1
    else:
        while True:
            scanner.peek()
            place, start = scanner.place(), scanner.position
            try:
                value, scanner.position = decode(text, start)
            except json.JSONDecodeError as error:
                scanner.position = error.pos
                raise scanner.error(f"not JSON: {error.msg}") from error
            except (ValueError, RecursionError) as error:
                raise DataError([Problem(place, "", f"not a row: {error}")]) from error
            row = object_row(value, text[start : scanner.position], place, problems)
            if row is not None:
                yield row
            separator = scanner.peek()
            if separator not in (",", "]"):
                raise scanner.error("not JSON: expected ',' or ']' after an item of the array")
            scanner.position += 1
            if separator == "]":
                break
    if scanner.peek():
        raise scanner.error("not JSON: text after the end of the array")
    problems.check()


class _Scanner:
    """A position in a text that knows its line; the lines are counted once, on the way."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text, self.position = path, text, 0
        self._counted, self._line = 0, 1

    def peek(self) -> str:
        """The next character that is not white space, "" at the end; the position moves there."""
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position
        return self.text[self.position : self.position + 1]

    def place(self) -> Place:
        """Line and column of the position."""
        self._line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return Place(self.path, self._line, self.position - self.text.rfind("\n", 0, self.position))

    def error(self, message: str) -> DataError:
        """A `DataError` at the position."""
        return DataError([Problem(self.place(), "", message)])
