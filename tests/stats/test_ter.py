from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.lib_ter import translation_edit_rate

from evalharness.stats import ter
from evalharness.stats.ter import translation_edits

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "the", "cat", "sat"]), max_size=14)


@given(WORDS, WORDS)
def test_equals_sacrebleu(text, reference):
    assert translation_edits(text, reference) == translation_edit_rate(text, reference)[0]


@given(WORDS, WORDS, WORDS)
def test_a_moved_block_equals_sacrebleu(first, second, third):
    text, reference = [*first, *second, *third], [*third, *first, *second]
    assert translation_edits(text, reference) == translation_edit_rate(text, reference)[0]


def noisy(rng, length, *, kept, vocabulary=400):
    gold = [f"w{min(int(rng.expovariate(0.02)), vocabulary)}" for _ in range(length)]
    text = [w if rng.random() < kept else f"x{rng.randint(0, 50)}" for w in gold]
    for _ in range(rng.randint(0, 4)):
        cut = sorted(rng.randint(0, len(text)) for _ in range(3))
        text = text[: cut[0]] + text[cut[1] : cut[2]] + text[cut[0] : cut[1]] + text[cut[2] :]
    return text[rng.randint(0, 4) :], gold


@pytest.mark.parametrize("seed", range(3))
def test_sentences_equal_sacrebleu(seed):
    rng = random.Random(seed)
    for _ in range(12):
        text, gold = noisy(rng, rng.randint(5, 50), kept=0.7)
        assert translation_edits(text, gold) == translation_edit_rate(text, gold)[0]


@pytest.mark.parametrize("seed", range(2))
def test_outside_of_the_beam_it_is_sacrebleus_beam(seed, monkeypatch):
    """Texts that share little, or differ much in length: the plain distance would not do."""
    seen = []
    plain = ter._beam_alignment
    monkeypatch.setattr(ter, "_beam_alignment", lambda *texts: seen.append(texts) or plain(*texts))
    rng = random.Random(seed)
    for length, kept, cut in ((80, 0.2, 0), (60, 0.9, 45), (6, 0.9, 0), (70, 0.5, 5)):
        text, gold = noisy(rng, length, kept=kept)
        gold = gold if length > 6 else gold + [f"y{i}" for i in range(60)]
        text = text[cut:]
        assert translation_edits(text, gold) == translation_edit_rate(text, gold)[0]
        rng.shuffle(text)
        assert translation_edits(text, gold) == translation_edit_rate(text, gold)[0]
    assert seen


def test_the_beam_cuts_off_what_the_plain_distance_would_find():
    """60 words moved from the front to the back: an alignment 60 off the diagonal, which the beam of 25 cannot see."""
    block = [f"b{i}" for i in range(70)]
    text, gold = [*(f"x{i}" for i in range(60)), *block], [*block, *(f"y{i}" for i in range(60))]
    assert ter._distance()(text, gold) == 120
    assert translation_edits(text, gold) == translation_edit_rate(text, gold)[0] > 120


@pytest.mark.parametrize(("text", "gold"), [("a b", "b a"), ("a b a c", "a c a b")])
def test_stops_after_a_thousand_candidates(text, gold):
    text, gold = (text + " ").split() * 18, (gold + " ").split() * 18
    assert translation_edits(text, gold) == translation_edit_rate(text, gold)[0]


def test_empty_sides():
    assert translation_edits([], []) == 0
    assert translation_edits(["a", "b"], []) == 2
    assert translation_edits([], ["a", "b"]) == 2
    assert translation_edits([], [str(i) for i in range(60)]) == 60
