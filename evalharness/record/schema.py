"""The columns of the three Parquet files, version 1. Every string cell is escaped as `text.py` says."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from .manifest import SCHEMA_VERSION

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CHECKSUMS",
    "FILES",
    "MANIFEST",
    "REGISTRY_FILE",
    "REGISTRY_HEAD",
    "REGISTRY_VARIABLE",
    "SAMPLES",
    "SCORES",
    "STATS",
    "samples_schema",
    "scores_schema",
    "stats_schema",
]

MANIFEST: Final = "run.json"
SAMPLES: Final = "samples.parquet"
SCORES: Final = "scores.parquet"
STATS: Final = "stats.parquet"
FILES: Final = (MANIFEST, SAMPLES, SCORES, STATS)
CHECKSUMS: Final = "checksums.sha256"

REGISTRY_VARIABLE: Final = "EVALHARNESS_REGISTRY"
REGISTRY_FILE: Final = "registry.sqlite3"
REGISTRY_HEAD: Final = "0007"
"""The newest migration: a database at this revision is opened without importing Alembic (a test compares them)."""


def _schema(columns: list[tuple[str, Any, bool]]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [pa.field(name, kind, nullable=nullable) for name, kind, nullable in columns],
        metadata={"evalharness.schema_version": str(SCHEMA_VERSION)},
    )


@cache
def samples_schema() -> pa.Schema:
    """One row a question: sample, request and response.

    `prompt` is text, or where `is_chat` the JSON of its turns. `request_prompt` is the JSON of what the model was
    asked, where that is not the sample's own prompt. `groups`, `fields`, `sampling`, `label_probabilities` and `meta`
    are JSON.
    """
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    loglikelihood = pa.struct([("total", pa.float64()), ("n_tokens", pa.int64()), ("is_greedy", pa.bool_())])
    return _schema(
        [
            ("task", text, False),
            ("model", text, False),
            ("sample_id", text, False),
            ("repeat", pa.int64(), False),
            ("digest", text, False),
            ("request_key", text, False),
            ("kind", text, False),
            ("prompt", text, False),
            ("is_chat", pa.bool_(), False),
            ("references", texts, False),
            ("choices", texts, False),
            ("target", text, True),
            ("groups", text, False),
            ("cluster", text, True),
            ("fields", text, False),
            ("request_prompt", text, True),
            ("continuations", texts, False),
            ("sampling", text, False),
            ("status", text, False),
            ("text", text, True),
            ("answer", text, True),
            ("loglikelihoods", pa.list_(loglikelihood), False),
            ("label_probabilities", text, False),
            ("error", text, True),
            ("finish_reason", text, True),
            ("input_tokens", pa.int64(), True),
            ("output_tokens", pa.int64(), True),
            ("latency_s", pa.float64(), True),
            ("n_retries", pa.int64(), False),
            ("created_utc", text, False),
            ("meta", text, False),
            ("from_store", pa.bool_(), False),
        ]
    )


@cache
def scores_schema() -> pa.Schema:
    """One row a sample and figure: the sample's own value, NaN where it has none."""
    import pyarrow as pa

    names = ("task", "model", "metric", "sample_id", "digest")
    return _schema([(name, pa.string(), False) for name in names] + [("value", pa.float64(), False)])


@cache
def stats_schema() -> pa.Schema:
    """One row a sample and figure: its additive statistics, in the order of the figure's `columns`."""
    import pyarrow as pa

    names = ("task", "model", "metric", "sample_id", "digest")
    return _schema(
        [
            *((name, pa.string(), False) for name in names),
            ("cluster", pa.string(), True),
            ("stats", pa.list_(pa.float64()), False),
        ]
    )
