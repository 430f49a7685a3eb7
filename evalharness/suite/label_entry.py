"""`labels:` of a monitor: where labels arrive, later than the responses that they belong to."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from .fields import Strict, Text

__all__ = ["Labels"]


class Labels(Strict):
    """Where labels arrive, by the id of their response: files (`path`), or a database (`url` and `query`)."""

    path: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None,
        description="A file, folder or pattern, or several: .csv, .tsv, .jsonl, .json, .parquet, also packed by gzip.",
    )
    url: Text | None = Field(
        None, description="The database, as SQLAlchemy writes its address; secrets as ${env:NAME}."
    )
    query: Text | None = Field(
        None, description="A SELECT with :start and :end, the interval of the responses (not of the labels)."
    )
    id: Text = Field("id", description="Column with the id of the response.")
    label: Text = Field("label", description="Column with the label.")
    time: Text | None = Field(
        None, description="Column that says when the label was given: of several for one response the latest counts."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("say where labels are: path: labels/*.csv, or url: with query:")
        if (self.url is None) != (self.query is None):
            raise ValueError("url and query go together: url: postgresql://…, query: SELECT id, label FROM …")
        return self
