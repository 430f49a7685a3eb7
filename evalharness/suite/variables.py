"""`${vars.NAME}` and `${env:NAME}` in the texts of a suite.

A text that is exactly one `${vars.NAME}` becomes the variable's value with its type; within other text the value must
be plain. `$${vars.x}` and `$${env:X}` stand for the same text with one `$`.

`${env:NAME}` is for secrets: it is allowed only where a backend sends it, stays a placeholder in the suite and in
records, and is resolved when the request is made.
"""

from __future__ import annotations

import re

from evalharness.core.errors import Problem
from evalharness.core.registry import suggestion
from evalharness.core.secrets import PLACEHOLDER

from .node import MAX_NODES, Entry, Node

__all__ = ["check_secrets", "shown_path", "substitute", "unescaped"]

Key = tuple[str | int, ...]

_VARIABLE = re.compile(r"(\$?)\$\{vars\.([A-Za-z_][A-Za-z0-9_-]*)\}")
# What was meant as a placeholder and is none: ${var.x}, ${vars:x}, ${env.X}, ${ vars.x }, ${vars.a b}.
_SLIP = re.compile(r"(?<!\$)\$\{\s*(?:vars?|env(?:iron)?)\b[^{}]*\}", re.IGNORECASE)
_BARE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_ENV = re.compile(rf"(?<!\$){PLACEHOLDER.pattern}")
_SECRET_KEYS = ("api_key", "base_url", "url", "headers")
_SECRET_HEADERS = re.compile(r"(?i)auth|cookie|token|secret|api[-_]?key")
_MAX_LITERAL = 20


def shown_path(path: Key) -> str:
    """A path as messages write it: tasks[0].metrics[1]."""
    text = ""
    for index, step in enumerate(path):
        if index == 1 and path[0] == "models" and isinstance(step, str):
            step = step.partition("@")[0]  # a variant is written where its model is
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _Substitution:
    def __init__(self, variables: Node | None) -> None:
        self.variables = variables.mapping if variables is not None else {}
        self.problems: list[Problem] = []
        self._made = 0

    def node(self, node: Node, path: Key, stack: tuple[str, ...]) -> Node:
        self._made += 1
        if self._made > MAX_NODES:
            return Node(None, node.place)
        value = node.value
        if isinstance(value, dict):
            entries = {k: Entry(e.key, self.node(e.node, (*path, k), stack)) for k, e in value.items()}
            return Node(entries, node.place)
        if isinstance(value, list):
            return Node([self.node(item, (*path, i), stack) for i, item in enumerate(value)], node.place)
        return self._text(node, value, path, stack) if isinstance(value, str) and "${" in value else node

    def _text(self, node: Node, text: str, path: Key, stack: tuple[str, ...]) -> Node:
        whole = _VARIABLE.fullmatch(text)
        if whole and not whole[1]:
            found = self._variable(whole[2], node, path, stack)
            # The place is where the variable is used: there the value is right or wrong.
            return Node(None, node.place) if found is None else Node(found.value, node.place, found.raw)
        self._report_slips(text, node, path)

        def written(match: re.Match[str]) -> str:
            if match[1]:
                return match[0][1:]
            found = self._variable(match[2], node, path, stack)
            if found is None:
                return ""
            if isinstance(found.value, dict | list) or found.value is None:
                kind = "null" if found.value is None else "a mapping" if found.mapping else "a list"
                message = f"${{vars.{match[2]}}} is {kind}, which cannot stand within a text; use it alone"
                self._problem(node, path, message)
                return ""
            return found.value if isinstance(found.value, str) else found.raw or str(found.value)

        return Node(_VARIABLE.sub(written, text), node.place, node.raw)

    def _variable(self, name: str, node: Node, path: Key, stack: tuple[str, ...]) -> Node | None:
        entry = self.variables.get(name)
        if entry is None:
            known = f"; vars has: {', '.join(self.variables)}" if self.variables else "; the suite has no vars"
            self._problem(node, path, f"unknown variable {name!r}{suggestion(name, self.variables) or known}")
            return None
        if name in stack:
            self._problem(node, path, f"the variables go in a circle: {' → '.join((*stack, name))}")
            return None
        return self.node(entry.node, ("vars", name), (*stack, name))

    def _report_slips(self, text: str, node: Node, path: Key) -> None:
        for match in _SLIP.finditer(text):
            if not _VARIABLE.fullmatch(match[0]) and not PLACEHOLDER.fullmatch(match[0]):
                message = (
                    f"{match[0]} is no placeholder; write ${{vars.NAME}} or ${{env:NAME}} ($${{…}} for the text itself)"
                )
                self._problem(node, path, message)
        for match in _BARE.finditer(text):
            if match[1] in self.variables:
                message = f"write ${{vars.{match[1]}}} for the variable {match[1]!r}"
                self._problem(node, path, message)

    def _problem(self, node: Node, path: Key, message: str) -> None:
        self.problems.append(Problem(node.place, shown_path(path), message))


