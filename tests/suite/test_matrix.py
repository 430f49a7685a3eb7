"""`matrix`: which variants, what they are called, and who else they concern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import Problem
from evalharness.suite.load import LoadedSuite
from evalharness.suite.matrix import expand
from evalharness.suite.node import plain
from evalharness.suite.yamlfile import parse

Load = Callable[..., LoadedSuite]

SUITE = """\
version: 1
name: s
models:
  m: {backend: fake, generate: {temperature: 0.0}}
  other: {backend: fake}
datasets:
  d: {rows: [{q: one, a: x, l: p}, {q: two, a: y, l: n}]}
tasks:
  - {id: t, dataset: d, model: m, prompt: "{{ q }}", reference: "{{ a }}", metrics: [bleu]}
  - {id: u, dataset: d, model: [other, m], prompt: "{{ q }}", choices: [p, n], target: "{{ l }}", metrics: [accuracy]}
  - {id: all, dataset: d, prompt: "{{ q }}"}
gates:
  rules:
    - {metric: t.bleu, at_least: 0}
    - {metric: u.accuracy, at_least: 0, model: m}
matrix:
"""


def names(load_text: Load, matrix: str) -> tuple[list[str], list[str]]:
    suite = load_text(SUITE + matrix).suite
    return list(suite.models), [task.id for task in suite.tasks]


def test_variants_of_a_model_take_its_place_and_its_tasks(load_text: Load) -> None:
    loaded = load_text(SUITE + "  m.generate.temperature: [0.0, 0.7]\n")
    suite = loaded.suite
    assert list(suite.models) == ["m@temperature=0.0", "m@temperature=0.7", "other"]
    assert [m.generate.temperature for m in list(suite.models.values())[:2]] == [0.0, 0.7]  # type: ignore[union-attr]
    tasks: Any = suite.tasks
    assert tasks[0].model == ("m@temperature=0.0", "m@temperature=0.7")
    assert tasks[1].model == ("other", "m@temperature=0.0", "m@temperature=0.7")
    assert tasks[2].model is None
    assert suite.gates is not None
    # A rule that names the model or task covers its variants; `gate.select.covers` reads it so.
    assert suite.gates.rules[1].model == "m"


def test_several_axes_make_the_product_in_order(load_text: Load) -> None:
    models, _ = names(load_text, "  m.generate.temperature: [0, 1]\n  m.generate.top_k: [5, 6]\n")
    assert models[:4] == [f"m@temperature={t},top_k={k}" for t in (0, 1) for k in (5, 6)]


def test_the_shortest_tail_that_tells_axes_apart_names_them(load_text: Load) -> None:
    _, tasks = names(
        load_text, "  t.generate.seed: [1]\n  t.few_shot.seed: [2]\n  t.few_shot.dataset: [d]\n  t.few_shot.n: [1]\n"
    )
    assert tasks[0] == "t@generate.seed=1,few_shot.seed=2,dataset=d,n=1"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("[a, b]", ["a", "b"]),
        ("[{file: base.j2}, 'Say: {{ q }}']", ["base.j2", "#2"]),
        ("['a b', 'a,b', 'é']", ["#1", "#2", "#3"]),
        ("[x, {file: x y.j2}]", ["x", "#2"]),
    ],
)
def test_values_are_shown_or_numbered(values: str, expected: list[str], load_text: Load, tmp_path: Any) -> None:
    for file in ("base.j2", "x y.j2"):
        (tmp_path / file).write_text("{{ q }}")
    _, tasks = names(load_text, f"  t.prompt: {values}\n")
    assert tasks[: len(expected)] == [f"t@prompt={value}" for value in expected]


def test_other_types_of_values(load_text: Load) -> None:
    _, tasks = names(load_text, "  t.chat: [true, false]\n  t.limit: [1]\n  t.metrics: [[bleu], [chrf, bleu]]\n")
    assert tasks[0] == "t@chat=true,limit=1,metrics=#1"
    assert tasks[3] == "t@chat=false,limit=1,metrics=#2"


def test_a_list_item_can_vary(load_text: Load) -> None:
    loaded = load_text(SUITE + "  u.metrics.0: [accuracy, mcc]\n")
    assert [task.metrics for task in loaded.suite.tasks[1:3]] == [("accuracy",), ("mcc",)]


def test_one_variant_may_be_named(load_text: Load) -> None:
    text = (
        SUITE.replace("model: m, prompt", "model: m@temperature=0.7, prompt") + "  m.generate.temperature: [0.0, 0.7]\n"
    )
    assert load_text(text).suite.tasks[0].model == "m@temperature=0.7"


def test_a_name_of_both_needs_the_room(load_text: Load, problems_of: Callable[..., tuple[Problem, ...]]) -> None:
    text = SUITE.replace("other: {", "t: {").replace("[other, m]", "[t, m]")
    assert "both a model and a task" in problems_of(text + "  t.limit: [1, 2]\n")[0].message
    assert [t.id for t in load_text(text + "  tasks.t.limit: [1, 2]\n").suite.tasks][:2] == ["t@limit=1", "t@limit=2"]


def test_a_fault_of_all_variants_is_reported_once(problems_of: Callable[..., tuple[Problem, ...]]) -> None:
    found = problems_of(SUITE.replace("metrics: [bleu]", "metrics: [bleuu]") + "  t.limit: [1, 2, 3]\n")
    assert [(p.path, p.place.line) for p in found] == [("tasks[0].metrics[0]", 9)]


def test_a_fault_after_variants_keeps_the_number_of_its_task(problems_of: Callable[..., tuple[Problem, ...]]) -> None:
    found = problems_of(SUITE.replace("metrics: [accuracy]", "metrics: [acuracy]") + "  t.limit: [1, 2, 3]\n")
    assert [p.path for p in found] == ["tasks[1].metrics[0]"]


def test_variables_reach_the_matrix(load_text: Load) -> None:
    text = (
        SUITE.replace("name: s\n", "name: s\nvars: {temps: [0.1, 0.2]}\n")
        + '  m.generate.temperature: "${vars.temps}"\n'
    )
    assert next(iter(load_text(text).suite.models)) == "m@temperature=0.1"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_the_number_of_variants_is_the_product(sizes: list[int]) -> None:
    keys = ("temperature", "top_p", "seed", "max_tokens")
    matrix = {f"m.generate.{key}": list(range(1, size + 1)) for key, size in zip(keys, sizes, strict=False)}
    document, _ = parse(SUITE + "".join(f"  {key}: {values}\n" for key, values in matrix.items()), shown="f")
    assert document is not None
    root, problems = expand(document)
    product = 1
    for size in sizes:
        product *= size
    assert not problems
    models = plain(root)["models"]
    assert len(models) == product + 1
    assert len({str(model) for model in models.values()}) == product + 1
    assert "matrix" not in plain(root)
