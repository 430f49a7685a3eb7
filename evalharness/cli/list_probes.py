"""`evalharness list probes NAME`: what it asks after, what it brings or rewrites, its options."""

from __future__ import annotations

import inspect
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
    rewrites = hasattr(probe, "variants")
    return {
        "name": name,
        "description": head.strip(),
        "question": probe.question,
        "rows": f"those of another task (`of`), by {probe.column}" if rewrites else "its own",
        "options": [option._asdict() for option in options_of(probe, options)],
        "source": " ".join(source.split()),
    }


def explained(name: str) -> str:
    """The probe in words, for a terminal."""
    found = facts(name)
    lines = [f"{name}: {found['description']}", "", *option_lines(Option(**option) for option in found["options"])]
    lines += [f"Question: {found['question']}", f"Rows:     {found['rows'].replace('`', '')}"]
    if found["source"]:
        lines += ["", f"Source: {found['source']}"]
    return "\n".join(lines)
