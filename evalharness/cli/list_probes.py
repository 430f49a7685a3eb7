"""`evalharness list probes NAME`: what it asks after, what it brings or rewrites, its options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from evalharness.core.registry import registry
from evalharness.metrics.reference import Option, option_lines, options_of

__all__ = ["explained", "facts"]


def facts(name: str) -> dict[str, Any]:
    """The probe in words, as `--json` prints it.

    Raises:
        UsageError: there is no such probe, or it cannot be loaded.
    """
    probe: Any = registry("probes").load(name)
    text: str = inspect.getdoc(probe) or probe.description
    head, _, source = text.partition("\nSource: ")
    head, _, options = head.partition("\nOptions:\n")
    return {
        "name": name,
        "description": head.strip(),
        "question": probe.question,
        "rows": " or ".join(_rows(probe)),
        "options": [option._asdict() for option in options_of(probe, options)],
        "source": " ".join(source.split()),
    }


def _rows(probe: Any) -> Iterator[str]:
    """Whose rows it asks; a column that depends on an option is not named."""
    if hasattr(probe, "rows"):
        yield "its own"
    if hasattr(probe, "variants"):
        yield "those of another task (`of`)" + (f", by {probe.column}" if isinstance(probe.column, str) else "")


def explained(name: str) -> str:
    """The probe in words, for a terminal."""
    found = facts(name)
    lines = [f"{name}: {found['description']}", "", *option_lines(Option(**option) for option in found["options"])]
    lines += [f"Question: {found['question']}", f"Rows:     {found['rows'].replace('`', '')}"]
    if found["source"]:
        lines += ["", f"Source: {found['source']}"]
    return "\n".join(lines)
