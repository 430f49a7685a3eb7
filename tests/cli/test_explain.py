"""`evalharness explain`: one text by hand, on tiny models of random weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from evalharness.cli.main import main

pytestmark = pytest.mark.model


@pytest.fixture
def classifier(networks):
    return str(networks(labels=("neg", "pos")))


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """A tiny random Llama."""
    pytest.importorskip("torch", reason="needs the hf extra")
    path = Path(__file__).parents[1] / "models" / "huggingface" / "conftest.py"
    spec = importlib.util.spec_from_file_location("hf_test_models", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    found = tmp_path_factory.mktemp("explained") / "tiny-llama"
    maker.make_model("llama", "causal").save_pretrained(found)
    maker.make_tokenizer("plain").save_pretrained(found)
    return str(found)


def test_words_with_bars_and_a_page(classifier, tmp_path, capsys):
    page = tmp_path / "why.html"
    command = ["explain", classifier, "a good film .", "--max-evals", "40", "--html", str(page), "--quality"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "with all words masked" in said
    for word in ("good", "film"):
        assert word in said
    assert "│" in said
    assert "comprehensiveness" in said
    assert "of random explanations" in said
    text = page.read_text("utf-8")
    assert "good" in text
    assert "all masked" in text
    assert "<script" not in text


def test_json_adds_up_to_what_is_explained(classifier, capsys):
    assert main(["explain", classifier, "a good film", "--method", "exact", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    total = sum(row[0] for row in found["values"])
    assert total == pytest.approx(found["full_values"][0] - found["base_values"][0], abs=1e-6)
    assert found["explained"] == found["predicted"]


def test_the_answer_of_a_model_that_writes(writer, capsys):
    assert main(["explain", writer, "the cat sat on", "--answer", " the", "--method", "occlusion", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == ["the"]
    against = ["explain", writer, "the cat sat on", "--answer", " the", "--against", " a", "--json"]
    assert main(against) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == ["the rather than a"]


def test_text_from_standard_input(classifier, monkeypatch, capsys):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("a good film\n"))
    assert main(["explain", classifier, "-", "--method", "occlusion"]) == 0
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "options", "code", "said"),
    [
        ("classifier", ["x y", "--answer", " a"], 2, "is a classifier; --label"),
        ("classifier", ["x y", "--label", "nope"], 3, "no output 'nope'"),
        ("classifier", ["  "], 2, "the text is empty"),
        ("classifier", ["x y", "--against", "b"], 2, "--against has no effect without --answer"),
        ("writer", ["x y"], 2, "say which answer is explained"),
        ("writer", ["x y", "--answer", " a", "--label", "b"], 2, "has no labels"),
    ],
)
def test_what_cannot_be_explained_is_told(request, model, options, code, said, capsys):
    assert main(["explain", request.getfixturevalue(model), *options]) == code
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_model(tmp_path, capsys):
    assert main(["explain", str(tmp_path), "x"]) == 2
    assert "not a checkpoint" in capsys.readouterr().err
