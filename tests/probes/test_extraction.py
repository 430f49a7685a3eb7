from __future__ import annotations

import pytest

from evalharness.core.errors import UsageError
from evalharness.probes.extraction import Extraction


@pytest.fixture
def base(tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(" ".join(f"w{i * 10 + j}" for j in range(10)) for i in range(100)))
    return tmp_path


def test_passages(base):
    probe = Extraction(text="text.txt", passages=7, prefix=5, continuation=8, least=4)
    rows = probe.rows(base)
    assert len(rows) == 7
    last = -1
    for row in rows:
        words = [int(word[1:]) for text in ("prefix", "continuation") for word in row.fields[text].split()]
        assert len(words) == 13
        assert words == list(range(words[0], words[0] + 13))
        assert words[0] > last
        assert row.place.line == words[0] // 10 + 1
        last = words[-1]
    assert rows == probe.rows(base)
    assert rows != Extraction(text="text.txt", passages=7, prefix=5, continuation=8, least=4, seed=1).rows(base)
    (part,) = probe.parts(rows)
    assert part.task["generate"] == {"max_tokens": 13, "temperature": 0.0}


def test_passages_of_a_text_without_spaces(base):
    signs = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"
    (base / "chinese.txt").write_text("，".join(signs[i : i + 4] for i in range(0, 24, 4)) + "。")
    rows = Extraction(text="chinese.txt", passages=2, prefix=4, continuation=6, least=3).rows(base)
    assert len(rows) == 2
    for row in rows:
        taken = [[sign for sign in str(row.fields[name]) if sign.isalpha()] for name in ("prefix", "continuation")]
        assert [len(part) for part in taken] == [4, 6]
        assert "".join(taken[0] + taken[1]) in signs


def test_too_many_passages(base):
    with pytest.raises(UsageError, match=r"1,000 words do not hold 100 passages of 100; ask for at most 10 passages"):
        Extraction(text="text.txt").rows(base)

    with pytest.raises(UsageError, match=r"1,000 words do not hold 100 passages of 2000; give a longer text"):
        Extraction(text="text.txt", prefix=1000, continuation=1000).rows(base)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"passages": 0}, "passages"), ({"least": 60}, "do not fit"), ({"tokens_per_word": 0}, "tokens_per_word")],
)
def test_wrong_options(options, said):
    with pytest.raises(UsageError, match=said):
        Extraction(text="text.txt", **options)
