"""The option that chooses the language of a page."""

from __future__ import annotations

import argparse

__all__ = ["CHOICES", "add_language"]

# Those of core.language, which an option that is not used need not load.
CHOICES = ("en", "zh")


def add_language(parser: argparse.ArgumentParser, of: str) -> None:
    """Add `--language`; `of` says what is written in it."""
    parser.add_argument("--language", choices=CHOICES, help=f"language of {of}: English (default) or Chinese")
