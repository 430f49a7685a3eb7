import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.report.text import amount, clip, duration, figure, interval, safe, share, single_line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.84321, "0.843"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (0.99999, "1.000"),
        (27.3149, "27.31"),
        (118.44, "118.4"),
        (12345.6, "12,346"),
        (0.0123, "0.0123"),
        (0.00012, "0.000120"),
        (-0.25, "−0.250"),
        (1e-9, "1e-09"),
        (1e20, "1e+20"),
        (math.nan, "—"),
        (None, "—"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_figure(value, text):
    assert figure(value) == text


def test_interval_has_the_decimals_of_its_value():
    assert interval(0.0, 1.0, like=0.5) == "[0.000, 1.000]"
    assert interval(9.0, 11.0, like=10.0) == "[9.00, 11.00]"
    assert interval(1.1, math.inf, like=1.2) == "[1.100, ∞]"
    assert interval(math.nan, 1.0, like=0.5) == "—"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0 %"),
        (1, 3, "33.3 %"),
        (1, 100_000, "<0.1 %"),
        (99_999, 100_000, ">99.9 %"),
        (5, 5, "100 %"),
        (0, 0, "—"),
    ],
)
def test_share(part, whole, text):
    assert share(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0123, "12.3 ms"),
        (3.14159, "3.14 s"),
        (59.99, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3780, "1 h 03 min"),
        (None, "—"),
        (math.nan, "—"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_amount():
    assert (amount(12345), amount(None), amount(math.nan)) == ("12,345", "—", "—")


def test_safe_shows_what_would_act():
    assert safe("\x1b[31mred\x07") == "␛[31mred␇"
    assert safe("a\u202eb\ud800\x9b\x7f\x00") == "a⟦U+202E⟧b\ufffd⟦U+009B⟧␡␀"
    assert safe("tab\tand\r\nnewline\n") == "tab\tand\nnewline\n"
    assert single_line("a\nb\tc\rd") == "a⏎b→c␍d"
    assert safe("naïve 漢字 🙂 العربية") == "naïve 漢字 🙂 العربية"


@given(st.text(alphabet=st.characters()))
def test_safe_leaves_nothing_active(text):
    shown = single_line(text)
    shown.encode("utf-8")
    assert all(ord(c) >= 0x20 and not 0x7F <= ord(c) <= 0x9F for c in shown)
    assert safe(safe(text)) == safe(text)


@given(st.text(), st.integers(1, 20))
def test_clip(text, limit):
    assert len(clip(text, limit)) <= limit
    assert clip(text, len(text)) == text
