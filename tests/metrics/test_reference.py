from __future__ import annotations

from pathlib import Path

import pytest

from evalharness.core.errors import UsageError
from evalharness.metrics import BUILTIN
from evalharness.metrics.reference import explain, main, markdown, plain

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_committed_reference_is_the_generated_one(tmp_path):
    """If this fails: `.venv/bin/python -m evalharness.metrics.reference docs/metrics.md`."""
    assert DOCUMENT.read_text(encoding="utf-8") == markdown()
    main([str(tmp_path / "metrics.md")])
    assert (tmp_path / "metrics.md").read_bytes() == DOCUMENT.read_bytes()


@pytest.mark.parametrize("name", BUILTIN)
def test_every_part_is_there(name):
    found = explain(name)
    assert found.summary
    assert found.source
    assert found.group != "Further"
    for option in found.options:
        assert option.text
        assert option.takes
        assert option.default
        assert option.name in plain(name)
    assert f"### {name}\n" in markdown()


def test_an_explanation():
    text = plain("bleu")
    assert text.startswith("bleu: Corpus BLEU")
    assert "BP · exp(" in text
    assert "smooth: exp | floor | add-k | none (default: exp)" in text
    assert "Range:    0 to 100, higher is better" in text
    assert "Source: Papineni" in text
    assert "needs nothing" not in plain("regex")


def test_unknown():
    with pytest.raises(UsageError, match="did you mean 'bleu'"):
        explain("blue")


def test_links_lead_to_the_headings():
    """As GitHub makes them: signs left out, a second heading of the same name numbered."""
    text, seen = markdown(), []
    for heading in (line[4:] for line in text.splitlines() if line.startswith("### ")):
        slug = heading.lower().replace("+", "")
        seen.append(f"{slug}-{seen.count(slug)}" if slug in seen else slug)
        assert f"[`{heading}`](#{seen[-1]})" in text
    assert "[`chrf++`](#chrf-1)" in text
