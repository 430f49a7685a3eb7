"""Readers that turn files, inline rows and Hugging Face datasets into `Row`s; `data.load.load` is the way in.

A reader (see `core.protocols.Reader`) yields rows in their order in the source and leaves `Row.id` empty: ids, groups,
new fields and the selection are the same for every source and are made in `load`. It goes on past a row that does not
fit and raises one `DataError` with all of them at the end.
"""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "csv": "evalharness.data.delimited:read_csv",
    "hf": "evalharness.data.hf:read_hf",
    "inline": "evalharness.data.inline:read_inline",
    "json": "evalharness.data.json_array:read_json",
    "jsonl": "evalharness.data.jsonl:read_jsonl",
    "parquet": "evalharness.data.parquet:read_parquet",
    "tsv": "evalharness.data.delimited:read_tsv",
}
