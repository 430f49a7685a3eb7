"""`extends`: what is merged and how, where positions point, which paths are meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import Place, SuiteError
from evalharness.suite.load import load_suite
from evalharness.suite.merge import merge, without_nulls
from evalharness.suite.node import Entry, Node, plain

PARENT = """\
version: 1
name: parent
models:
  m: {backend: fake, reply: "a"}
datasets:
  d: {rows: [{q: one, a: x}]}
tasks:
  - {id: first, dataset: d, prompt: "{{ q }}", reference: "{{ a }}", metrics: [bleu, chrf], limit: 5}
  - {id: second, dataset: d, prompt: "{{ q }}"}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder / "suite.yaml"


def node(value: Any) -> Node:
    place = Place("f", 1, 1)
    if isinstance(value, dict):
        return Node({key: Entry(place, node(item)) for key, item in value.items()}, place)
    if isinstance(value, list):
        return Node([node(item) for item in value], place)
    return Node(value, place, str(value))


def test_later_wins_tasks_merge_by_id_and_lists_are_replaced(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        parent=PARENT,
        suite="extends: parent.yaml\nname: child\ntasks:\n"
        "  - {id: third, dataset: d, prompt: new}\n  - {id: first, metrics: [rougeL]}\n",
    )
    suite = load_suite(path).suite
    assert suite.name == "child"
    assert [task.id for task in suite.tasks] == ["first", "second", "third"]
    assert suite.tasks[0].metrics == ("rougeL",)
    assert suite.tasks[0].limit == 5


def test_files_are_merged_left_to_right_and_then_the_file_itself(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        parent=PARENT,
        a="description: a\nseed: 1\nconfidence: 0.9\n",
        b="description: b\nseed: 2\n",
        suite="extends: [parent.yaml, a.yaml, b.yaml]\ndescription: own\n",
    )
    suite = load_suite(path).suite
    assert (suite.description, suite.seed, suite.confidence) == ("own", 2, 0.9)


def test_null_takes_away_what_an_earlier_file_said(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        parent=PARENT,
        suite="extends: parent.yaml\nmodels: {m: {reply: null}, n: {backend: fake}}\n"
        "tasks: [{id: first, limit: null, prompt: null, messages: [{role: user, content: hi}]}]\n",
    )
    suite = load_suite(path).suite
    assert suite.tasks[0].limit is None
    assert suite.tasks[0].prompt is None  # type: ignore[union-attr]
    assert suite.models["m"].reply == "{{ prompt }}"  # type: ignore[union-attr]


def test_null_keeps_its_meaning_in_inline_rows(tmp_path: Path) -> None:
    path = write(tmp_path, parent=PARENT, suite="extends: parent.yaml\ndatasets: {d: {rows: [{q: ~, a: x}]}}\n")
    assert load_suite(path).suite.datasets["d"].rows == ({"q": None, "a": "x"},)


def test_a_model_of_another_backend_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        parent=PARENT,
        suite='extends: parent.yaml\nmodels: {m: {backend: http, url: "http://x"}}\n',
    )
    assert load_suite(path).suite.models["m"].backend == "http"


def test_positions_point_into_the_file_that_said_it(tmp_path: Path) -> None:
    parent = PARENT.replace("limit: 5", "limit: 0")
    path = write(tmp_path, parent=parent, suite="extends: parent.yaml\nsede: 1\n")
    column = parent.splitlines()[7].index("limit: 0") + len("limit: ") + 1
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    places = {str(problem.place): problem.message for problem in caught.value.problems}
    assert places[f"{tmp_path / 'parent.yaml'}:8:{column}"].startswith("must be at least 1")
    assert "did you mean 'seed'" in places[f"{path}:2:1"]


def test_faults_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path, parent="a: 1\na: 2\n", other="x: [\n", suite="extends: [parent.yaml, other.yaml]\nb: 1\nb: 2\n"
    )
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert {Path(p.place.file).name for p in caught.value.problems} >= {"parent.yaml", "other.yaml", "suite.yaml"}


