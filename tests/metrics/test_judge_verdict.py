"""A judge's reply is read strictly: the object that it ends with, of the right shape, or nothing."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.metrics.judge_verdict import Verdict, VerdictFault, VerdictForm, read_verdict

SCALE = VerdictForm("scale", 1.0, 5.0)
CLASSES = VerdictForm("classes", 0.0, 1.0, classes={"bad": 0.0, "so-so": 0.5, "good": 1.0})
PAIR = VerdictForm("pair", 0.0, 1.0)
SHARE = VerdictForm("scale", 0.0, 1.0)
BARE = VerdictForm("scale", 1.0, 5.0, explain=False)


@pytest.mark.parametrize(
    ("form", "reply", "verdict"),
    [
        (SCALE, '{"reason": "r", "score": 4}', Verdict(4.0, None, "r")),
        (SCALE, '{"score": 4.0}', Verdict(4.0, None)),
        (SCALE, 'Let me see.\n```json\n{"reason": "r", "score": 1}\n```\n', Verdict(1.0, None, "r")),
        (SCALE, '{"score": 5} is what it wants.\n{"score": 2}', Verdict(2.0, None)),
        (SCALE, '{"reason": "it says {\\"score\\": 5}", "score": 1}', Verdict(1.0, None, 'it says {"score": 5}')),
        (SCALE, '{ not this } {"score": 3}', Verdict(3.0, None)),
        (SHARE, '{"score": 0.25}', Verdict(0.25, None)),
        (CLASSES, '{"reason": "r", "label": "so-so"}', Verdict(0.5, "so-so", "r")),
        (PAIR, '{"better": "tie"}', Verdict(None, "tie")),
        (BARE, '{"reason": "unasked", "score": 2}', Verdict(2.0, None, "unasked")),
    ],
)
def test_the_object_at_the_end_of_a_reply_is_the_verdict(form: VerdictForm, reply: str, verdict: Verdict) -> None:
    assert read_verdict(form, reply) == verdict


@pytest.mark.parametrize(
    ("form", "reply", "why"),
    [
        (SCALE, "", "no JSON object"),
        (SCALE, "I give it 5 of 5.", "no JSON object"),
        (SCALE, "5", "no JSON object"),
        (SCALE, '{"score": 6}', "not on the scale"),
        (SCALE, '{"score": 0}', "not on the scale"),
        (SCALE, '{"score": 3.5}', "no whole number"),
        (SCALE, '{"score": "4"}', "no number"),
        (SCALE, '{"score": true}', "no number"),
        (SCALE, '{"score": null}', "no number"),
        (SCALE, '{"score": NaN}', "no JSON object"),
        (SCALE, '{"score": 1e999}', "no number"),
        (SCALE, '{"score": [5]}', "no number"),
        (SCALE, '{"label": "good"}', "has no 'score'"),
        (SCALE, '{"score": 1, "score": 5}', "no JSON object"),
        (SCALE, '{"score": 4, "also": 1}', "unknown key"),
        (SCALE, '{"reason": 7, "score": 4}', "no text"),
        (SCALE, '{"score": 5}\nBut in truth it is worth 1.', "does not end with its verdict"),
        (SCALE, '{"score": 1} {"score": 9}', "not on the scale"),
        # A quotation that was not escaped breaks the object: its inside is not read in its place.
        (SCALE, '{"reason": "it says {"score": 5}", "score": 1}', "does not end"),
        (SCALE, '{"score": 1', "no JSON object"),
        (SHARE, '{"score": 1.01}', "not on the scale"),
        (CLASSES, '{"label": "Good"}', "none of bad, so-so, good"),
        (CLASSES, '{"label": 1}', "none of"),
        (PAIR, '{"better": "C"}', "none of A, B, tie"),
        (SCALE, "{" * 5000, "no JSON object"),
    ],
)
def test_whatever_else_a_reply_holds_is_no_verdict(form: VerdictForm, reply: str, why: str) -> None:
    with pytest.raises(VerdictFault, match=why):
        read_verdict(form, reply)


@given(st.text(), st.integers(1, 5))
def test_a_reason_may_quote_anything(quoted: str, score: int) -> None:
    for ascii_only in (True, False):
        reply = json.dumps({"reason": quoted, "score": score}, ensure_ascii=ascii_only)
        assert read_verdict(SCALE, f"{quoted}\n{reply}" if "{" not in quoted else reply).value == score


@given(st.text(alphabet='{}[]":,ab0 scoreason\\'))
def test_no_reply_raises_anything_else(reply: str) -> None:
    try:
        found = read_verdict(SCALE, reply)
    except VerdictFault:
        return
    assert found.value in (1, 2, 3, 4, 5)


@pytest.mark.parametrize("form", [SCALE, CLASSES, PAIR, SHARE, BARE])
def test_the_schema_lets_through_what_is_read_and_nothing_else(form: VerdictForm) -> None:
    schema = json.loads(form.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(schema["properties"])[-1] == form.key, "the reason leads to the verdict"
    reason = {"reason": "r"} if form.explain else {}
    candidates = [0, 0.5, 1, 2, 5, 6, "A", "tie", "good", "bad", None, True]
    for value in candidates:
        body = {**reason, form.key: value}
        valid = jsonschema.Draft202012Validator(schema).is_valid(body)
        try:
            read_verdict(form, json.dumps(body))
        except VerdictFault:
            assert not valid, value
        else:
            assert valid, value


def test_scales_of_whole_numbers_and_others() -> None:
    assert (SCALE.whole, SHARE.whole, VerdictForm("scale", 0.5, 5.0).whole) == (True, False, False)
    assert json.loads(VerdictForm("scale", 0.0, 1000.0).schema())["properties"]["score"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 1000,
    }
    assert "whole number from 1 (worst) to 5 (best)" in SCALE.words()
    assert "a number from 0 (worst) to 1 (best)" in SHARE.words()
