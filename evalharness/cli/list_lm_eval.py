"""`list lm-eval-tasks`: what lm-eval knows, from the index; lm-eval itself is not imported."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .list import print_json, print_table, print_text

if TYPE_CHECKING:
    from evalharness.integrations.lm_eval.index import Found

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Print all names, those that a pattern matches, or what is known of one."""
    from evalharness.integrations.lm_eval.index import entries, find

    known = entries(args.include_path)
    name = args.name
    pattern = name is not None and any(sign in name for sign in "*?[")
    if name is not None and not pattern:
        return _one(find(name, args.include_path), known, as_json=args.json)
    chosen = [known[n] for n in sorted(known) if name is None or fnmatchcase(n, name)]
    if args.json:
        print_json([{"name": found.name, "kind": found.kind, "output_type": found.output_type} for found in chosen])
    elif chosen:
        print_table([(found.name, _summary(found)) for found in chosen])
    else:
        print_text(f"nothing that lm-eval knows matches {name!r}")
    return 0


def _summary(found: Found) -> str:
    if found.kind in ("group", "tag"):
        return f"{found.kind} of {len(found.members):,}"
    return found.output_type or found.kind


def _one(found: Found, known: Mapping[str, Found], *, as_json: bool) -> int:
    from evalharness.integrations.lm_eval.index import leaves

    tasks = [task.name for task in leaves(found, known)] if found.kind in ("group", "tag") else []
    facts = {
        "kind": found.kind,
        "asks for": found.output_type,
        "file": found.file,
        "runs": "what the model wrote: needs --allow-code" if found.unsafe else "",
    }
    if as_json:
        print_json({"name": found.name, **facts, "tasks": tasks})
        return 0
    print_text(found.name)
    for key, value in facts.items():
        if value:
            print_text(f"  {key + ':':<9} {value}")
    if tasks:
        print_text(f"  {len(tasks):,} tasks: {', '.join(tasks)}")
    return 0
