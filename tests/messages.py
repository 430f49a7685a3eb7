"""What pages say: the messages that catalogues must hold, off code and templates, and the English left on a page."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

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


_WORD = re.compile(r"[A-Za-z]{3,}")
_NAME = re.compile(r"[A-Za-z0-9./:+-]*[A-Za-z0-9](?:[_@=/:]|\.(?=\w)|[0-9])[\w.@=/:+-]*")
# Names of methods and figures, keys of suites and records, units: what a reader of Chinese reads in Latin letters, too.
# fmt: off
TERMS = (
    "evalharness", "JavaScript", "CSV", "JSON", "Chrome", "Firefox", "Safari", "UTC", "Elo", "Bradley", "Terry",
    "Krippendorff", "Cohen", "Spearman", "Kendall", "Benjamini", "Hochberg", "Yekutieli", "Holm", "Dirichlet",
    "McNemar mid", "Tango", "Wasserstein", "CDF", "AUC", "PSI", "wilson", "bootstrap", "jackknife score", "bca skew",
    "max", "order statistics", "no variation", "samples parquet", "shap", "permutation", "html", "pip install",
    "MiB", "nat", "Cramér", "omnibus", "levels", "PgDn", "PgUp", "Home", "End", "Enter", "Esc", "on_error",
    "changed", "demographic_parity", "equalized_odds", "bradley terry", "student",
)
# fmt: on


class _Seen(HTMLParser):
    """The text of a page and of what names its parts; commands, keys and whole texts of the user are left out."""

    _HIDDEN = frozenset(("script", "style", "code", "pre", "kbd"))
    _VOID = frozenset(("meta", "link", "br", "input", "path", "rect", "circle", "line", "hr", "img"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []

    @property
    def hidden(self) -> bool:
        return bool(self._HIDDEN.intersection(self.open))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if not self.hidden:
            self.found += [v for k, v in attrs if k in ("aria-label", "title", "placeholder", "data-label") and v]
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.found.append(data.strip())


def english(page: str, names: Iterable[str] = ()) -> list[str]:
    """The texts of `page` that hold a word in Latin letters which is neither a term nor one of `names`.

    What holds a sign or a figure within, as in `qa.f1@length`, `lang=de` and `latency_p95_s`, is the name of something.
    """
    seen = _Seen()
    seen.feed(page.replace("<wbr>", ""))
    known = {word.lower() for name in (*TERMS, *names) for word in _WORD.findall(name)}
    return [text for text in seen.found if {w.lower() for w in _WORD.findall(_NAME.sub(" ", text))} - known]
