"""Gates on result files of lm-eval's, as `lm_eval --log_samples --output_path` (0.4.13) writes them."""

import json
from hashlib import sha256

import pytest

from evalharness.cli.main import main

pytest.importorskip("lm_eval")
WHEN = "2026-11-22T16-40-56.581464"


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def _prompt(number):
    return f"Review: number {number}\nSentiment:"


def _hash(value):
    return sha256(str(value).encode()).hexdigest()


def results(folder, right):
    """Writes the files of a task `reviews` whose documents were answered so."""
    folder.mkdir(parents=True)
    hashes = [
        {"doc_hash": _hash(i), "prompt_hash": _hash(_prompt(i)), "target_hash": "a" * 64} for i in range(len(right))
    ]
    body = {
        "results": {"reviews": {"alias": "reviews", "sample_len": len(right), "acc,none": sum(right) / len(right)}},
        "group_subtasks": {},
        "configs": {
            "reviews": {"task": "reviews", "output_type": "multiple_choice", "metric_list": [{"metric": "acc"}]}
        },
        "versions": {"reviews": 1.0},
        "n-shot": {"reviews": 0},
        "higher_is_better": {"reviews": {"acc": True}},
        "n-samples": {"reviews": {"original": len(right), "effective": len(right)}},
        "config": {"model": "hf", "model_args": {}},
        "date": 1795365640.6,
        "task_hashes": {"reviews": _hash("".join(value for line in hashes for value in line.values()))},
        "model_source": "hf",
        "model_name": "tiny",
        "lm_eval_version": "0.4.13",
    }
    path = folder / f"results_{WHEN}.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    with (folder / f"samples_reviews_{WHEN}.jsonl").open("w", encoding="utf-8") as lines:
        for i, good in enumerate(right):
            prompt = _prompt(i)
            line = {
                "doc_id": i,
                "doc": {"text": f"number {i}"},
                "target": "positive",
                "arguments": {f"gen_args_{j}": {"arg_0": prompt, "arg_1": a} for j, a in enumerate((" no", " yes"))},
                "resps": [[["-1.0", "False"]], [["-2.0", "False"]]],
                "filtered_resps": [["-1.0", "False"], ["-2.0", "False"]],
                "filter": "none",
                "metrics": ["acc"],
                **hashes[i],
                "acc": float(good),
            }
            lines.write(json.dumps(line) + "\n")
    return path


@pytest.mark.parametrize(("n_wrong", "code"), [(20, 0), (26, 4), (70, 1)])
def test_results_are_judged_against_results(tmp_path, capsys, n_wrong, code):
    (tmp_path / "gate.yaml").write_text("rules: [{metric: reviews.acc, non_inferior: {margin: 0.05}}]\n")
    now = results(tmp_path / "now", [i >= n_wrong for i in range(200)])
    results(tmp_path / "before", [i >= 20 for i in range(200)])
    assert main(["gate", str(now), "--baseline", str(tmp_path / "before"), "--policy", "gate.yaml"]) == code
    shown = capsys.readouterr().out
    assert f"against before/results_{WHEN}" in shown
    assert code == 0 or f"n = 200 paired, {n_wrong - 20} worse and 0 better" in shown.replace("\n", " ")
    assert sorted(path.name for path in now.parent.iterdir()) == [now.name, f"samples_reviews_{WHEN}.jsonl"]


def test_results_without_samples_are_refused(tmp_path, capsys):
    (tmp_path / "gate.yaml").write_text("rules: [{metric: reviews.acc, at_least: 0.5}]\n")
    now = results(tmp_path / "now", [True] * 5)
    next(now.parent.glob("samples_*")).unlink()
    assert main(["gate", str(now), "--policy", "gate.yaml"]) == 2
    assert "log_samples" in capsys.readouterr().err
