"""The suites of docs/semantic-metrics.md run as they stand there; tiny checkpoints take the place of real ones."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

import evalharness
from evalharness.cli.main import main

pytestmark = pytest.mark.model

PAGE = Path(__file__).parents[2] / "docs" / "semantic-metrics.md"
BLOCKS = dict(re.findall(r"^```(?:yaml|python)\n# (\w+\.\w+)[^\n]*\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M))


@pytest.fixture
def folder(tmp_path, monkeypatch, networks):
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    # Layer 6 is the last of the real one, and 2 that of ours.
    (tmp_path / "meaning.yaml").write_text(BLOCKS["meaning.yaml"].replace("layer: 6", "layer: 2"))
    shutil.copytree(networks(), tmp_path / "cache" / "models" / "minilm-l6")
    shutil.copytree(networks(labels=("contradiction", "neutral", "entailment")), tmp_path / "nli")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_its_files():
    assert set(BLOCKS) == {"meaning.yaml", "rag.yaml", "rag.py", "code.yaml", "own.yaml", "my_metrics.py"}


@pytest.mark.parametrize("name", [name for name in BLOCKS if name.endswith(".yaml")])
def test_suites_are_valid_and_run(folder, name, capsys):
    assert main(["validate", name]) == 0, capsys.readouterr()
    record = evalharness.run(name, allow_code=True)
    found = {(result.task, result.metric): result.value for result in record.results}
    if name == "meaning.yaml":
        assert {"semantic_similarity", "bertscore", "bertscore_recall", "toxicity_lexicon"} <= {m for _, m in found}
    elif name == "rag.yaml":
        assert found["ask", "recall_at_k"] == pytest.approx((1 / 2 + 0) / 2)
        assert found["ask", "grounded"] == 4
        assert 0 <= found["ask", "groundedness"] <= 1
    elif name == "code.yaml":
        if os.name == "posix":
            assert found["human-eval", "code_execution"] == 1
            assert found["mbpp", "code_execution"] == 0
    else:
        assert (found["ask", "Politeness"], found["ask", "says_stop"]) == (1, 0.5)
        assert main(["gate", str(record.folder)]) == 0


def test_the_lines_of_python_run(folder):
    page = PAGE.read_text("utf-8").partition("## From Python")[2]
    code = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)[0]
    names = {"answers": ["x = 1"], "golds": [["x = 2"]], "relevant": [["d1"]], "tests": [["assert x == 1"]]}
    exec(code, names)
