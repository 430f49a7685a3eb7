from __future__ import annotations

import re

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.bleu import Bleu
from evalharness.metrics.interval import sample_values

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    ".",
    ",",
    "dog-house",
    "naïve",
    "don't",
    "3.5",
    "北京",
    "(hi)",
    "&amp;",
    "日本語です",
    "U.S.",
    "<skipped>",
    "Ünïcode",
    "👍🏽",
]
WORDS += ["-\n", ""]
TEXT = st.one_of(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join), st.text(max_size=20))


def corpora(n_references):
    return st.lists(
        st.tuples(TEXT, st.lists(TEXT, min_size=n_references, max_size=n_references)), min_size=1, max_size=6
    )


CORPUS = st.integers(1, 3).flatmap(corpora)

OPTIONS = [
    {},
    {"lowercase": True},
    {"smooth_method": "floor"},
    {"smooth_method": "floor", "smooth_value": 0.3},
    {"smooth_method": "add-k"},
    {"smooth_method": "add-k", "smooth_value": 0.5},
    {"smooth_method": "none"},
    {"tokenize": "intl"},
    {"tokenize": "zh"},
    {"tokenize": "char"},
    {"tokenize": "none"},
    {"max_ngram_order": 2},
    {"max_ngram_order": 6},
    {"effective_order": True},
    {"effective_order": True, "smooth_method": "none"},
]


def ours(options):
    names = {"smooth_method": "smooth", "max_ngram_order": "max_order"}
    return Bleu(**{"tokenize": "13a"} | {names.get(key, key): value for key, value in options.items()})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_corpus_equals_sacrebleu(options, make_pairs, figure):
    theirs = sacrebleu.BLEU(**{"tokenize": "13a"} | options)
    metric = ours(options)

    @given(CORPUS)
    def check(corpus):
        answers, references = [a for a, _ in corpus], [r for _, r in corpus]
        streams = [list(stream) for stream in zip(*references, strict=True)]
        expected = theirs.corpus_score(answers, streams).score
        assert figure(metric, *make_pairs(answers, references)) == pytest.approx(expected, abs=1e-8)

    check()


@pytest.mark.parametrize("options", [{}, {"smooth_method": "floor"}, {"effective_order": True}], ids=str)
def test_samples_may_have_different_numbers_of_references(options, make_pairs, figure):
    """sacrebleu wants None where a sample has no second or third reference."""
    theirs, metric = sacrebleu.BLEU(**{"tokenize": "13a"} | options), ours(options)

    @given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=6))
    def check(corpus):
        answers, references = [a for a, _ in corpus], [r for _, r in corpus]
        streams = [[r[i] if i < len(r) else None for r in references] for i in range(max(map(len, references)))]
        expected = theirs.corpus_score(answers, streams).score
        assert figure(metric, *make_pairs(answers, references)) == pytest.approx(expected, abs=1e-8)

    check()


def test_all_of_sacrebleus_tokenizers_can_be_chosen():
    from typing import get_args, get_type_hints

    choices = {*get_args(get_type_hints(Bleu)["tokenize"])}
    # `spm` is sacrebleu's old name of flores101, about which it warns.
    assert choices - {"auto"} == {*sacrebleu.BLEU.TOKENIZERS} - {"spm"}


@pytest.fixture
def pieces(tmp_path, monkeypatch):
    """Small sentencepiece models where sacrebleu keeps those that it downloads."""
    import io

    from sacrebleu.tokenizers import tokenizer_spm

    from evalharness.metrics import bleu

    sentencepiece = pytest.importorskip("sentencepiece")
    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", str(tmp_path))
    bleu._tokenizer.cache_clear()
    lines = ["the cat sat on the mat", "a dog-house stands on the hill", "the dogs had sat there", "日本語です"] * 20
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=30, minloglevel=2
    )

    def install(name):
        path = tmp_path / "models" / tokenizer_spm.SPM_MODELS[name]["url"].rpartition("/")[2]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model.getvalue())

    yield install
    bleu._tokenizer.cache_clear()


@pytest.mark.parametrize("name", ["flores101", "flores200", "spBLEU-1K"])
def test_sentencepiece_tokenizers_equal_sacrebleus(name, pieces, make_pairs, figure, tmp_path):
    metric = Bleu(tokenize=name)
    ((option, message),) = metric.faults(tmp_path)
    assert option == "tokenize"
    assert "download it from" in message
    pieces(name)
    assert not list(metric.faults(tmp_path))
    theirs = sacrebleu.BLEU(tokenize=name)
    answers, references = ["the cats sat on a mat there", "日本語で"], [["the cat sat on the mat"], ["日本語です"]]
    expected = theirs.corpus_score(answers, [[r[0] for r in references]])
    assert figure(metric, *make_pairs(answers, references)) == pytest.approx(expected.score, abs=1e-8)
    signature = str(theirs.get_signature()).replace("nrefs:1", "nrefs:var")
    assert metric.signature == f"bleu|{signature}"


