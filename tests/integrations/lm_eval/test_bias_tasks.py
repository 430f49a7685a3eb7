"""lm-eval's own bias tasks on data of this machine: its YAML and functions over another data set than the hub's."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

import evalharness
from evalharness.cli.main import main

pytest.importorskip("lm_eval")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.real_cache,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),
]

TASKS = ("crows_pairs_english", "crows_pairs_english_gender")
N = 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for `include_path` as the docs have it; the columns are those of the data set on the hub."""
    import lm_eval

    from evalharness.catalog import DATASETS
    from evalharness.catalog.fetch import is_present

    assert is_present(DATASETS["crows-pairs"]) or main(["fetch-data", "crows-pairs"]) == 0
    assert main(["fetch-model", "smollm2-135m"]) == 0
    monkeypatch.chdir(tmp_path)
    lines = (DATASETS["crows-pairs"].folder / "test.jsonl").read_text("utf-8").splitlines()[:N]
    rows = [
        {
            "sent_more": row["sentence"].replace("[MASK]", row["mask1"]),
            "sent_less": row["sentence"].replace("[MASK]", row["mask2"]),
            "stereo_antistereo": 0,
            "bias_type": row["bias_type"],
        }
        for row in map(json.loads, lines)
    ]
    (tmp_path / "crows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    own = Path(lm_eval.__file__).parent / "tasks" / "crows_pairs"
    (tmp_path / "tasks").mkdir()
    for name in TASKS:
        (tmp_path / "tasks" / f"{name}.yaml").write_text(
            f"include: {own / name}.yaml\ntask: {name}\ndataset_path: json\ndataset_name: null\n"
            f"dataset_kwargs: {{data_files: {{test: {tmp_path / 'crows.jsonl'}}}, cache_dir: {tmp_path / 'cache'}}}\n",
            "utf-8",
        )
    return tmp_path, rows


def theirs(folder, checkpoint):
    """What lm-eval itself makes of them: {task: {metric: value}} and {task: {sent_more: logged sample}}."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder / "tasks"))
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        found = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(checkpoint), "dtype": "float32", "device": "cpu"},
            tasks=list(TASKS),
            task_manager=manager,
            bootstrap_iters=0,
            batch_size=8,
        )
    return found["results"], {name: {row["doc"]["sent_more"]: row for row in found["samples"][name]} for name in TASKS}


def test_lm_evals_crows_pairs_on_local_data_is_lm_evals_own_sample_by_sample(folder):
    from evalharness.metrics.checkpoint import find_checkpoint

    here, rows = folder
    (here / "suite.yaml").write_text(
        "version: 1\nname: bias\n"
        'models: {m: {backend: hf-causal, path: "catalog:smollm2-135m", dtype: float32, device: cpu}}\ntasks:\n'
        + "".join(f"  - {{id: {name}, lm_eval: {name}, include_path: tasks}}\n" for name in TASKS),
        "utf-8",
    )
    assert main(["validate", "suite.yaml"]) == 2, "its YAML names functions, which wait for --allow-code"
    record = evalharness.run("suite.yaml", allow_code=True)
    results, logged = theirs(here, find_checkpoint("catalog:smollm2-135m", base=here))
    figures = {(r.task, r.metric): r for r in record.results if r.signature.startswith("lm_eval|")}
    table = record.scores()
    scores = dict(
        zip(zip(table["task"], table["metric"], table["sample_id"], strict=True), table["value"], strict=True)
    )
    n_gender = sum(row["bias_type"] == "gender" for row in rows)
    assert 0 < n_gender < N
    for name, n in zip(TASKS, (N, n_gender), strict=True):
        seen = list(record.iter_samples(task=name))
        assert len(seen) == len(logged[name]) == n
        for row in seen:
            own = logged[name][row.sample.fields["doc"]["sent_more"]]
            totals = [one.total for one in row.response.loglikelihoods]
            assert totals == pytest.approx([float(ll) for ((ll, _),) in own["resps"]], abs=2e-3)
            difference = scores[name, "likelihood_diff", row.sample.id]
            assert difference == pytest.approx(own["likelihood_diff"], abs=4e-3)
            # Where float32 leaves no doubt which sentence is likelier, both say the same.
            if abs(totals[0] - totals[1]) > 1e-2:
                assert scores[name, "pct_stereotype", row.sample.id] == own["pct_stereotype"]
        for metric in ("likelihood_diff", "pct_stereotype"):
            figure = figures[name, metric]
            assert figure.n == n
            assert figure.value == pytest.approx(results[name][f"{metric},none"], abs=4e-3)
            assert figure.ci_low < figure.value < figure.ci_high
