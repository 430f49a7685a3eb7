from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.words import find_players, is_unspaced, pieces, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A well-made film, isn't it?", ["A", "well-made", "film", ",", "isn't", "it", "?"]),
        ("3.14 and 1,000 vs. v2.0", ["3.14", "and", "1,000", "vs", ".", "v2.0"]),
        ("“Quoted” – 'so' -- …", ["“", "Quoted", "”", "–", "'", "so", "'", "--", "…"]),
        ("这部电影很好。Good!!", ["这", "部", "电", "影", "很", "好", "。", "Good", "!!"]),
        ("naïve cafe\u0301 Ünï", ["naïve", "cafe\u0301", "Ünï"]),
        ("映画はすごいです", list("映画はすごいです")),
        ("Фильм хорош, да", ["Фильм", "хорош", ",", "да"]),
        ("फ़िल्म अच्छी है", ["फ़िल्म", "अच्छी", "है"]),
        ("ok 👩‍👩‍👧 👍🏽 $5", ["ok", "👩‍👩‍👧", "👍🏽", "$", "5"]),
        ("snake_case a_b", ["snake_case", "a_b"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_words_of_many_scripts(text, expected):
    assert [text[start:end] for start, end in words(text)] == expected


@given(st.text(max_size=40))
def test_every_character_is_in_one_word(text):
    spans = words(text)
    assert all(a < b for a, b in spans)
    assert all(before <= after for (_, before), (after, _) in itertools.pairwise(spans))
    inside = {i for a, b in spans for i in range(a, b)}
    assert {i for i, c in enumerate(text) if not c.isspace()} <= inside | {
        i for i, c in enumerate(text) if c in "\x1c\x1d\x1e\x1f"
    }


def test_scripts_without_spaces():
    assert [is_unspaced(c) for c in "aé北は。1"] == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, (world)! it's 1,000.", ["Hello,", "(world)!", "it's", "1,000."]),
        ("你好，世界！用 Python3.1 写。", ["你", "好，", "世", "界！", "用", "Python3.1", "写。"]),
        ("（好）“是”吗", ["（好）“", "是”", "吗"]),
        ("ดี ok", ["ดี", "ok"]),
        (" \n", []),
    ],
)
def test_pieces_are_parted_by_spaces_or_are_characters(text, expected):
    assert [text[start:end] for start, end in pieces(text)] == expected


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_pieces_of_ascii_are_its_parts(text):
    assert [text[start:end] for start, end in pieces(text)] == text.split()


def players(text, offsets, span=None, kind="words"):
    found = find_players(text, offsets, span=span or (0, len(text)), kind=kind)
    return [(p.token.text, p.token.start, p.token.end, p.places) for p in found.players], found.n_shared


def test_parts_of_words_are_one_player_and_special_tokens_none():
    text = "unbelievable film"
    offsets = [None, (0, 2), (2, 8), (8, 12), (12, 17), None]
    assert players(text, offsets) == ([("unbelievable", 0, 12, (1, 2, 3)), ("film", 13, 17, (4,))], 0)
    found, _ = players(text, offsets, kind="tokens")
    assert found == [("un", 0, 2, (1,)), ("believ", 2, 8, (2,)), ("able", 8, 12, (3,)), ("film", 13, 17, (4,))]


def test_the_bytes_of_one_character_are_one_player():
    # As byte-level BPE says it: both tokens stand at the one character.
    assert players("a北b", [(0, 1), (1, 2), (1, 2), (2, 3)], kind="tokens")[0] == [
        ("a", 0, 1, (0,)),
        ("北", 1, 2, (1, 2)),
        ("b", 2, 3, (3,)),
    ]


def test_words_that_share_a_token_are_one_player():
    assert players("好。我", [(0, 2), (2, 3)])[0] == [("好。", 0, 2, (0,)), ("我", 2, 3, (1,))]
    # Three words under two tokens that overlap.
    assert players("好。我", [(0, 2), (1, 3)])[0] == [("好。我", 0, 3, (0, 1))]


def test_white_space_goes_with_the_word_behind_it():
    assert players("a\n\nb ", [(0, 1), (1, 3), (3, 4), (4, 5)])[0] == [("a", 0, 1, (0,)), ("b", 3, 4, (1, 2, 3))]
    assert players("  ", [(0, 2)])[0] == []


def test_what_stands_around_the_text_is_nobodys():
    text = 'Say: "good film." Answer:'
    at = text.index("good")
    offsets = [(0, 3), (3, 4), (4, 6), (6, 10), (10, 15), (15, 17), (17, 25)]
    found, n_shared = players(text, offsets, span=(at, at + len("good film.")))
    # The token of '."' holds the text's full stop and the template's quotation mark.
    assert found == [("good", 0, 4, (3,)), ("film", 5, 9, (4,))]
    assert n_shared == 1
    assert players(text, offsets, span=(at, at))[0] == []


def test_a_word_without_tokens_is_no_player():
    assert players("one two", [(0, 3)])[0] == [("one", 0, 3, (0,))]
