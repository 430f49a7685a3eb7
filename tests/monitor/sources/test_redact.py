from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.production import ProductionResponse
from evalharness.monitor.sources.privacy import private
from evalharness.monitor.sources.redact import WITHHELD, Redaction
from evalharness.monitor.sources.times import moment
from evalharness.suite.source_entry import REDACTIONS, RedactPattern

KEYS = [
    "sk-proj-abcdefghij0123456789ABCD",
    "sk-ant-api03-abcdefghij0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "b" * 35,
    "ghp_" + "c" * 36,
    "xoxb-123456789012-abcdef",
    "hf_" + "d" * 34,
    "sk_live_" + "e" * 24,
    "Bearer abcdefghijklmnop1234",
    "api_key=abcdefgh12345678",
    "password: correct-horse-battery",
]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("email", "ask ann.o'hara+x@mail.corp.de, or bob@example.com.", "ask [email], or [email]."),
        ("email", "@user and a@b are none", "@user and a@b are none"),
        ("phone", "call +49 30 123456-78 or (212) 736-5000", "call [phone] or [phone]"),
        ("credit_card", "4111 1111 1111 1111 but not 4111 1111 1111 1112", "[credit_card] but not 4111 1111 1111 1112"),
        ("iban", "to DE89 3704 0044 0532 0130 00 please", "to [iban] please"),
        ("us_ssn", "SSN 536-22-1234", "SSN [us_ssn]"),
        ("cn_resident_id", "11010519491231002X", "[cn_resident_id]"),
        ("ip", "10.0.0.1 and 2001:db8::8a2e:370:7334 at 10:30:15", "[ip] and [ip] at 10:30:15"),
        ("ip", "version 1.2.3 of 999.1.1.1", "version 1.2.3 of 999.1.1.1"),
        ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-_x end", "[jwt] end"),
        ("private_key", "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a [private_key] b"),
        ("private_key", "cut -----BEGIN PRIVATE KEY-----\nMII", "cut [private_key]"),
        ("url_password", "postgres://me:s3cret@db/x", "postgres://me:[url_password]@db/x"),
        *(("api_key", f"use {key} now", "use [api_key] now") for key in KEYS),
    ],
)
def test_known_patterns(name: str, text: str, expected: str) -> None:
    assert Redaction([name])(text) == expected


def test_every_name_stands_for_something() -> None:
    covered = {"email", "phone", "credit_card", "iban", "us_ssn", "cn_resident_id", "ip", "jwt", "private_key"}
    assert covered | {"url_password", "api_key"} == set(REDACTIONS)
    # Only what was asked for is replaced.
    assert Redaction(["phone"])("ann@corp.de 4111 1111 1111 1111") == "ann@corp.de 4111 1111 1111 1111"


def test_patterns_of_the_user() -> None:
    redaction = Redaction([r"T-\d+", RedactPattern(name="order", pattern=r"(?i)order \d+"), "email"])
    assert redaction("T-12 of ORDER 99 by a@corp.de") == "[redacted] of [order] by [email]"
    assert not Redaction([])


def test_a_catastrophic_pattern_ends_and_its_text_is_withheld() -> None:
    redaction = Redaction([r"(x+x+)+(?=y)z"], timeout_s=0.05)
    begun = time.process_time()
    assert redaction("x" * 5000) == WITHHELD
    assert time.process_time() - begun < 5
    assert redaction.timeouts == 1
    assert redaction("short") == "short"


def test_known_patterns_take_time_in_proportion() -> None:
    redaction = Redaction(REDACTIONS)
    for sign in ("a", "1", "a@", ":", "1.1.", "eyJ", "a.", "'a", "-----BEGIN PRIVATE KEY", "x://", "token = "):
        begun = time.process_time()
        redaction(sign * (50_000 // len(sign)))
        assert time.process_time() - begun < 2, sign


def test_names_stay_apart() -> None:
    redaction = Redaction(["email"])
    one, two = redaction.name("ann@corp.de"), redaction.name("bob@corp.de")
    assert one != two
    assert one == redaction.name("ann@corp.de")
    assert "corp" not in one
    assert redaction.name("c-17") == "c-17"


def test_every_text_of_a_response_is_searched() -> None:
    mail = "ann@corp.de"
    response = ProductionResponse(
        "1", moment("2026-11-22T10:00:00Z", "t"), conversation=mail, input=mail, output=mail,
        messages=(("user", mail),), reasoning=mail, error=mail, label=mail, prediction=mail,
        attributes={"who": mail, "n": 3},
    )  # fmt: skip
    found = private(response, content=True, redaction=Redaction(["email"]))
    assert "corp" not in repr(found)
    assert found.attributes == {"who": "[email]", "n": 3}
    assert found.messages == (("user", "[email]"),)


def test_errors_keep_their_type_only() -> None:
    base = ProductionResponse("1", moment("2026-11-22T10:00:00Z", "t"), error="You asked: my secret")
    assert private(base, content=False, redaction=Redaction([])).error == "error"
    assert private(base, content=True, redaction=Redaction([])).error == "You asked: my secret"


@given(st.text())
def test_what_is_redacted_has_nothing_left_to_find(text: str) -> None:
    redaction = Redaction(["email", "credit_card", "jwt"])
    once = redaction(f"{text} ann@corp.de 4111111111111111 {text}")
    assert redaction(once) == once
    assert "ann@corp.de" not in once


def test_without_content_every_text_goes() -> None:
    response = ProductionResponse(
        "1", moment("2026-11-22T10:00:00Z", "t"), input="a", output="b", reasoning="c", messages=(("user", "d"),)
    )
    for redaction in (Redaction([]), Redaction(["email"])):
        found = private(response, content=False, redaction=redaction)
        assert (found.input, found.output, found.reasoning, found.messages) == (None, None, None, ())
