"""What pages say, read off the code and the templates: the messages that catalogues must hold."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

_IN_TEMPLATE = re.compile(r"""\btm?\(\s*("(?:[^"\\]|\\.)*")""")
_IN_SCRIPT = re.compile(r'\bt\(("(?:[^"\\]|\\.)*")')


def files(room: str, ending: str) -> Iterator[Traversable]:
    """The files of a package, those of its folders too."""
    folders = [resources.files(room)]
    while folders:
        for entry in folders.pop().iterdir():
            if entry.is_dir():
                folders.append(entry)
            elif entry.name.endswith(ending):
                yield entry


def in_templates(*rooms: str) -> set[str]:
    """What their templates say."""
    texts = (file.read_text(encoding="utf-8") for room in rooms for file in files(room, ".j2"))
    return {ast.literal_eval(found) for text in texts for found in _IN_TEMPLATE.findall(text)}


def in_scripts(*rooms: str) -> set[str]:
    """What their scripts say in double quotation marks."""
    texts = (file.read_text(encoding="utf-8") for room in rooms for file in files(room, ".js"))
    return {json.loads(found) for text in texts for found in _IN_SCRIPT.findall(text)}


def in_code(*rooms: str) -> set[str]:
    """What their modules say with `t`, `tm` and `plural`."""
    found: set[str] = set()
    for file in (file for room in rooms for file in files(room, ".py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            constants = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
            if node.func.id in ("t", "tm") and constants and isinstance(constants[0], str):
                found.add(constants[0])
            if node.func.id == "plural" and len(constants) == 2 and isinstance(constants[1], str):
                found |= {f"%(n)s {constants[1]}", f"%(n)s {constants[1]}s"}
    return found


def sentences(*rooms: str) -> list[str]:
    """All texts of their modules, holes of f-strings as U+0000."""
    found = []
    for file in (file for room in rooms for file in files(room, ".py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append("".join(str(p.value) if isinstance(p, ast.Constant) else "\0" for p in node.values))
    return found
