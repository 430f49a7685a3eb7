"""Markdown tables, and sections of RESULTS.md that each benchmark replaces on its own."""

from __future__ import annotations

import compileall
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (header, rule, *rows))


def machine() -> str:
    """One line on where the figures come from."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def as_installed() -> None:
    """Compile the package to bytecode, as pip does with what it installs: an editable checkout may not have it."""
    import evalharness

    compileall.compile_dir(Path(evalharness.__file__).parent, quiet=2)


def replace_section(name: str, text: str, *, path: Path = RESULTS) -> None:
    """Put `text` between the markers `<!-- name -->` and `<!-- /name -->` of `path`, which are added if absent."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    whole = path.read_text(encoding="utf-8") if path.exists() else "# Benchmark results\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    whole = pattern.sub(lambda _: section, whole) if pattern.search(whole) else whole.rstrip("\n") + f"\n\n{section}\n"
    path.write_text(whole, encoding="utf-8")