@pytest.mark.parametrize("middle", ["suite.yaml", "./suite.yaml", "../{folder}/suite.yaml"])
def test_a_circle_is_refused_where_it_closes(middle: str, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        b=f"seed: 1\nextends: {middle.format(folder=tmp_path.name)}\n",
        suite="extends: b.yaml\n",
    )
    with pytest.raises(
        SuiteError, match=r"b\.yaml:2:10 extends: goes in a circle: suite\.yaml → b\.yaml → suite\.yaml"
    ):
        load_suite(path)


def test_a_diamond_is_read_once_and_is_no_circle(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        parent=PARENT,
        a="extends: parent.yaml\nseed: 1\n",
        b="extends: parent.yaml\nconfidence: 0.8\n",
        suite="extends: [a.yaml, b.yaml]\n",
    )
    suite = load_suite(path).suite
    assert (suite.seed, suite.confidence) == (1, 0.8)


def test_a_chain_that_doubles_at_every_step_stays_cheap(tmp_path: Path) -> None:
    files = {f"f{i}": f"extends: [f{i + 1}.yaml, f{i + 1}.yaml]\nseed: {i}\n" for i in range(60)}
    path = write(tmp_path, **files, f60=PARENT, suite="extends: f0.yaml\n")
    assert load_suite(path).suite.seed == 0


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"f{i}": f"extends: f{i + 1}.yaml\n" for i in range(150)}
    path = write(tmp_path, **files, f150=PARENT, suite="extends: f0.yaml\n")
    with pytest.raises(SuiteError, match="more than 100 files"):
        load_suite(path)


def test_paths_mean_files_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "base" / "prompts").mkdir(parents=True)
    (tmp_path / "nightly").mkdir()
    (tmp_path / "base" / "prompts" / "p.j2").write_text("{{ q }}")
    (tmp_path / "base" / "local-model").mkdir()
    (tmp_path / "base" / "parent.yaml").write_text(
        PARENT.replace('prompt: "{{ q }}", reference', "prompt: {file: prompts/p.j2}, reference")
        .replace(
            "d: {rows: [{q: one, a: x}]}", "d: {path: data/d.jsonl}\n  c: {path: 'catalog:x'}\n  a: {path: /abs.jsonl}"
        )
        .replace(
            '{backend: fake, reply: "a"}',
            "{backend: hf-causal, path: local-model}\n  hub: {backend: hf-causal, path: org/x}",
        )
    )
    path = tmp_path / "nightly" / "suite.yaml"
    path.write_text("extends: ../base/parent.yaml\n")
    suite = load_suite(path).suite
    assert suite.datasets["d"].path == "../base/data/d.jsonl"
    assert suite.datasets["c"].path == "catalog:x"
    assert suite.datasets["a"].path == "/abs.jsonl"
    assert suite.models["m"].path == "../base/local-model"  # type: ignore[union-attr]
    assert suite.models["hub"].path == "org/x"  # type: ignore[union-attr]
    assert suite.tasks[0].prompt.file == "../base/prompts/p.j2"  # type: ignore[union-attr]


def test_a_duplicate_id_in_one_file_is_no_change_of_the_first(tmp_path: Path) -> None:
    path = write(
        tmp_path, parent=PARENT, suite="extends: parent.yaml\ntasks: [{id: first, limit: 1}, {id: first, limit: 2}]\n"
    )
    with pytest.raises(SuiteError, match="the id 'first' is taken"):
        load_suite(path)


mappings = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from("abcd"), mappings, max_size=4)


@given(documents, documents)
def test_merging_changes_neither_side_and_ends_with_the_later(a: Any, b: Any) -> None:
    first, second = node(a), node(b)
    merged = plain(merge(first, second))
    assert plain(first) == a
    assert plain(second) == b
    assert plain(merge(first, first)) == a
    for key, value in b.items():
        if not isinstance(value, dict):
            assert merged[key] == value
    assert list(merged) == [*a, *(key for key in b if key not in a)]


@given(documents)
def test_nothing_is_lost_where_no_null_stands(a: Any) -> None:
    assert plain(without_nulls(node(a))) == a
