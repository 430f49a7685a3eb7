"""What a report says of tokens and costs, for records of any kind."""

from types import SimpleNamespace

import pytest

from evalharness.report.costs import cost_rows, cost_total, usage_line, usd

PART = {
    "n_answers": 4,
    "n_requests": 5,
    "n_retries": 1,
    "input_tokens": 1200,
    "cached_tokens": 300,
    "output_tokens": 90,
    "reasoning_tokens": 60,
    "n_priced": 4,
    "cost_usd": 0.5,
    "spent_usd": 0.5,
    "cost": "known",
}
LOCAL = {**PART, "cost": "none", "n_priced": 0, "cost_usd": None, "spent_usd": None}


def manifest(total=None, **models):
    return SimpleNamespace(execution={"usage": {"models": models, "total": total or {**PART, "cost": None}}})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "$0"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
        (0.5, "$0.500"),
        (0.012345, "$0.0123"),
        (0.0000123456, "$0.0000123"),
        (None, "—"),
    ],
)
def test_dollars(value, text):
    assert usd(value) == text


def test_a_line_says_all_that_is_known():
    (row,) = cost_rows(manifest(gpt=PART))
    assert usage_line(row) == (
        "gpt: 5 requests sent (1 retries) · 1,200 tokens in (300 cached), 90 out (60 of reasoning) · cost $0.500"
    )
    (row,) = cost_rows(manifest(gpt={**PART, "spent_usd": 0.1}))
    assert usage_line(row).endswith("cost $0.500, of which this run spent $0.100")


def test_answers_that_do_not_say_their_tokens_make_the_cost_a_least_one():
    (row,) = cost_rows(manifest(gpt={**PART, "n_priced": 3}))
    assert row.cost_text == "at least $0.500"


def test_the_total_is_unknown_only_where_nothing_is_known():
    unknown = {**LOCAL, "cost": "unknown"}
    assert cost_total(manifest(a=PART, b=unknown)).cost_text == "at least $0.500"
    assert cost_total(manifest({**PART, "cost_usd": None}, b=unknown)).cost_text == "unknown"
    assert cost_total(manifest(a=PART, b=LOCAL)).cost_text == "$0.500"
    assert cost_total(manifest({**PART, "cost_usd": None}, b=LOCAL)).cost_text == "—"


@pytest.mark.parametrize("execution", [{}, {"usage": None}, {"usage": {"models": [1]}}])
def test_older_records_have_no_such_figures(execution):
    assert cost_rows(SimpleNamespace(execution=execution)) == []
    assert cost_total(SimpleNamespace(execution=execution)) is None
