from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.meteor_score import meteor_score

from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.meteor import Meteor

WORDS = (  # noqa: SIM905
    "the The car cars auto wolf wolves go went travel obeys heed big large fast quickly running "
    "ran runs a cat happily happy naïve 北京 ."
).split()
TEXT = st.lists(st.sampled_from(WORDS), max_size=12)


class NoSynonyms:
    """A WordNet that knows no word: what is left of nltk's METEOR are words and stems."""

    def synsets(self, word):
        return []


@given(answer=TEXT, references=st.lists(TEXT, min_size=1, max_size=3))
def test_equals_nltk_with_synonyms(answer, references, wordnet_folder, nltk_wordnet, make_pairs, figure):
    metric = Meteor(words="whitespace", wordnet=str(wordnet_folder))
    found = figure(metric, *make_pairs([" ".join(answer)], [[" ".join(r) for r in references]]))
    assert found == pytest.approx(meteor_score(references, answer, wordnet=nltk_wordnet), abs=1e-12)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.5, "beta": 1.0, "gamma": 0.9}], ids=str)
def test_equals_nltk_with_stems(options, make_pairs, figure):
    metric = Meteor(match="stem", words="whitespace", **options)

    @given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
    def check(answer, references):
        found = figure(metric, *make_pairs([" ".join(answer)], [[" ".join(r) for r in references]]))
        assert found == pytest.approx(meteor_score(references, answer, wordnet=NoSynonyms(), **options), abs=1e-12)

    check()


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("car runs", "auto cat railcar runs"),  # the last of the synonyms is taken: one chunk
        ("runs cat running", "cat run"),  # the last of the stems
        ("car x car", "car car"),
    ],
)
def test_of_several_matches_the_last_is_taken(answer, gold, wordnet_folder, nltk_wordnet, make_pairs, figure):
    found = figure(Meteor(wordnet=str(wordnet_folder)), *make_pairs([answer], [[gold]]))
    assert found == pytest.approx(meteor_score([gold.split()], answer.split(), wordnet=nltk_wordnet), abs=1e-12)


def test_nltks_example_without_synonyms(make_pairs, figure):
    """The first example of nltk 3.10.4's meteor_score, whose synonyms change nothing there: 0.6944."""
    answer = "It is a guide to action which ensures that the military always obeys the commands of the party"
    gold = "It is a guide to action that ensures that the military will forever heed Party commands"
    pairs = make_pairs([answer], [[gold]])
    assert figure(Meteor(match="stem"), *pairs) == pytest.approx(0.6944, abs=5e-5)


def test_kinds_of_matches(wordnet_folder, make_pairs, figure):
    where = {"wordnet": str(wordnet_folder)}
    for answer, gold, least in (("car", "car", "exact"), ("cars", "car", "stem"), ("auto", "car", "synonym")):
        for match in ("exact", "stem", "synonym"):
            metric = Meteor(match=match, **(where if match == "synonym" else {}))
            found = figure(metric, *make_pairs([answer], [[gold]]))
            kinds = ["exact", "stem", "synonym"]
            assert found == (0.5 if kinds.index(match) >= kinds.index(least) else 0.0), (answer, match)


def test_a_perfect_answer_lacks_the_least_penalty(make_pairs, figure):
    text = "one two three four"
    assert figure(Meteor(match="stem"), *make_pairs([text], [[text]])) == pytest.approx(1 - 0.5 / 4**3)


@pytest.mark.parametrize("text", ["北京是中国的首都", "กรุงเทพเป็นเมืองหลวง", "Привет мир", "مرحبا بالعالم", "안녕 세계"])
def test_any_script_is_read(text, make_pairs, figure):
    assert figure(Meteor(match="stem"), *make_pairs([text], [[text]])) >= 1 - 0.5 / 2**3


def test_treebank_words(make_pairs, figure):
    from nltk.tokenize import NLTKWordTokenizer

    answer, gold = 'He can\'t "go", they said.', "She can not go , he said ."
    split = NLTKWordTokenizer().tokenize
    expected = meteor_score([split(gold)], split(answer), wordnet=NoSynonyms())
    found = figure(Meteor(match="stem", words="treebank"), *make_pairs([answer], [[gold]]))
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_signature_names_wordnets_version_not_its_place(wordnet_folder, tmp_path):
    signature = Meteor(wordnet=str(wordnet_folder)).signature
    assert "|wordnet:3.0|" in signature
    assert str(wordnet_folder) not in signature
    assert Meteor(wordnet=str(tmp_path / "nowhere")).as_recorded(signature).signature == signature
    assert "wordnet" not in Meteor(match="stem").signature


def test_missing_wordnet_is_said_before_anything_is_asked(tmp_path, wordnet_folder):
    ((option, message),) = Meteor(wordnet="nowhere").faults(tmp_path)
    assert option == "wordnet"
    assert "no WordNet in" in message
    assert not list(Meteor(match="stem").faults(tmp_path))
    loaded = Meteor(wordnet=wordnet_folder.name).for_run(base=wordnet_folder.parent, allow_code=False)
    assert loaded.wordnet == str(wordnet_folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"beta": float("nan")}, "beta"),
        ({"gamma": 1.5}, "gamma"),
        ({"match": "stem", "wordnet": "x"}, "no effect"),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(MetricOptionError, match=message):
        Meteor(**options)
