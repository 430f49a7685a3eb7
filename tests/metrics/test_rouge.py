from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.interval import sample_values
from evalharness.metrics.rouge import Rouge1, Rouge2, Rouge3, RougeL, RougeLsum, RougeN

CLASSES = [Rouge1, Rouge2, Rouge3, RougeL, RougeLsum]
ASCII_WORDS = [
    "the",
    "Cats",
    "running",
    "ran",
    "flies,",
    "don't",
    "a-b",
    "x1",
    "\n",
    "3.5",
    "University",
    "dying",
    "skies",
]
ASCII = st.one_of(
    st.lists(st.sampled_from(ASCII_WORDS), max_size=20).map(" ".join),
    st.text(st.characters(max_codepoint=127), max_size=30),
)
ANY = st.one_of(
    ASCII, st.text(max_size=20), st.lists(st.sampled_from(["naïve", "北京", "the", "K", "İstanbul"])).map(" ".join)
)
MEASURES = {"f1": "fmeasure", "precision": "precision", "recall": "recall"}


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("cls", CLASSES)
def test_equals_rouge_score_to_the_last_bit(cls, stemmer, make_pairs):
    theirs = RougeScorer([cls.name], use_stemmer=stemmer)

    def check(text, tokenizer):
        metrics = {m: cls(stemmer=stemmer, measure=m, tokenizer=tokenizer) for m in MEASURES}

        @given(text, st.lists(text, min_size=1, max_size=3))
        def equal(answer, references):
            expected = theirs.score_multi(references, answer)[cls.name]
            for measure, metric in metrics.items():
                stats = metric.sample_stats(*make_pairs([answer], [references]))
                assert sample_values(metric, stats)[0] == getattr(expected, MEASURES[measure])

        equal()

    check(ASCII, "auto")
    check(ASCII, "unicode")
    check(ANY, "ascii")


@pytest.mark.parametrize("n", [1, 4, 9])
def test_any_n_equals_rouge_score_to_the_last_bit(n, make_pairs):
    theirs = RougeScorer([f"rouge{n}"])
    metric = RougeN(n=n)

    @given(ASCII, ASCII)
    def equal(answer, reference):
        expected = theirs.score(reference, answer)[f"rouge{n}"].fmeasure
        assert sample_values(metric, metric.sample_stats(*make_pairs([answer], [[reference]])))[0] == expected

    equal()


@pytest.mark.parametrize("n", [0, 10])
def test_refuses_runs_of_other_lengths(n):
    with pytest.raises(MetricOptionError, match="1 to 9"):
        RougeN(n=n)


def test_a_batch_equals_rouge_score(make_pairs, figure):
    import random

    rng = random.Random(0)
    texts = [" ".join(rng.choices(ASCII_WORDS, k=rng.randint(0, 60))) for _ in range(200)]
    answers, references = texts[:100], [[t] for t in texts[100:]]
    names = [cls.name for cls in CLASSES]
    scored = [RougeScorer(names, use_stemmer=True).score(r[0], a) for a, r in zip(answers, references, strict=True)]
    for cls in CLASSES:
        mean = sum(s[cls.name].fmeasure for s in scored) / 100
        assert figure(cls(stemmer=True), *make_pairs(answers, references)) == pytest.approx(mean, abs=1e-14)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "text",
    [
        "北京是中国的首都",
        "東京は日本の首都です",
        "กรุงเทพเป็นเมืองหลวง",
        "Привет, большой мир",
        "مرحبا بالعالم الكبير",
        "안녕 넓은 세계",
        "नमस्ते बड़ी दुनिया",
    ],
)
def test_identical_text_of_any_script_is_perfect(cls, text, make_pairs, figure):
    assert figure(cls(), *make_pairs([text], [[text]])) == 1.0
    assert figure(cls(tokenizer="ascii"), *make_pairs([text], [[text]])) == 0.0  # what rouge-score gives


def test_accents_do_not_split_words(make_pairs, figure):
    # rouge-score reads "na" and "ve": recall ½ of nothing shared. NFD and NFC are the same word.
    assert figure(Rouge1(), *make_pairs(["nai\u0308ve"], [["na\u00efve"]])) == 1.0
    assert figure(Rouge1(measure="recall"), *make_pairs(["na"], [["naïve"]])) == 0.0


def test_chinese_is_read_by_character(make_pairs, figure):
    assert figure(Rouge1(measure="recall"), *make_pairs(["北京"], [["北京市区"]])) == 0.5
    assert figure(Rouge2(measure="precision"), *make_pairs(["北京市"], [["北京区"]])) == 0.5


def test_stemmer_leaves_other_scripts_alone(make_pairs, figure):
    assert figure(Rouge1(stemmer=True), *make_pairs(["running Läufern"], [["runs läufern"]])) == 1.0


def test_lsum_splits_lines_or_sentences(make_pairs, figure):
    answer, gold = "b came. a left.", "a left. b came."
    as_lines = figure(RougeLsum(), *make_pairs([answer], [[gold]]))
    assert as_lines == figure(RougeL(), *make_pairs([answer], [[gold]])) == 0.5
    assert figure(RougeLsum(split="sentences"), *make_pairs([answer], [[gold]])) == 1.0
    lines = [t.replace(". ", ".\n") for t in (answer, gold)]
    assert figure(RougeLsum(), *make_pairs([lines[0]], [[lines[1]]])) == 1.0


def test_the_first_of_equally_good_references_counts(make_pairs, figure):
    # F1 is exactly ½ for both: 2 of 4 words shared with 4, 3 of 4 with 8. The recalls differ.
    short, long = "a b x y", "a b c p q r s t"
    for references, recall in (([short, long], 0.5), ([long, short], 0.375)):
        assert figure(Rouge1(measure="recall"), *make_pairs(["a b c d"], [references])) == recall
        assert RougeScorer(["rouge1"]).score_multi(references, "a b c d")["rouge1"].recall == recall
