"""The index finds what lm-eval's own `TaskManager` finds."""

import json
import subprocess
import sys

import pytest

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.integrations.lm_eval import index
from evalharness.integrations.lm_eval.scan import scan

HEAVY = {"lm_eval.tasks", "lm_eval.api.task", "torch", "datasets", "numpy", "transformers"}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def same_index(ours, theirs):
    assert ours.task_index.keys() == theirs.task_index.keys()
    for name, entry in theirs.task_index.items():
        mine = ours.task_index[name]
        assert (mine.kind, mine.yaml_path) == (entry.kind, entry.yaml_path and entry.yaml_path.resolve()), name
        if entry.kind.name == "TAG":
            assert mine.tags == entry.tags
    assert ours.all_tasks == theirs.all_tasks
    assert ours.all_groups == theirs.all_groups
    assert ours.all_tags == theirs.all_tags
    assert ours.all_subtasks == theirs.all_subtasks


@pytest.mark.slow
def test_it_is_that_of_lm_eval():
    from lm_eval.tasks import TaskManager

    same_index(index.task_manager([]), TaskManager())


def test_a_folder_is_indexed_as_lm_eval_does(tasks, monkeypatch):
    from lm_eval.tasks import TaskManager

    own = index.entries(str(tasks), defaults=False)
    monkeypatch.setattr(index, "entries", lambda include_path=None, defaults=True: own)
    same_index(
        index.task_manager(["mini_group"], str(tasks)), TaskManager(include_defaults=False, include_path=str(tasks))
    )


def test_files_written_in_odd_ways_are_read(tmp_path):
    (tmp_path / "flow.yaml").write_text("{task: flow, output_type: multiple_choice, tag: [a, b]}")
    (tmp_path / "quoted.yaml").write_text('"task": "quoted"\n"tag":\n- b\n')
    (tmp_path / "document.yaml").write_text("---\n# note\ntask: document\nunsafe_code: true\n")
    (tmp_path / "anchor.yaml").write_text("x: &t [b]\ntask: anchor\ntag: *t\n")
    (tmp_path / "part").write_text("output_type: loglikelihood\ntask: hidden\n")
    (tmp_path / "deep.yaml").write_text("include: part\ntask: deep\nclass: !function x.Y\n")
    (tmp_path / "loop.yaml").write_text("include: loop.yaml\ntask: loop\n")
    (tmp_path / "broken.yaml").write_text("task: [\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "second.yaml").write_text("task: deep\n")
    found = {item.name: item for item in scan(tmp_path, keep=False)}
    assert set(found) == {"flow", "quoted", "document", "anchor", "deep"}
    assert found["flow"].tags == ("a", "b")
    assert found["flow"].output_type == "multiple_choice"
    assert found["document"].unsafe
    known = index.entries(str(tmp_path), defaults=False)
    assert known["b"].members == ("anchor", "flow", "quoted")
    assert (known["deep"].kind, known["deep"].output_type, known["deep"].code) == ("python task", "loglikelihood", True)


def test_it_is_kept_until_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "a.yaml").write_text("include: base\ntask: a\n")
    (folder / "base").write_text("output_type: loglikelihood\n")
    assert [item.output_type for item in scan(folder)] == ["loglikelihood"]
    (kept,) = (tmp_path / "cache" / "lm-eval").iterdir()
    written = kept.stat().st_mtime_ns
    assert scan(folder)[0].name == "a"
    assert kept.stat().st_mtime_ns == written
    (folder / "base").write_text("output_type: generate_until\n")
    assert [item.output_type for item in scan(folder)] == ["generate_until"]
    kept.write_text("{")
    assert [item.output_type for item in scan(folder)] == ["generate_until"]
    assert json.loads(kept.read_text())["entries"]


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "a.yaml").write_text("task: a\n")
    assert [item.name for item in scan(folder)] == ["a"]


def test_a_file_is_found_by_its_path(tasks):
    assert index.find(str(tasks / "mini_choice.yaml")).name == "mini_choice"
    (tasks.parent / "nothing.yaml").write_text("a: 1\n")
    with pytest.raises(UsageError, match="declares no lm-eval task"):
        index.find(str(tasks.parent / "nothing.yaml"))


DEEP = {
    "flow": "task: a\ntag: " + "[" * 200_000,
    "block": "task:\n" + "".join(" " * n + "a:\n" for n in range(1, 3_000)),
    "dashes": "task: a\ntag:\n " + "- " * 100_000,
    "questions": "? " * 100_000,
    "braces": "task: " + "{a: " * 100_000,
}


@pytest.mark.parametrize("kind", DEEP)
def test_a_file_that_is_nested_without_end_is_passed_over(tmp_path, kind):
    """libyaml's own loader would end the process."""
    (tmp_path / "deep.yaml").write_text(DEEP[kind])
    (tmp_path / "good.yaml").write_text("task: good\ntag: [[a], [b]]\n")
    assert [item.name for item in scan(tmp_path, keep=False)] == ["good"]
    with pytest.raises(UsageError, match="declares no lm-eval task"):
        index.find(str(tmp_path / "deep.yaml"))


def test_other_files_of_the_folder_are_not_read_for_one(tmp_path, monkeypatch):
    (tmp_path / "one.yaml").write_text("task: one\n")
    monkeypatch.setattr("evalharness.integrations.lm_eval.scan._files", lambda root: pytest.fail("looked around"))
    assert index.find(str(tmp_path / "one.yaml")).name == "one"


def test_names_that_lead_nowhere_are_refused(tasks):
    with pytest.raises(UsageError, match="did you mean 'hellaswag'"):
        index.find("helaswag")
    with pytest.raises(UsageError, match="there is no folder"):
        index.entries(str(tasks / "none"))
    with pytest.raises(UsageError, match="zzz_\\*"):
        index.task_manager(["zzz_*"])
    assert index.task_manager(["mmlu_*"])


def test_without_lm_eval_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(index, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"evalharness\[lm-eval\]"):
        index.entries()


def test_the_leaves_of_a_group(tasks):
    known = index.entries(str(tasks))
    assert {item.name for item in index.leaves(known["mini_group"], known)} == {
        "mini_choice",
        "mini_binary",
        "mini_mutual",
    }
    assert len(index.leaves(known["mmlu"], known)) == 57


def test_listing_does_not_import_lm_eval(tmp_path):
    code = (
        "import sys\nfrom evalharness.cli.main import main\n"
        "assert main(['list', 'lm-eval-tasks', 'gsm8k']) == 0\n"
        f"print(sorted(set(sys.modules) & {HEAVY}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
