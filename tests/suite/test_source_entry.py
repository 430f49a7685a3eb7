"""The entry `source` of a monitor: what goes together, and what is refused with a remedy."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from evalharness.monitor.sources.redact import Redaction
from evalharness.suite.source_entry import REDACTIONS, Source


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "exactly one of path, receive and url; given: none"),
        ({"path": "a", "url": "sqlite://"}, "given: path, url"),
        ({"url": "sqlite://", "query": "SELECT 1"}, "url and format: sql belong together"),
        ({"path": "a", "format": "sql", "query": "SELECT 1"}, "url and format: sql belong together"),
        ({"url": "sqlite://", "format": "sql"}, "needs a query"),
        ({"receive": "spool", "format": "openai"}, "format must be one of otel-genai, openinference"),
        ({"receive": "spool"}, "format must be one of otel-genai, openinference"),
        ({"path": "a", "query": "SELECT 1"}, "query has no effect without format: sql or duckdb"),
        ({"path": "a", "signal": "logs"}, "signal has no effect without format: otel-genai"),
        ({"path": "a", "format": "openai", "fields": {"output": "x"}}, "fields has no effect"),
        ({"path": "a", "fields": {"outptu": "x"}}, "did you mean 'output'?"),
        ({"path": "a", "id": "x", "fields": {"id": "y"}}, "id is given twice"),
        ({"path": "a", "timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"path": "a", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"path": "a", "redact": ["emial"]}, "did you mean 'email'?"),
        ({"path": "a", "redact": ["("]}, "not a regular expression"),
        ({"path": "a", "redact": ["a*"]}, "matches the empty text"),
        ({"path": "a", "redact": [{"pattern": "x", "name": "a b"}]}, "pattern"),
        ({"path": "a", "formt": "openai"}, "Extra inputs"),
        ({"path": []}, "at least 1 item"),
    ],
)
def test_what_does_not_fit_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Source.model_validate(entry)
    assert message in str(refused.value)


def test_content_is_off_and_nothing_else_is_kept_by_itself() -> None:
    source = Source(path="logs/")
    assert source.content is False
    assert source.attributes == ()
    assert source.format == "response.v1"


def test_every_redaction_that_may_be_named_is_known() -> None:
    for name in REDACTIONS:
        Source(path="a", redact=(name,))
        assert Redaction([name])
