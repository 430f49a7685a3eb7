"""The alert keys of a monitor: what is taken, and what is refused with the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from evalharness.suite.alert_entry import AlertRule, Alerts, Channel, Heartbeat


@pytest.mark.parametrize(
    "values",
    [
        {"url": "https://hooks.slack.com/services/T00000000/B00000000/aB3dE5gH7jK9mN1pQ3sT5vX7"},
        {"url": "https://me:word@example.org/"},
        {"url": "https://example.org/?key=aB3dE5gH7jK9mN1pQ3sT5vX7"},
        {"url": "slack://tokenA/tokenB/tokenC"},
        {"url": "mailto://me:word@example.org"},
        {"url": "https://example.org/", "secret": "word"},
        {"url": "https://example.org/", "headers": {"Authorization": "Bearer word"}},
    ],
)
def test_a_secret_must_not_be_written_out(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"\$\{env:NAME\}"):
        Channel(**values)


@pytest.mark.parametrize("url", ["", "example.org", "http://", "https://a b/", "slack"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValidationError):
        Channel(url=url)
    with pytest.raises(ValidationError):
        Heartbeat(url=url)


@pytest.mark.parametrize("url", ["${env:URL}", "https://example.org/alerts-of-evalharness", "slack://${env:TOKENS}"])
def test_addresses(url: str) -> None:
    assert Channel(url=url).url == url


@pytest.mark.parametrize(
    "values",
    [{}, {"at_most": 1.0, "at_least": 0.0}, {"at_most": 1.0, "resolve": 1.1}, {"at_least": 1.0, "resolve": 0.9}],
)
def test_a_rule_has_one_limit_and_ends_on_its_good_side(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AlertRule(figure="latency_s.p95", **values)  # type: ignore[arg-type]


def test_names_of_channels() -> None:
    url = "${env:URL}"
    channels = [{"url": url}, {"url": url, "name": "ops"}, {"url": url, "kind": "apprise"}]
    assert list(Alerts.model_validate({"channels": channels}).named_channels()) == ["auto-1", "ops", "apprise-3"]
    with pytest.raises(ValidationError, match="'ops'"):
        Alerts.model_validate({"channels": [channels[1]] * 2})


def test_what_is_stored_has_the_reference_and_reads_back() -> None:
    alerts = Alerts.model_validate({"channels": [{"url": "${env:URL}"}]})
    assert "${env:URL}" in alerts.model_dump_json()
    assert Alerts.model_validate_json(alerts.model_dump_json()) == alerts
