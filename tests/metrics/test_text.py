from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalharness.metrics.text import (
    TextCache,
    Vocabulary,
    ascii_words,
    code_points,
    porter_stems,
    sentences,
    squad_normalize,
    tokenize_13a,
    unicode_words,
    unspaced_script,
    whole_words,
)


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_text_are_rouge_scores(text):
    from rouge_score.tokenize import tokenize

    assert unicode_words(text) == ascii_words(text) == tokenize(text, None)


@given(st.text())
def test_ascii_words_are_rouge_scores_on_any_text(text):
    from rouge_score.tokenize import tokenize

    assert ascii_words(text) == tokenize(text, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Naïve café!", ["naïve", "café"]),
        ("nai\u0308ve", ["naïve"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("北京 2024年", ["北", "京", "2024", "年"]),
        ("スーパー", ["ス", "ー", "パ", "ー"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("don’t—stop", ["don", "t", "stop"]),
        ("٣ كتب", ["٣", "كتب"]),
        ("👍🏽", []),
    ],
)
def test_unicode_words(text, words):
    assert unicode_words(text) == words


PIECES = [*" .,-09aB&;!'/\"~[\\\n\t$", "&amp;", "&quot;", "<skipped>", "é"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
@example("3.x 3,x x.3 x,3 ..x.. 3..3 7-a a-7")
def test_13a_is_sacrebleus(text):
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    assert tokenize_13a(text) == Tokenizer13a()(text).split()


def test_script():
    assert unspaced_script(["plain"]) == unspaced_script([]) == ""
    assert unspaced_script(["Привет мир"]) == ""
    assert unspaced_script(["北京"]) == "han"
    assert unspaced_script(["東京タワー"]) == "other"


def test_squad_normal_form():
    assert squad_normalize(" The  U.S.A.—an Answer\t") == "usa— answer"


def test_sentences():
    assert sentences('He left. "Why?" she asked!  Gone… Yes\nNew line') == [
        "He left.", '"Why?"', "she asked!", "Gone…", "Yes", "New line",
    ]  # fmt: skip
    assert sentences("今天下雨。我在家！") == ["今天下雨。", "我在家！"]
    assert sentences("Version 3.5 is out") == ["Version 3.5 is out"]
    assert sentences("") == []


def test_stems():
    assert porter_stems(["running", "cats", "cat", "läufern"]) == ["run", "cat", "cat", "läufern"]


def test_code_points():
    assert code_points("aé北\U0001f44d\ud800").tolist() == [97, 233, 21271, 0x1F44D, 0xD800]
    assert code_points("").size == 0


def test_vocabulary():
    number = Vocabulary()
    assert number(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert number(["a", "c"]).tolist() == [1, 2]


def test_cache_remembers_and_stays_small():
    calls = []

    def read(text, flag):
        calls.append((text, flag))
        return (text, flag)

    cache = TextCache(read, budget=10)
    assert cache("abc", 1) == cache("abc", 1) == ("abc", 1)
    assert cache("abc", 2) == ("abc", 2)
    assert calls == [("abc", 1), ("abc", 2)]
    for i in range(50):
        cache(f"text {i}", 0)
    assert len(cache._results) <= 4


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("12", "512", False),
        ("12", "12.", True),
        ("12", "是12吗", True),
        ("7413", "비밀번호는 7413입니다", True),
        ("ai", "使用ai模型", True),
        ("ai", "aim", False),
        ("傻瓜", "你是傻瓜吗", True),
        ("バカ", "おまえはバカだ", True),
        ("𠮷野", "東京の𠮷野家", True),
        ("โง่", "คุณโง่มาก", True),
        ("바보", "바보야", True),
        ("바보", "대바보", False),
        ("naïve", "naïveté", False),
        ("$5", "for $5.", True),
    ],
)
def test_whole_words_of_any_script(term, text, found):
    assert (re.search(whole_words({"zz": "zz", term: re.escape(term)}), text) is not None) == found