def substitute(root: Node) -> tuple[Node, list[Problem]]:
    """(`root` with its variables put in and `vars` taken out, problems)."""
    variables = root.get("vars")
    problems: list[Problem] = []
    if variables is not None and not isinstance(variables.value, dict | None):
        problems.append(Problem(variables.place, "vars", "must be a mapping of names to values: {split: test}"))
    for name, entry in variables.mapping.items() if variables is not None else ():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            message = f"the name {name!r} must have letters, digits, _ and - only, and begin with a letter"
            problems.append(Problem(entry.key, "vars", message))
    work = _Substitution(variables)
    rest = Node({key: entry for key, entry in root.mapping.items() if key != "vars"}, root.place)
    done = work.node(rest, (), ())
    for name, entry in work.variables.items():
        work.node(entry.node, ("vars", name), (name,))  # a variable that nobody uses can be wrong, too
    if work._made > MAX_NODES:
        problems.append(Problem(root.place, "vars", f"the variables stand for more than {MAX_NODES:,} values"))
    return done, problems + work.problems


def check_secrets(root: Node) -> list[Problem]:
    """Placeholders of environment variables that stand where none may, and keys written out in the suite."""
    problems: list[Problem] = []
    _look(root, (), problems)
    return problems


def _look(node: Node, path: Key, problems: list[Problem]) -> None:
    if isinstance(node.value, dict):
        for key, entry in node.value.items():
            _look(entry.node, (*path, key), problems)
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            _look(item, (*path, index), problems)
    elif isinstance(node.value, str):
        monitored = path[:3] in (
            ("monitor", "source", "url"),
            ("monitor", "alerts", "channels"),
            ("monitor", "alerts", "heartbeat"),
        )
        allowed = monitored or (len(path) >= 3 and path[0] == "models" and path[2] in _SECRET_KEYS)
        if not allowed and _ENV.search(node.value):
            message = (
                "${env:NAME} is allowed only in a model's api_key, base_url, url and headers, and in a monitor's "
                "source.url, alerts.channels and alerts.heartbeat: elsewhere the secret would reach prompts, records "
                "or reports; use vars for other values ($${env:…} for the text itself)"
            )
            problems.append(Problem(node.place, shown_path(path), message))
        elif allowed and not monitored and _is_secret(path) and _looks_real(node.value):
            message = (
                "a key must not stand in a suite, which is stored with every record; put it into an environment "
                "variable and write ${env:NAME}"
            )
            problems.append(Problem(node.place, shown_path(path), message))


def unescaped(node: Node) -> Node:
    """`node` with `$${env:NAME}` written as the text it stands for."""
    if isinstance(node.value, dict):
        return Node({k: Entry(e.key, unescaped(e.node)) for k, e in node.value.items()}, node.place)
    if isinstance(node.value, list):
        return Node([unescaped(item) for item in node.value], node.place)
    if isinstance(node.value, str) and "$${env:" in node.value:
        return Node(node.value.replace("$${env:", "${env:"), node.place, node.raw)
    return node


def _is_secret(path: Key) -> bool:
    return path[2] == "api_key" or (path[2] == "headers" and bool(_SECRET_HEADERS.search(str(path[-1]))))


def _looks_real(text: str) -> bool:
    """Whether a literal key may be a real one; servers on one's own machine often want some dummy word."""
    return not PLACEHOLDER.search(text) and (len(text) >= _MAX_LITERAL or text.startswith("sk-"))
