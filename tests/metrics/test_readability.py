from __future__ import annotations

import importlib
import math

import pytest
import textstat
from hypothesis import example, given
from hypothesis import strategies as st

from evalharness.metrics.functional import score
from evalharness.metrics.readability import FleschKincaidGrade, FleschReadingEase, sentence_count, syllables, words_of

PIECES = [
    "The cat sat",
    ". ",
    "! ",
    "? ",
    "...",
    " ",
    "don't",
    "well-known",
    "'quoted'",
    "U.S.",
    "naïve",
    "3.5",
    "\n",
    ",",
]
TEXT = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
PASSAGE = (
    "The dog bit the man. It was not unexpected by anybody! The man didn't bite him first, did he? "
    "Nobody knows what happened on that well-known evening."
)


@given(TEXT)
@example("The cat sat. The dog ran. Go home. It is so very hot.")
def test_words_and_sentences_are_textstats(text):
    assert len(words_of(text)) == textstat.lexicon_count(text)
    assert sentence_count(text) == textstat.sentence_count(text)


@pytest.fixture
def same_syllables(monkeypatch):
    """textstat with our syllables: its own come from CMU's dictionary, which it would download."""
    module = importlib.import_module("textstat.backend.metrics._syllables_per_word")
    monkeypatch.setattr(module, "count_syllables", lambda text, lang: sum(map(syllables, words_of(text))))


@pytest.mark.parametrize(
    ("metric", "theirs"),
    [(FleschReadingEase(), "flesch_reading_ease"), (FleschKincaidGrade(), "flesch_kincaid_grade")],
)
@pytest.mark.parametrize(
    "text", [PASSAGE, "One word", "A b c d. " * 4, "Über naïve Menschen wird gelacht, oder nicht?"]
)
def test_the_formulas_are_textstats(metric, theirs, text, same_syllables):
    from textstat.backend import metrics

    expected = getattr(metrics, theirs)(text + " ", "en")
    assert score(metric, [text + " "]).value == pytest.approx(expected, abs=1e-9)


def test_answers_are_one_text():
    answers = ["The cat sat on the mat.", "Considerable deliberation necessitates uncomfortable circumspection."]
    whole = score(FleschReadingEase(), [" ".join(answers)]).value
    assert score(FleschReadingEase(), answers).value == pytest.approx(whole)


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("cat", 1), ("make", 1), ("maker", 2), ("table", 2), ("little", 2), ("walked", 1), ("wanted", 2), ("boxes", 2),
        ("makes", 1), ("don't", 1), ("the", 1), ("being", 2), ("merely", 2), ("smelled", 1), ("foxes", 2), ("fox's", 2),
        ("xyz", 1), ("42", 1),
        ("readability", 5), ("naïve", 1), ("café", 2), ("create", 2), ("", 1),
    ],
)  # fmt: skip
def test_syllables(word, count):
    assert syllables(word) == count


def test_answers_in_other_scripts_are_not_measured():
    """Their words have no vowels that the rules know: each would count as one syllable, and the text as very easy."""
    found = score(FleschReadingEase(), ["我们明天去学校。", "Это предложение.", "Go home to 北京.", "Die Größe.", "42"])
    assert [math.isnan(value) for value in found.values] == [True, True, False, False, False]


def test_answers_without_words_are_not_measured():
    found = score(FleschReadingEase(), ["…", "Go home."])
    assert math.isnan(found.values[0])
    assert found.value == pytest.approx(206.835 - 1.015 * 2 - 84.6)
