"""The entry of a probe in a suite: its faults, what validate, list and plan say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main
from evalharness.core.errors import SuiteError
from evalharness.suite.check import check_references
from evalharness.suite.expand import expand_probes
from evalharness.suite.load import load_suite

from .conftest import ITEMS, SWAP


def checked(path: Path) -> None:
    """Load the suite, make its probes tasks, check all that it names."""
    loaded, problems = expand_probes(load_suite(path))
    check_references(loaded, environ={}, more=problems)


@pytest.mark.parametrize(
    ("entry", "place", "says"),
    [
        ("{id: p, probe: job}", ":14:20 tasks[1].probe", "unknown probe 'job'; did you mean 'jobs'?"),
        ("{id: p, probe: xyz}", ":14:20 tasks[1].probe", "see evalharness list probes"),
        ("{id: p, probe: jobs, nn: 3}", ":14:26 tasks[1].nn", "the probe 'jobs' has no option 'nn'; did you mean 'n'?"),
        ("{id: p, probe: jobs, zzz: 3}", "tasks[1].zzz", "it has: n, path, margin, parts_of, kinds"),
        ("{id: p, probe: jobs, n: many}", "tasks[1].n", "n must be a whole number"),
        ("{id: p, probe: jobs, of: ask}", "tasks[1].of", "of has no effect: the probe 'jobs' brings rows of its own"),
        ("{id: p, probe: jobs, fields: [job]}", "tasks[1].fields", "fields has no effect"),
        ("{id: p, probe: jobs, path: no.txt}", "no.txt", "there is no such file"),
        ("{id: p, probe: jobs, n: 0}", "tasks[1].probe", "the probe 'jobs' has no rows"),
        ("{id: p, probe: jobs, limit: 0}", "tasks[1].limit", "must be at least 1"),
        ("{id: p, probe: jobs, model: x}", "tasks[1].model", "there is no model 'x'"),
        ("{id: p, probe: jobs, parts_of: [z]}", "tasks[1].probe", "has no rows for its part 'z'"),
        ("{id: p, probe: jobs, parts_of: [x, x]}", "tasks[1].probe", "two parts called 'x'"),
        ("{id: p, probe: swap}", "tasks[1]", "needs `of`: the task whose rows it rewrites"),
        ("{id: p, probe: swap, of: aks}", "14:30 tasks[1].of", "there is no task 'aks'; did you mean 'ask'?"),
        ("{id: p, probe: swap, of: p}", "tasks[1].of", "there is no task 'p'"),
    ],
)
def test_a_wrong_entry_is_told_with_its_place(write: Any, entry: str, place: str, says: str) -> None:
    with pytest.raises(SuiteError) as caught:
        checked(write(f"  - {entry}\n"))
    (problem,) = caught.value.problems
    assert place in str(problem)
    assert says in str(problem)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            SWAP + "gates: {rules: [{metric: swap.gap_of_tow, at_most: 0}]}\n",
            "has no figure 'gap_of_tow'; did you mean 'gap_of_two'",
        ),
        (ITEMS + "gates: {rules: [{metric: jobs/x.accuracy, at_most: 0}]}\n", "there is no task"),
        (SWAP + "gates: {rules: [{metric: swap.accuracy, group: gendr=she, at_most: 0}]}\n", "did you mean 'gender'"),
        ("  - {id: s2, probe: swap, of: s1}\n  - {id: s1, probe: swap, of: ask}\n", "the task 's1' is a probe"),
        (
            "  - {id: mmlu, lm_eval: mmlu}\n  - {id: s1, probe: swap, of: mmlu}\n",
            "tasks[2].of: the task 'mmlu' is an lm-eval task; a probe rewrites the rows of a task with prompt, "
            "messages, classify or perplexity: lm-eval writes its prompts itself, so put its documents into a dataset "
            "and its prompt into a task of your own, and name that",
        ),
        ("  - {id: ppl, dataset: people, perplexity: 'x'}\n  - {id: p, probe: swap, of: ppl}\n", "nothing to rewrite"),
    ],
)
def test_what_does_not_fit_the_expanded_suite_is_told(write: Any, more: str, says: str) -> None:
    with pytest.raises(SuiteError) as caught:
        checked(write(more))
    assert says in str(caught.value)


def test_a_model_that_cannot_answer_is_refused_before_anything_is_asked(write: Any, capsys: Any) -> None:
    path = write(SWAP)
    path.write_text(path.read_text("utf-8").replace("models:\n", "models:\n  clf: {backend: hf-classifier, path: x}\n"))
    assert main(["validate", str(path), "--level", "references"]) == 2
    said = capsys.readouterr()
    assert "tasks[1].id: the task must generate text, which the model 'clf' (backend hf-classifier)" in said.err


def test_a_field_that_no_row_has_is_told_with_the_nearest(write: Any, capsys: Any) -> None:
    assert main(["validate", str(write("  - {id: p, probe: swap, of: ask, fields: [txt]}\n"))]) == 2
    assert "no row of 'people' has the field 'txt'; did you mean 'text'?" in capsys.readouterr().err


def test_nothing_to_rewrite_in_any_row_is_an_error(write: Any, capsys: Any) -> None:
    assert main(["validate", str(write("  - {id: p, probe: swap, of: ask, fields: [verdict]}\n"))]) == 2
    assert "finds nothing to rewrite in verdict of the 3 rows of 'ask'" in capsys.readouterr().err


def test_validate_shows_what_would_be_asked(write: Any, capsys: Any) -> None:
    assert main(["validate", str(write(ITEMS, SWAP))]) == 0
    said = capsys.readouterr().out
    assert "jobs on biased: generate, 24 samples, made by the probe jobs (question: gender)" in said
    assert "swap on biased: generate, 6 samples, made by the probe swap of ask, rewriting text" in said
    assert "      she:\n      | Is this good? she paid the bill\n" in said
    assert "note: swap: 1 of 3 rows of ask are left out" in said


def test_list_probes_explains_them(capsys: Any) -> None:
    assert main(["list", "probes"]) == 0
    assert "jobs" in capsys.readouterr().out
    assert main(["list", "probes", "jobs"]) == 0
    said = capsys.readouterr().out
    assert "n: whole number (default: 4)" in said
    assert "how many pairs of sentences" in said
    assert "Question: gender" in said
    assert "Rows:     its own" in said
    assert main(["list", "probes", "swap", "--json"]) == 0
    assert "those of another task (`of`), by gender" in capsys.readouterr().out


def test_a_probe_follows_the_variants_that_matrix_makes_of_its_task(write: Any) -> None:
    more = SWAP + "matrix: {ask.prompt: ['A {{ text }}', 'B {{ text }}'], swap.reference: [true, false]}\n"
    loaded, problems = expand_probes(load_suite(write(more)))
    assert not problems
    check_references(loaded, environ={})
    assert [task.id for task in loaded.suite.tasks][2:] == [
        "swap@reference=true,prompt=#1",
        "swap@reference=true,prompt=#2",
        "swap@reference=false,prompt=#1",
        "swap@reference=false,prompt=#2",
    ]
