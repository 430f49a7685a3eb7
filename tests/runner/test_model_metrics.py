"""Suites with metrics that need a checkpoint, code, or what an answer brought along: run, scored again, gated."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

import evalharness
from evalharness.cli.main import main
from evalharness.compare.rebuild import metric_of
from evalharness.core.errors import SuiteError, UsageError
from evalharness.runner import score

ROWS = [
    {"id": "a", "q": "the cat sat", "gold": "the cat sat", "docs": ["d1", "d2"], "good": {"d1": 2, "d3": 1}},
    {"id": "b", "q": "Berlin is big", "gold": "a film", "docs": ["d9"], "good": {"d9": 1}},
]
SUITE = """\
version: 1
name: meaning
models:
  echo: {backend: python, function: "system:answer"}
datasets:
  lines: {path: lines.jsonl}
tasks:
  - id: ask
    dataset: lines
    prompt: "{{ q }}"
    reference: "{{ gold }}"
    metrics:
      - METRICS
"""
SYSTEM = """
def answer(prompt):
    return {"text": prompt, "docs": [{"id": "d1", "text": prompt}, {"id": "d7", "text": "noise"}]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (tmp_path / "system.py").write_text(SYSTEM)
    monkeypatch.chdir(tmp_path)

    def write(*metrics):
        text = SUITE.replace("- METRICS", "\n      ".join(f"- {metric}" for metric in metrics))
        (tmp_path / "suite.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def figures(record):
    return {result.metric: result.value for result in record.results}


def checked(path, *options):
    return main(["validate", str(path / "suite.yaml"), *options])


@pytest.mark.model
def test_a_checkpoint_beside_the_suite_scores_and_scores_again(folder, networks, capsys):
    path = folder(
        "semantic_similarity: {checkpoint: ./encoder}",
        "bertscore: {checkpoint: ./encoder, layer: 1}",
        "bertscore: {checkpoint: ./encoder, layer: 1, part: recall, as: bertscore_recall}",
        "groundedness: {checkpoint: ./nli, context: meta.docs, threshold: 0.3}",
        "toxicity: {checkpoint: ./nli, label: neutral, measure: mean}",
        "toxicity_lexicon",
    )
    shutil.copytree(networks(), path / "encoder")
    shutil.copytree(networks(labels=("contradiction", "neutral", "entailment")), path / "nli")
    assert checked(path, "--allow-code") == 0, capsys.readouterr()
    record = evalharness.run("suite.yaml", allow_code=True)
    found = figures(record)
    assert 0 < found["semantic_similarity"] < 1
    assert 0 < found["bertscore"] < 1
    assert {"bertscore_recall", "groundedness", "toxicity"} <= found.keys()
    assert found["toxicity_lexicon"] == 0
    again = score(record, "suite.yaml", allow_code=True)
    assert figures(again) == pytest.approx(found, nan_ok=True)
    shutil.rmtree(path / "encoder")
    shutil.rmtree(path / "nli")
    for result in record.results:
        metric = metric_of(record, result)
        assert metric.signature == result.signature
        assert float(metric.finalize(record.stats("ask", "echo", result.metric).values.sum(axis=0))) == pytest.approx(
            result.value, nan_ok=True
        ) or hasattr(metric, "finalize_rows")
    assert checked(path) == 2
    said = capsys.readouterr()
    assert "tasks[0].metrics[0].semantic_similarity.checkpoint: checkpoint folder './encoder' does not exist" in (
        said.out + said.err
    )


def test_retrieval_from_the_row_and_from_the_answer(folder):
    folder(
        "recall_at_k: {k: 2, retrieved: meta.docs.id, relevant: row.good}",
        "ndcg_at_k: {k: 2, retrieved: row.docs, relevant: row.good}",
        "mrr: {retrieved: row.docs, relevant: row.good}",
        "map: {retrieved: row.docs, relevant: row.good}",
    )
    found = figures(evalharness.run("suite.yaml", allow_code=True))
    assert found["recall_at_k"] == pytest.approx((1 / 2 + 0) / 2)
    assert found["mrr"] == 1
    assert found["map"] == pytest.approx((1 / 2 + 1) / 2)


def echoing(path):
    """The suite with a model that is no code."""
    suite = (
        (path / "suite.yaml").read_text().replace('python, function: "system:answer"', "fake, reply: '{{ prompt }}'")
    )
    (path / "suite.yaml").write_text(suite)
    return path


def test_generated_code_needs_leave(folder, capsys):
    program = '\'assert "cat" in """{{ answer }}"""\''
    path = echoing(folder(f"code_execution: {{program: {program}, timeout_s: 30}}"))
    with pytest.raises((SuiteError, UsageError), match="code_execution runs Python code that the model wrote"):
        evalharness.run("suite.yaml")
    record = evalharness.run("suite.yaml", allow_code=True)
    assert figures(record)["code_execution"] == 0.5
    table = record.stats("ask", "echo", "code_execution")
    assert table.values[:, :3].tolist() == [[1, 1, 0], [1, 0, 1]], "passed, then failed: the state of each sample"
    with pytest.raises(UsageError, match="--allow-code"):
        score(record, "suite.yaml")
    assert checked(path) == 0, capsys.readouterr()


def test_a_metric_of_ones_own(folder, capsys):
    path = echoing(folder("python: own:Echoes", "python: {path: own:Echoes, options: {letter: B}, as: with_b}"))
    (path / "own.py").write_text(
        "from evalharness.metrics.base import MeanMetric, answer_text\n"
        "class Echoes(MeanMetric):\n"
        "    name = 'echoes'\n"
        "    def __init__(self, letter='c'): self.letter = letter\n"
        "    def values(self, samples, responses):\n"
        "        return [float(self.letter in answer_text(r)) for r in responses]\n"
    )
    assert checked(path) == 0, capsys.readouterr()
    with pytest.raises(UsageError, match="own:Echoes"):
        evalharness.run("suite.yaml")
    record = evalharness.run("suite.yaml", allow_code=True)
    assert (figures(record)["Echoes"], figures(record)["with_b"]) == (0.5, 0.5)
    result = next(r for r in record.results if r.metric == "with_b")
    (path / "own.py").unlink()
    metric = metric_of(record, result)
    assert metric.signature == result.signature
    assert checked(path) == 2
    said = capsys.readouterr()
    assert "tasks[0].metrics[0].python: there is no Python module 'own'" in said.out + said.err
    assert "tasks[0].metrics[1].python.path: there is no Python module 'own'" in said.out + said.err


def test_validating_a_suite_with_such_metrics_loads_nothing_heavy(folder):
    path = folder("semantic_similarity: {checkpoint: ./encoder}", "code_execution", "recall_at_k", "toxicity_lexicon")
    (path / "encoder").mkdir()
    (path / "encoder" / "config.json").write_text("{}")
    (path / "encoder" / "model.safetensors").write_bytes(b"")
    script = (
        "import sys\nfrom evalharness.cli.main import main\ncode = main(['validate', 'suite.yaml'])\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'{code} {sorted(heavy)}' if code or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=path, capture_output=True, text=True, env=_environment())
    assert done.returncode == 0, done.stdout + done.stderr


def _environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
