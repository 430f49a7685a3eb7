"""`acc_mutual_info` of a suite's own task beside lm-eval's own, on tiny checkpoints."""

from __future__ import annotations

import json

import pytest

import evalharness

pytestmark = pytest.mark.model

POOL = [" Paris", " Berlin and the", " yes", " naïve café", " no", " one two three", " x"]
TASK = """\
task: gains
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}, cache_dir: {cache}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}\\nAnswer:"
doc_to_target: gold
doc_to_choice: "{{{{choices}}}}"
target_delimiter: ""
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_mutual_info, aggregation: mean, higher_is_better: true}}
"""
SUITE = """\
version: 1
name: gains
models: {{m: {{backend: hf-causal, path: "{checkpoint}", dtype: float32, device: cpu}}}}
datasets: {{d: {{path: data.jsonl, id: id}}}}
tasks:
  - id: gains
    dataset: d
    prompt: "{{{{ question }}}}\\nAnswer:"
    choices: "{{{{ choices }}}}"
    delimiter: ""
    target: "{{{{ choices[gold] }}}}"
    metrics: [accuracy, acc_mutual_info]
"""


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_equals_lm_evals_sample_by_sample(family, checkpoint, theirs, evaluate, tmp_path):
    rows = [
        {
            "id": str(i),
            "question": f"Question {i}: what is the capital of {'France' if i % 2 else 'Germany'}?",
            "choices": [POOL[(i + k * (1 + i % 3)) % 7] for k in range(3)],
            "gold": i % 3,
        }
        for i in range(28)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "gains.yaml").write_text(TASK.format(data=tmp_path / "data.jsonl", cache=tmp_path / "cache"), "utf-8")
    folder = checkpoint(family)
    expected = evaluate(theirs(folder), tasks, ["gains"])
    (tmp_path / "suite.yaml").write_text(SUITE.format(checkpoint=folder), "utf-8")
    record = evalharness.run(tmp_path / "suite.yaml", reports=tmp_path / "reports")
    figures = {r.metric: r.value for r in record.results if r.group is None}
    assert figures["acc_mutual_info"] == expected["results"]["gains"]["acc_mutual_info,none"]
    assert figures["accuracy"] == expected["results"]["gains"]["acc,none"]
    assert figures["acc_mutual_info"] != figures["accuracy"], "what is taken out decides something here"
    scores = record.scores(metric="acc_mutual_info")
    own = dict(zip(scores["sample_id"], scores["value"], strict=True))
    logged = {row["doc"]["id"]: row for row in expected["samples"]["gains"]}
    for row in record.iter_samples():
        other = logged[row.sample.id]
        assert own[row.sample.id] == other["acc_mutual_info"]
        totals = [float(ll) for ((ll, _),) in other["resps"]]
        assert [one.total for one in row.response.loglikelihoods] == pytest.approx(totals[:3], abs=1e-4)
        assert row.response.meta["unconditional"] == pytest.approx(totals[3:], abs=1e-4)
