"""The source of a monitor: where production's responses are written, in what format, and what may be kept of them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from evalharness.core.registry import suggestion

from .fields import Strict, Text, only_with

__all__ = ["REDACTIONS", "RESPONSE_FIELDS", "RedactPattern", "Source", "SourceFormat"]

SourceFormat = Literal["response.v1", "otel-genai", "openinference", "openai", "anthropic", "sql", "duckdb"]

REDACTIONS: Final = (
    "email",
    "phone",
    "credit_card",
    "iban",
    "us_ssn",
    "cn_resident_id",
    "ip",
    "api_key",
    "jwt",
    "private_key",
    "url_password",
)
"""What can be redacted by name."""

RESPONSE_FIELDS: Final = (
    "id",
    "event_time",
    "ingest_time",
    "service",
    "model",
    "operation",
    "conversation",
    "input",
    "output",
    "messages",
    "reasoning",
    "finish_reason",
    "error",
    "latency_s",
    "time_to_first_token_s",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "label",
    "prediction",
    "probability",
    "scores",
    "attributes",
)
"""The fields of a response, in their order: a test holds them to `core.production.ProductionResponse`."""

_PLAIN_WORD = re.compile(r"[A-Za-z0-9_-]+\Z")
_ROWS = ("response.v1", "sql", "duckdb")
_SPANS = ("otel-genai", "openinference")


def _check_pattern(pattern: str) -> str:
    import regex

    try:
        found = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern[:60]!r} is not a regular expression: {error}") from None
    if found.fullmatch(""):
        raise ValueError(f"{pattern[:60]!r} matches the empty text, and so everywhere; ask for one sign at least")
    return pattern


def _check_redaction(value: str) -> str:
    # A word is a name, so that a slip of the pen in one is no pattern that matches nothing.
    if _PLAIN_WORD.match(value):
        if value not in REDACTIONS:
            raise ValueError(
                f"there is no redaction {value!r}{suggestion(value, REDACTIONS)}; known: {', '.join(REDACTIONS)}; "
                f"write a regular expression that is one word as {{name: …, pattern: {value}}}"
            )
        return value
    return _check_pattern(value)


def _check_zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:40]!r}; write UTC or a name such as Europe/Berlin") from None
    return name


class RedactPattern(Strict):
    """A pattern of one's own whose finds are replaced by its name in brackets."""

    pattern: Annotated[Text, AfterValidator(_check_pattern)] = Field(
        description="Regular expression, in the syntax of Python's regex package."
    )
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = Field(
        "redacted", description="What stands in the place of what is found, in brackets."
    )


def _kind_of_redaction(value: object) -> str:
    return "name" if isinstance(value, str) else "pattern"


# Told apart by what is written, so that a fault is told once and not once for each way to write one.
Redaction: TypeAlias = Annotated[
    Annotated[str, AfterValidator(_check_redaction), Tag("name")] | Annotated[RedactPattern, Tag("pattern")],
    Discriminator(_kind_of_redaction),
]


class Source(Strict):
    """Where a monitor finds what production answered: one of `path`, `receive`, and `url` with `query`.

    See [production data](production-data.md).
    """

    path: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None,
        description="A file, a folder (all files below it that have a known ending) or a pattern such as "
        "logs/*.jsonl.gz, or several of them.",
    )
    receive: Text | None = Field(
        None, description="The folder into which `evalharness monitor receive` writes what it is sent."
    )
    url: Text | None = Field(
        None, description="sql: the database, as SQLAlchemy writes its address; secrets as ${env:NAME}."
    )
    query: Text | None = Field(
        None,
        description="sql: a SELECT whose columns are the fields of a response, with :start and :end for the interval. "
        "duckdb: a SELECT over `responses`, the Parquet files of `path` (default: all of it), with $start and $end.",
    )
    format: SourceFormat = Field(
        "response.v1",
        description="What a row is: a response of our own schema (`evalharness schema --response`), a span of the "
        "OpenTelemetry GenAI or OpenInference conventions, an answer or a stored pair of the APIs of OpenAI or "
        "Anthropic, or a row of a query.",
    )
    signal: Literal["traces", "logs"] = Field(
        "traces",
        description="otel-genai: read spans, or log records named gen_ai.client.inference.operation.details.",
    )
    content: bool = Field(
        False,
        description="Keep the texts of inputs and outputs. Without it they are dropped as they are read, and what is "
        "measured of texts is not available.",
    )
    redact: tuple[Redaction, ...] = Field(
        (),
        description=f"What is replaced in every text before anything sees it: {', '.join(REDACTIONS)}, or regular "
        "expressions.",
    )
    id: Text | None = Field(
        None,
        description="Column, or attribute of a span, that names a response; the same name twice is a duplicate "
        "(default: id; of spans, their own id).",
    )
    event_time: Text | None = Field(
        None,
        description="Column or attribute with the time of the response; of spans start_time or end_time, too "
        "(default: event_time; of spans end_time).",
    )
    conversation: Text | None = Field(
        None,
        description="Column or attribute that names what responses belong together: a conversation, a customer "
        "(default: conversation; of spans gen_ai.conversation.id, session.id).",
    )
    fields: dict[str, Text] = Field(
        default_factory=dict,
        description="response.v1, sql and duckdb: field of a response, and the column it is read from; a path such as "
        "reply.text goes into objects.",
    )
    attributes: tuple[Text, ...] | dict[str, Text] = Field(
        (),
        description="Columns or attributes kept beside the answer, as what windows may be divided by; name: column "
        "gives them names of their own. Attributes of response.v1 rows are kept in any case.",
    )
    timezone: Annotated[str, AfterValidator(_check_zone)] | None = Field(
        None, description="Zone of times that name none (default: a row with such a time is quarantined)."
    )
    time_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="Unit of times that are numbers (default: by their size, where that leaves no doubt)."
    )
    max_record_bytes: int = Field(
        16 * 2**20, ge=1024, description="A longer line or message is quarantined unread (default 16 MiB)."
    )
    redact_timeout_s: float = Field(
        1.0, gt=0, le=60, description="A text on which a pattern of one's own takes longer is dropped whole."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Source:
        given = [key for key in ("path", "receive", "url") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of path, receive and url; given: {', '.join(given) or 'none'}")
        if (self.format == "sql") != (self.url is not None):
            raise ValueError("url and format: sql belong together; give both, or neither")
        if self.format == "sql" and self.query is None:
            raise ValueError("format: sql needs a query with :start and :end")
        if self.receive is not None and self.format not in _SPANS:
            raise ValueError(f"what is received are spans: format must be one of {', '.join(_SPANS)}")
        if self.format == "duckdb" and self.path is None:
            raise ValueError("format: duckdb needs the path of Parquet files")
        if self.format not in ("sql", "duckdb"):
            only_with(self.model_fields_set, ("query",), "format: sql or duckdb")
        if self.format != "otel-genai":
            only_with(self.model_fields_set, ("signal",), "format: otel-genai")
        if self.format not in _ROWS:
            only_with(self.model_fields_set, ("fields",), "format: response.v1, sql or duckdb")
        for name in self.fields:
            if name not in RESPONSE_FIELDS:
                raise ValueError(f"fields: a response has no field {name!r}{suggestion(name, RESPONSE_FIELDS)}")
            if name in ("id", "event_time", "conversation") and getattr(self, name) is not None:
                raise ValueError(f"{name} is given twice, under `fields` and beside it; remove one")
        return self
