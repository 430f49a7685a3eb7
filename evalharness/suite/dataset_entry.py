"""The datasets of a suite: where samples come from, and what becomes of the rows."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from .fields import Sha256, Strict, Template, Text, only_with

__all__ = ["Dataset"]


def _check_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        raise ValueError(f"there is no encoding {name[:40]!r}; try utf-8, latin-1 or cp1252") from None
    return name


class Dataset(Strict):
    """Where samples come from: exactly one of `path`, `rows` and `hf`."""

    path: Text | None = Field(None, description="JSONL, CSV, TSV, JSON or Parquet file, or catalog:NAME.")
    rows: Annotated[tuple[dict[str, JsonValue], ...], Field(min_length=1)] | None = Field(
        None, description="Rows written in the suite itself."
    )
    hf: Text | None = Field(None, description="Hugging Face `datasets` name, or a local path saved by it.")
    config: str | None = Field(None, description="hf: name of the configuration.")
    split: str | None = Field(None, description="hf: split (default: test, else the only one).")
    revision: str | None = Field(None, description="hf: branch, tag or commit.")
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet"] = Field(
        "auto", description="By the file's ending."
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field("utf-8", description="Encoding of a text file.")
    sha256: Sha256 | None = Field(None, description="Digest that the file must have; a changed file is refused.")
    id: str | None = Field(
        None,
        description="Column with the sample id (default: `id` if every row has it, else a digest of the row).",
    )
    cluster: str | None = Field(
        None, description="Column that names what samples belong together (customer, document)."
    )
    groups: tuple[Text, ...] = Field((), description="Columns whose values get figures of their own.")
    fields: dict[str, Template] = Field(default_factory=dict, description="New columns, each a template over the row.")
    where: str | None = Field(
        None, description="Keep the rows for which this Jinja expression is true: language == 'de'."
    )
    shuffle: int | None = Field(None, ge=0, description="Shuffle with this seed, after `where` and before `limit`.")
    limit: int | None = Field(None, ge=1, description="Keep the first rows.")

    @model_validator(mode="after")
    def _one_source(self) -> Dataset:
        given = [k for k in ("path", "rows", "hf") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of path, rows and hf; given: {', '.join(given) or 'none'}")
        if self.hf is None:
            only_with(self.model_fields_set, ("config", "split", "revision"), "hf")
        if self.path is None:
            only_with(self.model_fields_set, ("format", "encoding"), "path")
        return self
