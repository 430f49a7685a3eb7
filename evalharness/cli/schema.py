"""Print the JSON Schema (draft 2020-12) of suite files, for editors and other tools.

With --response it is that of the rows of production's responses (response.v1), for those who write them.

A suite that begins with `# yaml-language-server: $schema=suite.schema.json` is checked and completed while it is
written, in editors that speak YAML.
"""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "response_text", "run", "schema_text"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `schema`."""
    parser.add_argument("--response", action="store_true", help="the schema of production's responses, response.v1")
    parser.add_argument("--out", metavar="FILE", help="write to FILE instead of standard output")


def run(args: argparse.Namespace) -> int:
    """Print or write the schema."""
    import sys
    from pathlib import Path

    from evalharness.core.errors import UsageError
    from evalharness.core.files import write_atomic

    text = response_text() if args.response else schema_text()
    if args.out is None:
        sys.stdout.write(text)
        return 0
    try:
        write_atomic(Path(args.out), text)
    except OSError as error:
        raise UsageError(f"--out {args.out}: it cannot be written: {error.strerror or error}") from error
    print(f"evalharness: wrote {args.out}", file=sys.stderr)
    return 0


def schema_text() -> str:
    """The schema as it is printed."""
    import json

    from evalharness.suite.suite_file import file_schema

    # ASCII only: it is read in any terminal and written through any pipe.
    return json.dumps(file_schema(), indent=2) + "\n"


def response_text() -> str:
    """The schema of a row of production's responses, as it is printed."""
    import json

    from evalharness.monitor.sources.response_schema import response_schema

    return json.dumps(response_schema(), indent=2) + "\n"
