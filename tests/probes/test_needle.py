from __future__ import annotations

import re

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.templating import Template
from evalharness.probes.haystack import sentences_of
from evalharness.probes.needle import Needle


def prompt_of(probe, row):
    return Template(probe.prompt).text(row.fields)


def place_of(row):
    """How far from the beginning the asked code stands, from 0 to 1."""
    context, (code,) = row.fields["context"], row.fields["codes"]
    sentence = re.search(rf"The secret code of the \w+ \w+ is {code}\.", context)
    return sentence.start() / (len(context) - len(sentence[0]) or 1)


def test_rows_are_as_long_and_as_deep_as_asked(tmp_path):
    probe = Needle(lengths=(150, 400), depths=(0, 25, 100), samples=3)
    rows = probe.rows(tmp_path)
    assert len(rows) == len({row.id for row in rows}) == 2 * 3 * 3
    for row in rows:
        n = len(prompt_of(probe, row).split())
        assert row.fields["length"] - 30 < n <= row.fields["length"]
        assert place_of(row) == pytest.approx(float(row.groups["depth"].rstrip("%")) / 100, abs=0.13)
        assert row.groups["length×depth"] == f"{row.groups['length']}×{row.groups['depth']}"
        (code,) = row.fields["codes"]
        assert row.fields["context"].count(code) == 1
        assert not re.search(r"\d", row.fields["context"].replace(code, ""))
        assert row.fields["question"].count(row.fields["cue"].split("of the ")[1].removesuffix(" is")) == 1


def test_each_text_is_another_one_and_the_same_again(tmp_path):
    probe = Needle(lengths=(200,), depths=(50,), samples=8)
    texts = [row.fields["context"] for row in probe.rows(tmp_path)]
    assert len(set(texts)) == 8
    assert texts == [row.fields["context"] for row in probe.rows(tmp_path)]
    assert texts != [
        row.fields["context"] for row in Needle(lengths=(200,), depths=(50,), samples=8, seed=1).rows(tmp_path)
    ]
    # A text stays what it is when other lengths, depths and samples are asked for beside it.
    more = Needle(lengths=(100, 200), depths=(0, 50), samples=9).rows(tmp_path)
    assert texts[0] in [row.fields["context"] for row in more]


def test_several_needles_one_asked(tmp_path):
    probe = Needle(lengths=(300,), depths=(0,), samples=4, needles=4)
    for row in probe.rows(tmp_path):
        assert len(re.findall(r"secret code of the", row.fields["context"])) == 4
        assert place_of(row) < 0.05
        assert len(row.fields["codes"]) == 1
        assert len(prompt_of(probe, row).split()) <= 300


def test_several_needles_all_asked(tmp_path):
    probe = Needle(lengths=(300,), samples=4, needles=3, ask="all")
    rows = probe.rows(tmp_path)
    assert len(rows) == 4
    for row in rows:
        assert len(row.fields["codes"]) == 3
        assert all(code in row.fields["context"] for code in row.fields["codes"])
        assert row.groups["depth"] == "spread"
    (part,) = probe.parts(rows)
    assert part.task["groups"] == ["length"]
    assert part.task["generate"]["max_tokens"] == 72


def test_own_haystack(tmp_path):
    sentences = [f"Sentence {word} of a book." for word in ("one", "two", "three", "four", "five")]
    (tmp_path / "book.txt").write_text("\n".join(sentences))
    (row,) = Needle(lengths=(100,), depths=(50,), samples=1, haystack="book.txt").rows(tmp_path)
    own = [s for s in sentences_of(row.fields["context"]) if "secret code" not in s]
    # In order, and from the beginning again.
    start = sentences.index(own[0])
    assert own == [sentences[(start + i) % 5] for i in range(len(own))]
    assert len(own) > 5


def test_lengths_in_tokens(networks, tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = networks("roberta")
    probe = Needle(lengths=(900,), depths=(50,), samples=2, length_in="tokens", tokenizer=str(folder))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for row in probe.rows(tmp_path):
        n = len(tokenizer(prompt_of(probe, row), add_special_tokens=False, verbose=False)["input_ids"])
        assert 800 < n <= 905


def test_sentences():
    assert sentences_of('He left. "Why?" she asked!  Then\nnothing…  End') == [
        "He left.", '"Why?', "she asked!", "Then nothing…", "End",
    ]  # fmt: skip
    assert sentences_of("一句。二句！三") == ["一句。", "二句！", "三"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lengths": ()}, "lengths must be different numbers, 64"),
        ({"lengths": (10,)}, "lengths must be"),
        ({"depths": (50, 50)}, "depths must be different numbers, 0 to 100"),
        ({"depths": (101,)}, "depths"),
        ({"samples": 0}, "samples must be from 1"),
        ({"threshold": 1.0}, "threshold"),
        ({"length_in": "tokens"}, "need a tokenizer"),
        ({"tokenizer": "x"}, "in words take none"),
        ({"ask": "all"}, "set needles to 2 or more"),
    ],
)
def test_wrong_options(options, said):
    with pytest.raises(UsageError, match=said):
        Needle(**options)


def test_what_does_not_fit(tmp_path):
    with pytest.raises(UsageError, match=r"lengths: 64 words hold no text about 9 codes"):
        Needle(lengths=(64,), needles=9).rows(tmp_path)
    with pytest.raises(UsageError, match=r"haystack: .*none\.txt cannot be read"):
        Needle(haystack="none.txt").rows(tmp_path)
    with pytest.raises(UsageError, match="tokenizer"):
        Needle(length_in="tokens", tokenizer="nobody/nothing").rows(tmp_path)
