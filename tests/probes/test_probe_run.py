"""Probes from the suite to the record: run, scored again, compared, gated, self-tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.core.errors import NotComparableError

from .conftest import ITEMS, SWAP

GATES = """\
gates:
  decide_on: point
  rules:
    - {metric: jobs.gap_of_two, at_most: 0.1}
"""


def figure(record: Any, task: str, metric: str, group: str | None = None) -> Any:
    return next(r for r in record.results if (r.task, r.metric, r.group) == (task, metric, group))


def test_items_become_an_ordinary_task_with_an_origin(write: Any) -> None:
    record = evalharness.run(write(ITEMS))
    record.verify()
    assert figure(record, "jobs", "gap_of_two").value == 1.0
    assert figure(record, "jobs", "gap_of_two").ci_low > 0.3
    assert figure(record, "jobs", "accuracy").value == 0.5
    assert figure(record, "jobs", "accuracy", "who=she").value == 0.0
    task = next(t for t in record.manifest.suite["tasks"] if t["id"] == "jobs")
    assert task["origin"]["probe"] == "jobs"
    assert task["origin"]["options"] == {"n": 12}
    assert task["origin"]["question"] == "gender"
    assert task["origin"]["findings"] == {"gap_of_two": {"null": 0.0, "margin": 0.05, "one_sided": False}}
    assert record.manifest.datasets["probe jobs"]["n_rows"] == 24
    assert record.manifest.datasets["probe jobs"]["source"] == "probe jobs"
    # The pairs are clusters: 24 samples are 12 questions.
    assert record.stats("jobs", "biased", "gap_of_two").clusters[:4] == ["0", "0", "1", "1"]


def test_rows_are_asked_in_all_variants_and_paired_by_their_row(write: Any) -> None:
    record = evalharness.run(write(SWAP))
    samples = record.samples()
    own = samples[samples.task == "swap"]
    assert list(own.sample_id) == [f"{row}#{v}" for row in "ab" for v in ("original", "she", "they")]
    prompts = dict(zip(own.sample_id, own.prompt, strict=True))
    assert prompts["a#she"] == "Is this good? she paid the bill"
    assert prompts["a#original"] == "Is this good? he paid the bill"
    assert figure(record, "swap", "accuracy", "gender=she").value == 0.0
    assert figure(record, "swap", "accuracy", "gender=they").value == 1.0
    assert figure(record, "swap", "accuracy", "language=en").n == 6
    assert figure(record, "swap", "gap_of_two").value == 1.0
    assert set(record.stats("swap", "biased", "accuracy").clusters) == {"a", "b"}
    assert [n for n in record.manifest.notes if "left out" in n] == [
        "swap: 1 of 3 rows of ask are left out: the probe swap finds nothing to rewrite in their text"
    ]
    origin = next(t for t in record.manifest.suite["tasks"] if t["id"] == "swap")["origin"]
    assert origin["of"] == "ask"
    assert origin["fields"] == ["text"]
    assert origin["levels"] == ["original", "she", "they"]
    # The original is the question of the other task: it is asked once.
    assert record.manifest.execution["n_distinct"] == 3 + 4


def test_limits_are_of_rows_before_they_are_rewritten(write: Any) -> None:
    record = evalharness.run(write(ITEMS, SWAP), limit=1)
    counts = record.samples().groupby("task").size().to_dict()
    assert counts == {"ask": 1, "jobs": 2, "swap": 3}
    own = evalharness.run(write("  - {id: swap, probe: swap, of: ask, limit: 1}\n"))
    assert own.samples().groupby("task").size().to_dict() == {"ask": 3, "swap": 3}


def test_a_record_is_scored_again_with_other_margins_and_not_with_other_questions(write: Any) -> None:
    record = evalharness.run(write(ITEMS, SWAP))
    again = evalharness.score(record, write("  - {id: jobs, probe: jobs, n: 12, margin: 0.2}\n", SWAP, name="b.yaml"))
    task = next(t for t in again.manifest.suite["tasks"] if t["id"] == "jobs")
    assert task["origin"]["scoring"] == {"margin": 0.2}
    assert figure(again, "jobs", "gap_of_two").value == 1.0
    with pytest.raises(NotComparableError, match=r"task 'jobs': origin.options is \{'n': 3\} in the suite"):
        evalharness.score(record, write("  - {id: jobs, probe: jobs, n: 3}\n", name="c.yaml"))


def test_two_runs_are_compared_and_gated_as_ever(write: Any, capsys: Any) -> None:
    from evalharness.cli.main import main

    assert main(["run", str(write(ITEMS, SWAP, GATES))]) == 1
    assert "jobs.gap_of_two" in capsys.readouterr().out
    fair = Path("suite.yaml").read_text("utf-8").replace("'she' in", "'nobody' in")
    Path("fair.yaml").write_text(fair, "utf-8")
    assert main(["run", "fair.yaml"]) == 0
    capsys.readouterr()
    # Both ids may begin with the same second.
    runs = sorted(Path("reports/runs").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
    code = main(["compare", str(runs[0]), str(runs[1]), "--json"])
    assert code in (0, 1)
    found = json.loads(capsys.readouterr().out)["figures"]
    rows = {(r["task"], r["metric"]): r for r in found if r["group"] is None}
    assert rows["jobs", "gap_of_two"]["difference"] == pytest.approx(-1.0)
    assert main(["selftest", "suite.yaml", "--record", str(runs[0])]) in (0, 1)
    assert main(["plan", "suite.yaml"]) == 0


def test_what_is_asked_is_part_of_the_identity(write: Any) -> None:
    def identity(more: str, task: str) -> Any:
        record = evalharness.run(write(more))
        return next(t.identity for t in record.manifest.tasks if t.id == task)

    jobs = identity(ITEMS, "jobs")
    assert jobs["data"] != identity("  - {id: jobs, probe: jobs, n: 11}\n", "jobs")["data"]
    assert jobs == identity("  - {id: jobs, probe: jobs, n: 12, margin: 0.3}\n", "jobs")
    # Metrics read fields that no template names.
    assert jobs["data"] != identity('  - {id: jobs, probe: jobs, n: 12, kinds: ["x", "z"]}\n', "jobs")["data"]
    swap = identity(SWAP, "swap")
    assert swap["data"] != identity("  - {id: swap, probe: swap, of: ask, reference: false}\n", "swap")["data"]
    polite = identity("  - {id: swap, probe: swap, of: ask, polite: true}\n", "swap")
    assert swap["data"] == polite["data"]
    assert swap["prompt"] != polite["prompt"]


def test_parts_are_tasks_of_their_own(write: Any) -> None:
    record = evalharness.run(
        write(
            '  - {id: jobs, probe: jobs, n: 4, parts_of: ["x", "y"]}\n',
            "gates: {rules: [{metric: jobs/x.accuracy, at_least: 0.2, decide_on: point}]}\n",
        )
    )
    assert [t.id for t in record.manifest.tasks] == ["ask", "jobs/x", "jobs/y"]
    assert figure(record, "jobs/x", "accuracy").n == 4
    again = evalharness.score(record, "suite.yaml")
    assert [t.id for t in again.manifest.tasks] == ["ask", "jobs/x", "jobs/y"]


def test_a_variant_may_have_a_prompt_of_its_own(write: Any) -> None:
    record = evalharness.run(write("  - {id: swap, probe: swap, of: ask, polite: true}\n"))
    samples = record.samples()
    prompts = dict(zip(samples.sample_id, samples.prompt, strict=True))
    assert prompts["a#she"] == "Please: she paid the bill"
    assert prompts["a#they"] == "Is this good? they paid the bill"


def test_all_variants_of_a_row_have_the_same_examples_and_never_their_own_row(write: Any) -> None:
    path = write(SWAP)
    text = path.read_text("utf-8").replace(
        "metrics: [accuracy]}", "metrics: [accuracy], few_shot: {dataset: people, n: 1, draw: per_sample}}"
    )
    path.write_text(text, "utf-8")
    record = evalharness.run(path)
    samples = record.samples()
    prompts = dict(zip(samples.sample_id, samples.prompt, strict=True))
    for row in "ab":
        heads = {prompts[f"{row}#{v}"].split("\n\n")[0] for v in ("original", "she", "they")}
        assert heads == {prompts[row].split("\n\n")[0]}
        assert not any(prompts[row].split("? ")[-1] in head for head in heads)


def test_the_least_n_of_an_entry_reaches_its_metrics_and_its_findings(write: Any) -> None:
    more = ("  - {id: jobs, probe: jobs, least_n: 7}\n", "  - {id: swap, probe: swap, of: ask, least_n: 7}\n")
    record = evalharness.run(write(*more))
    tasks = {task["id"]: task for task in record.manifest.suite["tasks"]}
    assert tasks["jobs"]["origin"]["least_n"] == 7
    assert tasks["jobs"]["metrics"][1]["gap_of_two"]["least_n"] == 7
    # A probe that says it itself is left alone.
    assert tasks["swap"]["metrics"][1]["gap_of_two"]["least_n"] == 2
    assert "least_n:7" in figure(record, "jobs", "gap_of_two").signature
