"""What the parser of YAML says, and what a person can do about it."""

from __future__ import annotations

import re

import yaml

from evalharness.core.errors import Place, Problem

__all__ = ["syntax_problem"]

# The first whose beginning is in the parser's message is shown.
_ADVICE: tuple[tuple[str, str], ...] = (
    ("found character that cannot start any token", "a value that begins with this character must be in quotes"),
    (
        "mapping values are not allowed",
        "a text with a colon and a blank in it must be in quotes; or the line is indented wrongly",
    ),
    (
        "could not find expected ':'",
        "a key needs a colon and a blank after it; or a text that goes on here needs quotes or |",
    ),
    (
        "did not find expected key",
        "the line is indented otherwise than its neighbours, or a quote or bracket before it is open",
    ),
    ("did not find expected '-' indicator", "the items of a list must be indented alike, each with a dash"),
    (
        "did not find expected ',' or",
        "a bracket is not closed, or a comma is missing; a text with brackets, braces or commas must be in quotes",
    ),
    ("found unexpected end of stream", "a quote is not closed"),
    ("found unexpected document indicator", "a quote is not closed"),
    ("found invalid Unicode character escape", "write the character itself, or \\U and eight digits"),
    ("found unknown escape character", "in double quotes \\ begins an escape; write \\\\, or use single quotes"),
    ("did not find expected the document start", "the line is indented otherwise than those before it"),
    ("block sequence entries are not allowed", "a list must begin on a line of its own, below its key"),
    ("block mapping", "the line is indented otherwise than its neighbours"),
    ("incompatible YAML document", "remove the %YAML line"),
    ("did not find expected node content", "a value is missing here, or a bracket is not closed"),
    ("undefined tag handle", "tags are not allowed; a text that begins with ! must be in quotes"),
    ("anchor", "a text that begins with & or * must be in quotes"),
    ("alias", "a text that begins with & or * must be in quotes"),
)


def syntax_problem(error: yaml.MarkedYAMLError, text: str, shown: str) -> Problem:
    """The problem behind an error of the parser in `text`, the file `shown`."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.split("\n")
    if line >= len(lines):
        line, column = len(lines) - 1, len(lines[-1])
    said = error.problem or error.context or "this is not YAML"
    here = lines[line] if lines else ""
    place = Place(shown, line + 1, column + 1)
    indent = here[: len(here) - len(here.lstrip())]
    if "\t" in indent or here[column : column + 1] == "\t":
        column = here.index("\t")
        return Problem(Place(shown, line + 1, column + 1), "syntax", "a tab; YAML is indented with blanks only")
    if re.search(r":\s+\{\{|-\s+\{\{", here):
        return Problem(place, "syntax", 'a value that begins with {{ must be in quotes: "{{ … }}"')
    advice = next((advice for begin, advice in _ADVICE if begin in said), "")
    since = error.context_mark
    opened = f" (it began in line {since.line + 1})" if since is not None and since.line < line else ""
    return Problem(place, "syntax", f"{said}{opened}{': ' + advice if advice else ''}")