@given(corpus=CORPUS)
def test_samples_equal_sacrebleu_with_effective_order(corpus, make_pairs):
    theirs = sacrebleu.BLEU(tokenize="13a", effective_order=True)
    metric = Bleu(tokenize="13a")
    samples, responses = make_pairs([a for a, _ in corpus], [r for _, r in corpus])
    found = sample_values(metric, metric.sample_stats(samples, responses))
    assert found == pytest.approx([theirs.sentence_score(a, r).score for a, r in corpus], abs=1e-8)


def test_a_short_perfect_answer(make_pairs, figure):
    samples, responses = make_pairs(["the cat"], [["the cat"]])
    metric = Bleu()
    assert sample_values(metric, metric.sample_stats(samples, responses)) == pytest.approx([100.0])
    assert figure(metric, samples, responses) == 0.0  # as sacrebleu's corpus_bleu
    assert figure(Bleu(effective_order=True), samples, responses) == pytest.approx(100.0)


def test_papineni_table():
    """The example of sacrebleu's documentation (sacrebleu 2.6.0, README, "Using SacreBLEU from Python")."""
    refs = [
        ["The dog bit the man.", "The dog had bit the man."],
        ["It was not unexpected.", "No one was surprised."],
        ["The man bit him first.", "The man had bitten the dog."],
    ]
    answers = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
    from evalharness.metrics.functional import score

    assert score("bleu", answers, references=refs).value == pytest.approx(48.530827009929865, abs=1e-8)


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [
        ("A plain English sentence here .", "13a"),
        ("Привет, как твои дела сегодня ?", "13a"),
        ("مرحبا كيف حالك اليوم", "13a"),
        ("안녕하세요 오늘 날씨가 좋네요 정말", "13a"),
        ("北京是中华人民共和国的首都", "zh"),
        ("我们使用 TensorFlow 2.0 来训练模型", "zh"),
        ("東京は日本の首都です", "char"),
        ("กรุงเทพเป็นเมืองหลวง", "char"),
        ("The Chinese name 北京 stands in an English sentence of many words .", "13a"),
        ("", "13a"),
        ("3.14 !", "13a"),
    ],
)
def test_auto_chooses_by_script(text, tokenizer, make_pairs):
    answer = text[: len(text) * 2 // 3]
    samples, responses = make_pairs([answer], [[text]])
    chosen, explicit = (m.sample_stats(samples, responses) for m in (Bleu(), Bleu(tokenize=tokenizer)))
    assert (chosen == explicit).all()
    if len(text) > 10:
        assert Bleu()._score(Bleu().sample_stats(*make_pairs([text], [[text]])), effective_order=True) == pytest.approx(
            100
        )


def test_signature_is_sacrebleus(make_pairs):
    theirs = sacrebleu.BLEU(tokenize="13a", smooth_method="floor", lowercase=True)
    theirs.corpus_score(["a b"], [["a b"]])
    expected = re.sub("nrefs:1", "nrefs:var", str(theirs.get_signature()))
    assert Bleu(tokenize="13a", smooth="floor", lowercase=True).signature == f"bleu|{expected}"
    assert "tok:auto[" in Bleu().signature


@pytest.mark.parametrize("options", [each for each in OPTIONS if "max_ngram_order" not in each], ids=str)
def test_the_signature_of_each_option_is_sacrebleus(options):
    theirs = sacrebleu.BLEU(**{"tokenize": "13a"} | options)
    theirs.corpus_score(["a b"], [["a b"]])
    assert ours(options).signature == "bleu|" + str(theirs.get_signature()).replace("nrefs:1", "nrefs:var")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_order": 0}, "max_order"),
        ({"smooth_value": 0.1}, "no effect"),
        ({"smooth": "floor", "smooth_value": 0.0}, "above 0"),
        ({"smooth": "floor", "smooth_value": float("nan")}, "above 0"),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(MetricOptionError, match=message):
        Bleu(**options)


def test_a_tokenizer_that_is_not_installed_names_its_package(make_pairs, tmp_path):
    from importlib.util import find_spec

    from evalharness.core.errors import MissingExtraError

    if find_spec("MeCab"):
        pytest.skip("mecab is installed here")
    with pytest.raises(MissingExtraError, match="mecab"):
        Bleu(tokenize="ja-mecab").sample_stats(*make_pairs(["x"], [["x"]]))
    ((_, message),) = Bleu(tokenize="ja-mecab").faults(tmp_path)
    assert "mecab" in message
    assert "tok:ja-mecab-not-installed" in Bleu(tokenize="ja-mecab").signature


@pytest.mark.parametrize(
    ("name", "text"), [("ja-mecab", "東京は日本の首都です。"), ("ko-mecab", "안녕하세요 오늘 날씨가 좋네요")]
)
def test_mecab_equals_sacrebleus(name, text, make_pairs, figure):
    pytest.importorskip({"ja-mecab": "MeCab", "ko-mecab": "mecab_ko"}[name])
    theirs = sacrebleu.BLEU(tokenize=name)
    expected = theirs.corpus_score([text[2:]], [[text]])
    metric = Bleu(tokenize=name)
    assert figure(metric, *make_pairs([text[2:]], [[text]])) == pytest.approx(expected.score, abs=1e-8)
    assert metric.signature == "bleu|" + str(theirs.get_signature()).replace("nrefs:1", "nrefs:var")
