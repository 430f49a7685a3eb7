from __future__ import annotations

import math
import random

import numpy as np
import pytest

from evalharness.drift.terms import diagnose_texts
from evalharness.stats.log_odds import log_odds

COMMON = ["the", "order", "of", "my", "account", "please", "help", "with", "this", "thing", "now", "and", "then"]


def texts(n, extra, share, seed):
    chance = random.Random(seed)
    made = []
    for _ in range(n):
        words = chance.choices(COMMON, k=12)
        if chance.random() < share:
            words.insert(3, extra)
        made.append(" ".join(words))
    return made


def test_log_odds_are_the_papers():
    """Equations 15 to 22, term by term."""
    y1, y2, prior = [10, 40, 0], [30, 38, 2], [1.0, 2.0, 0.5]
    found = log_odds(y1, y2, prior=prior)
    n1, n2, a0 = sum(y1), sum(y2), sum(prior)
    for i in range(3):
        delta = math.log((y2[i] + prior[i]) / (n2 + a0 - y2[i] - prior[i])) - math.log(
            (y1[i] + prior[i]) / (n1 + a0 - y1[i] - prior[i])
        )
        assert found[i] == pytest.approx(delta / math.sqrt(1 / (y2[i] + prior[i]) + 1 / (y1[i] + prior[i])))
    assert np.allclose(log_odds(y2, y1, prior=prior), -found)


@pytest.mark.parametrize(
    ("first", "second", "message"), [([1, 2], [1], "same terms"), ([-1, 2], [1, 1], "cannot be negative")]
)
def test_log_odds_of_nonsense(first, second, message):
    with pytest.raises(ValueError, match=message):
        log_odds(first, second)


def test_a_new_word_is_named_with_its_shares_and_a_text_that_holds_it():
    before, now = texts(400, "refund", 0.02, 1), texts(400, "refund", 0.3, 2)
    found = diagnose_texts(before, now)
    assert found.terms[0].term == "refund"
    assert found.terms[0].share_reference == pytest.approx(sum("refund" in t for t in before) / 400)
    assert found.terms[0].share_current == pytest.approx(sum("refund" in t for t in now) / 400)
    assert all("refund" in text and "refund" in why for text, why in found.current_examples)
    assert len(set(found.current_examples)) == len(found.current_examples) == 3
    turned = diagnose_texts(now, before)
    assert next(t.term for t in turned.terms if t.z < 0) == "refund"
    assert all("refund" in text for text, _ in turned.reference_examples)


def test_nothing_moved():
    found = diagnose_texts(texts(300, "x", 0.0, 1), texts(300, "x", 0.0, 2))
    assert found.terms == ()
    assert found.current_examples == ()


def test_chinese_words_are_characters_and_marks_are_no_words():
    found = diagnose_texts(["请帮我查订单。"] * 60, ["请帮我退款!"] * 60)
    more = [t.term for t in found.terms if t.z > 0]
    assert set(more) == {"退", "款"}


@pytest.mark.parametrize(("before", "now"), [([], ["a b"]), (["a b"], []), ([None, ""], ["a b", "a"]), ([], [])])
def test_one_side_is_empty(before, now):
    assert diagnose_texts(before, now).terms == ()


def test_long_windows_are_sampled_evenly():
    many = [f"word{i % 7} filler" for i in range(45_001)]
    found = diagnose_texts(many, many)
    assert found.n_read == (15_001, 15_001)
    assert found.terms == ()
