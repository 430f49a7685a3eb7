"""From rows to samples and requests: what is rendered, what is keyed, and what two runs must agree on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import DataError, Place, SuiteError
from evalharness.core.types import Message, Row, Sampling
from evalharness.suite.plan import Plan, PlannedTask, make_plan, sampling_json
from evalharness.suite.schema import Suite

HERE = Path(__file__).parent


def rows(*fields: Mapping[str, Any]) -> list[Row]:
    return [
        Row(str(f.get("id", i)), f, Place("d.jsonl", i + 1), groups={"g": "x"}, cluster="c")
        for i, f in enumerate(fields)
    ]


QA = rows(*({"q": f"question {i}", "a": f"answer {i}", "l": i % 2} for i in range(8)))


def suite(*tasks: Mapping[str, Any], models: Mapping[str, Any] | None = None, **more: Any) -> Suite:
    return Suite.model_validate(
        {
            "version": 1,
            "name": "s",
            "models": models or {"m": {"backend": "fake"}},
            "datasets": {"d": {"path": "d.jsonl"}, "e": {"path": "e.jsonl"}},
            "tasks": [{"id": f"t{i}", "dataset": "d", **task} for i, task in enumerate(tasks)],
            **more,
        }
    )


def plan(
    task: Mapping[str, Any],
    data: Sequence[Row] = QA,
    *,
    base: Path = HERE,
    identity: Mapping[str, Any] | None = None,
    limit: int | None = None,
    examples: Sequence[Row] = QA,
    **more: Any,
) -> PlannedTask:
    made = suite(task, **more)
    identities = dict.fromkeys(made.models, identity or {"weights": "abc"})
    return make_plan(made, {"d": data, "e": examples}, identities, base=base, limit=limit).tasks[0]


ASK = {"prompt": "Q: {{ q }}\nA:", "reference": "{{ a }}"}


# ── rendering ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_prompt_and_its_reference() -> None:
    planned = plan(ASK)
    assert planned.kind == "generate"
    assert planned.samples[3].prompt == "Q: question 3\nA:"
    assert planned.samples[3].references == ("answer 3",)
    assert planned.samples[3].groups == {"g": "x"}
    assert planned.samples[3].cluster == "c"
    assert (
        [r.sample_id for r in planned.requests] == [s.id for s in planned.request_samples] == [str(i) for i in range(8)]
    )
    assert planned.requests[0].sampling.max_tokens == 256
    assert planned.requests[0].sampling.temperature == 0


def test_a_prompt_file_beside_the_suite(tmp_path: Path) -> None:
    (tmp_path / "p.j2").write_text("Übersetze: {{ q }}\n", "utf-8")
    assert plan({"prompt": {"file": "p.j2"}}, base=tmp_path).samples[0].prompt == "Übersetze: question 0"


def test_chat_wraps_the_prompt_in_one_turn() -> None:
    assert plan({**ASK, "chat": True}).samples[0].prompt == (Message("user", "Q: question 0\nA:"),)


def test_messages_and_a_history_from_the_data() -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello", "name": "ignored"}]
    task = {
        "messages": [
            {"role": "system", "content": "Be {{ mood }}."},
            {"history": "turns"},
            {"role": "user", "content": "{{ q }}"},
        ]
    }
    planned = plan(task, rows({"q": "bye", "turns": turns, "mood": "brief"}))
    assert planned.samples[0].prompt == (
        Message("system", "Be brief."),
        Message("user", "hi"),
        Message("assistant", "hello"),
        Message("user", "bye"),
    )
    braces = {"messages": [{"history": "{{ turns[:1] }}"}]}
    assert plan(braces, rows({"turns": turns})).samples[0].prompt == (Message("user", "hi"),)


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ("text", "must be a list"),
        ([{"role": "user"}], "turn 0 of the history must have role and content"),
        ([{"role": "usr", "content": "x"}], "the role 'usr'"),
        ([{"role": "user", "content": 5}], "content must be text"),
        (["hi"], "turn 0 of the history must have"),
        ([], "there is no turn"),
    ],
)
def test_a_history_that_is_none(turns: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        plan({"messages": [{"history": "turns"}]}, rows({"turns": turns}))


@pytest.mark.parametrize(
    ("choices", "target", "fields", "expected", "right"),
    [
        (["{{ a }}", "{{ b }}"], "{{ gold }}", {"a": "x", "b": "y", "gold": 1}, ("x", "y"), "y"),
        ("{{ options }}", "{{ gold }}", {"options": ["x", "y", "z"], "gold": "z"}, ("x", "y", "z"), "z"),
        ("{{ options }}", "{{ gold }}", {"options": ["x", "y"], "gold": "1"}, ("x", "y"), "y"),
        ("{{ options.text }}", "{{ 'ABC'.index(k) }}", {"options": {"text": ["x", "y"]}, "k": "B"}, ("x", "y"), "y"),
        (["no", "yes"], "{{ gold }}", {"gold": True}, ("no", "yes"), "yes"),
        (["no", "yes"], "{{ gold }}", {"gold": False}, ("no", "yes"), "no"),
        (["true", "false"], "{{ gold }}", {"gold": True}, ("true", "false"), "true"),
        (["False", "True"], "{{ gold }}", {"gold": True}, ("False", "True"), "True"),
        (["0", "1"], "{{ gold }}", {"gold": 1}, ("0", "1"), "1"),
        ("{{ options }}", "{{ gold }}", {"options": [10, 20], "gold": 20}, ("10", "20"), "20"),
        ("{{ options }}", "{{ gold }}", {"options": [10, 20], "gold": 1.0}, ("10", "20"), "20"),
        (["1", "2", "3"], "{{ gold | string }}", {"gold": 2}, ("1", "2", "3"), "2"),
        (["1", "2", "3"], "{{ gold }}", {"gold": "2"}, ("1", "2", "3"), "2"),
    ],
)
def test_choices_and_the_right_one(
    choices: Any, target: str, fields: dict[str, Any], expected: tuple[str, ...], right: str
) -> None:
    planned = plan({"prompt": "p", "choices": choices, "target": target}, rows(fields))
    assert planned.kind == "loglikelihood"
    assert planned.samples[0].choices == expected
    assert planned.samples[0].target == right
    assert planned.requests[0].continuations == tuple(f" {choice}" for choice in expected)


def test_the_delimiter_is_part_of_what_is_scored() -> None:
    task = {"prompt": "p", "choices": ["a", "b"], "delimiter": "\n", "target": "a"}
    assert plan(task).requests[0].continuations == ("\na", "\nb")


@pytest.mark.parametrize(
    ("task", "fields", "says"),
    [
        ({"choices": "{{ o }}"}, {"o": "text"}, "must give a list"),
        ({"choices": "{{ o }} x"}, {"o": [1]}, "must give a list"),
        ({"choices": "{{ o }}"}, {"o": ["one"]}, "two or more"),
        ({"choices": "{{ o }}"}, {"o": ["one", None]}, "is null"),
        ({"choices": "{{ o }}"}, {"o": ["one", ["two"]]}, "must be a text"),
        (
            {"choices": ["a", "b"], "target": "{{ o }}"},
            {"o": "c"},
            "'c' is none of the choices 'a', 'b', nor an index from 0 to 1",
        ),
        ({"choices": ["a", "b"], "target": "{{ o }}"}, {"o": 2}, "2 is none of"),
        ({"choices": ["a", "b"], "target": "{{ o }}"}, {"o": -1}, "-1 is none of"),
        ({"choices": ["1", "2", "3"], "target": "{{ o }}"}, {"o": 2}, "both a choice and the index of '3'"),
        ({"choices": ["a", "b"], "target": "{{ o }}"}, {"o": None}, "is null"),
        ({"reference": "{{ o }}"}, {"o": None}, "is null"),
        ({"reference": "{{ o }}"}, {"o": []}, "the list is empty"),
        ({"reference": "{{ o }}"}, {"o": {"a": 1}}, "must be a text"),
        ({"reference": "{{ p }}"}, {"o": 1}, "there is no field 'p'"),
        ({"target": "{{ o.x }}"}, {"o": {"y": 1}}, "no attribute 'x'"),
        ({"prompt": "{{ o }}!"}, {"o": None}, "would write a null"),
        ({"prompt": "{{ o.items }}!"}, {"o": {}}, "would write the method 'items'"),
        ({"target": "{{ o }}", "labels": ["pos", "neg"]}, {"o": "neutral"}, "'neutral' is none of"),
        ({"groups": ["lang"]}, {"o": 1}, "no column 'lang'"),
    ],
)
def test_rows_that_do_not_fit_say_why(task: dict[str, Any], fields: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        plan({"prompt": "p", **task}, rows(fields))
    (problem,) = caught.value.problems
    assert says in problem.message
    assert str(problem).startswith("d.jsonl:1 tasks.t0.")


def test_all_rows_that_do_not_fit_are_reported_at_once() -> None:
    data = rows(*({"q": "x"} if i % 3 else {"z": 1} for i in range(30)))
    with pytest.raises(DataError) as caught:
        plan({"prompt": "{{ q }}"}, data)
    assert [p.place.line for p in caught.value.problems] == [i + 1 for i in range(0, 30, 3)]


def test_no_more_than_twenty_are_shown() -> None:
    with pytest.raises(DataError) as caught:
        plan({"prompt": "{{ q }}"}, rows(*({"z": i} for i in range(500))))
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1].message == "and 480 more rows do not fit"


@pytest.mark.parametrize(
    ("reference", "fields", "expected"),
    [
        ("{{ a }}", {"a": ["x", "y"]}, ("x", "y")),
        (["{{ a }}", "{{ b }}"], {"a": "x", "b": "y"}, ("x", "y")),
        (["{{ a }}", "{{ b }}"], {"a": ["x", "z"], "b": "y"}, ("x", "z", "y")),
        ("{{ a.text }}", {"a": {"text": ["x"], "start": [3]}}, ("x",)),
        ("{{ a }}", {"a": 3}, ("3",)),
        ("{{ a }}", {"a": 3.0}, ("3",)),
        ("{{ a }}", {"a": 3.25}, ("3.25",)),
        ("{{ a }}", {"a": False}, ("false",)),
        ("the {{ a }}", {"a": False}, ("the False",)),
        ("{{ a.items }}", {"a": {"items": "x"}}, ("x",)),
        ("{{ a or [''] }}", {"a": []}, ("",)),
    ],
)
def test_references(reference: Any, fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert plan({"prompt": "p", "reference": reference}, rows(fields)).samples[0].references == expected


def test_an_index_into_the_labels_of_a_classifier() -> None:
    task = {"classify": "{{ q }}", "target": "{{ l }}", "labels": ["neg", "pos"]}
    planned = plan(task)
    assert planned.kind == "classify"
    assert [s.target for s in planned.samples[:2]] == ["neg", "pos"]
    assert planned.labels == ("neg", "pos")


def test_labels_are_the_choices_or_all_targets() -> None:
    assert plan({"classify": "{{ q }}", "target": "{{ l }}"}).labels == ("0", "1")
    assert plan({"prompt": "p", "choices": ["b", "a"], "target": "{{ l }}"}).labels == ("b", "a")
    varied = {"prompt": "p", "choices": ["{{ a }}", "other"], "target": "other"}
    assert plan(varied).labels == ()
    assert plan(ASK).labels == ()


def test_several_gold_labels_are_joined_in_order() -> None:
    planned = plan({"classify": "x", "target": "{{ l }}"}, rows({"l": ["b", "a"]}))
    assert planned.samples[0].target == '["a","b"]'


def test_the_tasks_own_groups_win() -> None:
    assert plan({**ASK, "groups": ["l"]}).samples[1].groups == {"l": "1"}
    assert plan({**ASK, "groups": []}).samples[1].groups == {}


def test_perplexity_scores_the_text_as_it_stands() -> None:
    planned = plan({"perplexity": "{{ q }}"})
    assert planned.kind == "loglikelihood_rolling"
    assert planned.requests[0].prompt == "question 0"


def test_limits() -> None:
    assert len(plan({**ASK, "limit": 3}).samples) == 3
    assert len(plan({**ASK, "limit": 3}, limit=2).samples) == 2
    assert len(plan(ASK, limit=5).samples) == 5
    assert len(plan(ASK, limit=500).samples) == 8


def test_no_rows_make_no_requests() -> None:
    planned = plan(ASK, [])
    assert planned.samples == planned.requests == ()


def test_a_template_that_does_not_compile_is_a_fault_of_the_suite() -> None:
    with pytest.raises(SuiteError, match=r"tasks\[0\]: not a template"):
        plan({"prompt": "{{ q"})


# ── few-shot ──────────────────────────────────────────────────────────────────────────────────────────────────────


def shots(planned: PlannedTask, index: int) -> list[str]:
    text = planned.samples[index].prompt
    assert isinstance(text, str)
    return [part.split("\n")[0].removeprefix("Q: ") for part in text.split("\n\n")]


def test_the_first_examples_with_their_answers() -> None:
    prompt = plan({**ASK, "few_shot": {"dataset": "e", "n": 2}}).samples[5].prompt
    assert prompt == "Q: question 0\nA: answer 0\n\nQ: question 1\nA: answer 1\n\nQ: question 5\nA:"


@pytest.mark.parametrize("draw", ["first", "once", "per_sample"])
def test_a_question_is_never_its_own_example(draw: str) -> None:
    planned = plan({**ASK, "few_shot": {"dataset": "d", "n": 3, "draw": draw}})
    for index in range(8):
        *examples, question = shots(planned, index)
        assert question == f"question {index}"
        assert len(set(examples)) == 3
        assert question not in examples


def test_another_dataset_may_hold_a_row_of_the_same_id() -> None:
    assert shots(plan({**ASK, "few_shot": {"dataset": "e", "n": 1}}), 0) == ["question 0", "question 0"]


def test_once_draws_the_same_for_all_and_per_sample_draws_anew() -> None:
    once = plan({**ASK, "few_shot": {"dataset": "e", "n": 3, "draw": "once"}})
    assert len({tuple(shots(once, i)[:-1]) for i in range(8)}) == 1
    anew = plan({**ASK, "few_shot": {"dataset": "e", "n": 3, "draw": "per_sample"}})
    assert len({tuple(shots(anew, i)[:-1]) for i in range(8)}) > 3


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_draw_depends_on_the_seed_and_the_row_alone(seed: int) -> None:
    task = {**ASK, "few_shot": {"dataset": "e", "n": 3, "draw": "per_sample", "seed": seed}}
    whole = {s.id: s.prompt for s in plan(task).samples}
    turned = plan(task, QA[::-1][:5])
    assert all(whole[s.id] == s.prompt for s in turned.samples)


def test_different_seeds_draw_differently() -> None:
    prompts = {
        plan({**ASK, "few_shot": {"dataset": "e", "n": 3, "draw": "once", "seed": s}}).samples[0].prompt
        for s in range(9)
    }
    assert len(prompts) > 5


@pytest.mark.parametrize("draw", ["first", "once", "per_sample"])
def test_the_same_examples_in_another_order(draw: str) -> None:
    def asked(order: int) -> PlannedTask:
        return plan({**ASK, "few_shot": {"dataset": "d", "n": 4, "draw": draw, "order": order}})

    orders = [asked(order) for order in range(4)]
    for index in range(8):
        *drawn, question = shots(orders[0], index)
        found = [shots(planned, index) for planned in orders]
        assert found[1] == [*drawn[::-1], question]
        assert all(sorted(shown[:-1]) == sorted(drawn) and shown[-1] == question for shown in found)
        assert len({tuple(shown) for shown in found}) == 4
    assert len({planned.identity["prompt"] for planned in orders}) == 4
    plain = plan({**ASK, "few_shot": {"dataset": "d", "n": 4, "draw": draw}})
    assert plain.identity == orders[0].identity


@pytest.mark.parametrize(("n", "n_orders"), [(2, 2), (3, 6), (4, 10)])
def test_no_two_orders_of_the_examples_are_the_same(n, n_orders):
    from evalharness.suite.fewshot import _order

    assert len({_order(n, order) for order in range(n_orders)}) == n_orders
    assert sorted(_order(n, 7)) == list(range(n)), "and where there are no more, one of them again"


def test_examples_of_a_choice_task_show_the_right_choice() -> None:
    task = {"prompt": "{{ q }}", "choices": ["no", "yes"], "target": "{{ l }}", "few_shot": {"dataset": "e", "n": 2}}
    assert plan(task).samples[7].prompt == "question 0 no\n\nquestion 1 yes\n\nquestion 7"


def test_examples_of_a_chat_are_turns_after_the_system_turn() -> None:
    task = {
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "{{ q }}"}],
        "reference": "{{ a }}",
        "few_shot": {"dataset": "e", "n": 1},
    }
    assert plan(task).samples[2].prompt == (
        Message("system", "S"),
        Message("user", "question 0"),
        Message("assistant", "answer 0"),
        Message("user", "question 2"),
    )


def test_an_answer_of_its_own_and_another_separator() -> None:
    few_shot = {"dataset": "e", "n": 1, "answer": "<{{ a }}>", "separator": " | "}
    task = {"prompt": "{{ q }}", "delimiter": "=", "few_shot": few_shot}
    assert plan(task).samples[1].prompt == "question 0=<answer 0> | question 1"


@pytest.mark.parametrize(("dataset", "n", "says"), [("d", 8, "besides the question itself"), ("e", 9, "has 8 rows")])
def test_too_few_examples(dataset: str, n: int, says: str) -> None:
    with pytest.raises(SuiteError, match=says):
        plan({**ASK, "few_shot": {"dataset": dataset, "n": n}})


def test_an_example_that_does_not_fit_is_named() -> None:
    with pytest.raises(DataError, match=r"the example '0' at d\.jsonl:1: there is no field 'q'"):
        plan({**ASK, "few_shot": {"dataset": "e", "n": 1}}, QA[:1], examples=rows({"z": 1}))


# ── generation settings ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_models_settings_win_over_the_tasks() -> None:
    models = {"m": {"backend": "fake", "generate": {"temperature": 0.7, "seed": 5}}}
    planned = plan({**ASK, "generate": {"temperature": 0.1, "max_tokens": 9, "stop": ["x"]}}, models=models)
    sampling = planned.requests[0].sampling
    assert (sampling.temperature, sampling.max_tokens, sampling.stop, sampling.seed) == (0.7, 9, ("x",), 5)


def test_the_seed_is_the_suites_unless_said_otherwise() -> None:
    assert plan(ASK, seed=11).requests[0].sampling.seed == 11
    assert plan({**ASK, "generate": {"seed": 3}}, seed=11).requests[0].sampling.seed == 3


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_repeats_are_asked_apart(temperature: float) -> None:
    planned = plan({**ASK, "generate": {"repeats": 3, "temperature": temperature}})
    assert len(planned.requests) == 24
    assert len({r.key for r in planned.requests}) == 24
    assert [r.repeat for r in planned.requests[:3]] == [0, 1, 2]
    assert len({r.sampling.seed for r in planned.requests[:3]}) == 3
    assert [s.id for s in planned.request_samples[:4]] == ["0", "0", "0", "1"]


def test_likelihoods_are_asked_once_and_without_sampling() -> None:
    models = {"m": {"backend": "fake", "generate": {"repeats": 3, "temperature": 0.7}}}
    planned = plan({"prompt": "p", "choices": ["a", "b"], "target": "a"}, models=models)
    assert len(planned.requests) == 8
    assert planned.requests[0].sampling.temperature == 0


def test_every_model_is_asked_where_none_is_named() -> None:
    models = {"m": {"backend": "fake"}, "n": {"backend": "fake"}}
    made = suite(ASK, {**ASK, "model": "n"}, {**ASK, "model": ["n", "m"]}, models=models)
    found = make_plan(made, {"d": QA}, {"m": {"x": 1}, "n": {"x": 2}}, base=HERE)
    assert [(t.task.id, t.model) for t in found.tasks] == [
        ("t0", "m"),
        ("t0", "n"),
        ("t1", "n"),
        ("t2", "n"),
        ("t2", "m"),
    ]
    assert len(found.requests) == 40


# ── keys and identities ───────────────────────────────────────────────────────────────────────────────────────────


def keys(planned: PlannedTask) -> list[str]:
    return [request.key for request in planned.requests]


GENERATED = {**ASK, "generate": {"temperature": 0.5}}


def test_the_same_plan_has_the_same_keys() -> None:
    assert keys(plan(GENERATED)) == keys(plan(GENERATED))
    # Made with this code at version 0.1.0; a change of it makes every stored response useless.
    assert plan(GENERATED).requests[0].key == "8d21314562cdd2279c28c9f794784a323857d5fab8a4a3312dd5b37d86436eb8"


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ({**GENERATED, "prompt": "Q: {{ q }} \nA:"}, {}),
        ({**GENERATED, "chat": True}, {}),
        ({**ASK, "generate": {"temperature": 0.6}}, {}),
        ({**ASK, "generate": {"temperature": 0.5, "max_tokens": 255}}, {}),
        ({**ASK, "generate": {"temperature": 0.5, "top_p": 0.9}}, {}),
        ({**ASK, "generate": {"temperature": 0.5, "top_k": 5}}, {}),
        ({**ASK, "generate": {"temperature": 0.5, "stop": ["\n"]}}, {}),
        ({**ASK, "generate": {"temperature": 0.5, "seed": 1}}, {}),
        (GENERATED, {"seed": 1}),
        (GENERATED, {"identity": {"weights": "abd"}}),
        (GENERATED, {"identity": {"weights": "abc", "dtype": "bfloat16"}}),
        ({"classify": "Q: {{ q }}\nA:"}, {}),
        ({"perplexity": "Q: {{ q }}\nA:"}, {}),
        ({"prompt": "Q: {{ q }}\nA:", "choices": ["a", "b"]}, {}),
        ({**GENERATED, "few_shot": {"dataset": "e", "n": 1}}, {}),
    ],
)
def test_all_that_can_change_a_response_changes_its_key(task: dict[str, Any], more: dict[str, Any]) -> None:
    assert not set(keys(plan(task, **more))) & set(keys(plan(GENERATED)))


@pytest.mark.parametrize(
    "task",
    [
        {**GENERATED, "reference": "other"},
        {**GENERATED, "metrics": ["bleu"]},
        {**GENERATED, "extract": "x"},
        {**GENERATED, "groups": []},
        {**GENERATED, "target": "{{ l }}"},
        {**GENERATED, "chat": False},
    ],
)
def test_what_cannot_change_a_response_leaves_its_key(task: dict[str, Any]) -> None:
    assert keys(plan(task)) == keys(plan(GENERATED))


def test_choices_are_part_of_the_key() -> None:
    base = {"prompt": "p", "target": "a"}
    found = [
        keys(plan({**base, **c}))[0]
        for c in ({"choices": ["a", "b"]}, {"choices": ["b", "a"]}, {"choices": ["a", "b"], "delimiter": ""})
    ]
    assert len(set(found)) == 3


def test_equal_prompts_share_a_key_unless_the_model_looks_at_the_sample() -> None:
    data = rows({"q": "same"}, {"q": "same"})
    assert len(set(keys(plan({"prompt": "{{ q }}"}, data)))) == 1
    assert len(set(keys(plan({"prompt": "{{ q }}"}, data, identity={"by_sample_id": True})))) == 2


def test_keys_do_not_depend_on_order_or_limit() -> None:
    whole = {r.sample_id: r.key for r in plan(GENERATED).requests}
    assert {r.sample_id: r.key for r in plan(GENERATED, QA[::-1], limit=3).requests}.items() <= whole.items()


def differ(task: Mapping[str, Any], other: Mapping[str, Any], **more: Any) -> set[str]:
    one, two = plan(task).identity, plan(other, **more).identity
    assert set(one) == set(two) == {"data", "prompt", "generation", "kind"}
    return {name for name in one if one[name] != two[name]}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (GENERATED, set()),
        ({**GENERATED, "metrics": ["bleu"]}, set()),
        ({**ASK, "generate": {"temperature": 0.5, "seed": 9, "repeats": 3}}, set()),
        ({**GENERATED, "prompt": "Q:  {{ q }}\nA:"}, {"prompt"}),
        ({**GENERATED, "chat": True}, {"prompt"}),
        ({**GENERATED, "reference": "a {{ a }}"}, {"prompt"}),
        ({**GENERATED, "few_shot": {"dataset": "e", "n": 1}}, {"prompt", "data"}),
        ({**ASK, "generate": {"temperature": 0.6}}, {"generation"}),
        ({**ASK, "generate": {"temperature": 0.5, "max_tokens": 5}}, {"generation"}),
        ({**GENERATED, "extract": "x"}, {"kind"}),
        ({**GENERATED, "limit": 3}, {"data"}),
    ],
)
def test_what_two_runs_must_agree_on_is_named(other: dict[str, Any], expected: set[str]) -> None:
    assert differ(GENERATED, other) == expected


def test_the_model_is_no_part_of_the_identity() -> None:
    models = {"m": {"backend": "fake", "generate": {"temperature": 0.9}}}
    assert differ(GENERATED, GENERATED, models=models, identity={"weights": "other"}) == set()


def test_only_the_fields_that_are_read_count_as_data() -> None:
    unread = rows(*({**row.fields, "note": "n"} for row in QA))
    read = rows(*({**row.fields, "a": "changed"} for row in QA))
    assert differ(GENERATED, GENERATED, data=unread) == set()
    assert differ(GENERATED, GENERATED, data=read) == {"data"}


def test_default_settings_said_aloud_are_the_same() -> None:
    assert differ(ASK, {**ASK, "generate": {"max_tokens": 256, "temperature": 0.0}}) == set()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x, max_size=3), max_leaves=5
)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
@settings(deadline=None)
def test_any_data_is_planned_the_same_twice_or_refused_with_its_line(items: list[tuple[Any, Any]]) -> None:
    data = rows(*({"q": q, "a": a} for q, a in items))

    def attempt() -> Plan | tuple[Any, ...]:
        try:
            return make_plan(suite({**ASK, "target": "{{ a }}"}), {"d": data}, {"m": {}}, base=HERE)
        except DataError as error:
            return error.problems

    first, second = attempt(), attempt()
    if isinstance(first, Plan):
        assert isinstance(second, Plan)
        assert [r.key for r in first.requests] == [r.key for r in second.requests]
    else:
        assert first == second
        assert all(problem.place.line for problem in first)


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds() -> None:
    import time

    data = rows(*({"q": f"question {i}", "a": f"answer {i}"} for i in range(100_000)))
    began = time.process_time()
    assert len(plan(ASK, data).requests) == 100_000
    assert time.process_time() - began < 30


# ── choices by generation, structured output ──────────────────────────────────────────────────────────────────────


PICK = {"prompt": "{{ q }}", "choices": ["no", "yes"], "target": "{{ l }}"}


def test_choices_by_generation_ask_for_text_and_are_another_kind_of_figure() -> None:
    by_likelihood = plan(PICK)
    by_generation = plan({**PICK, "choice_by": "generation", "generate": {"max_tokens": 8}, "extract": r"\w+"})
    assert (by_likelihood.kind, by_generation.kind) == ("loglikelihood", "generate")
    request, sample = by_generation.requests[0], by_generation.samples[0]
    assert (request.continuations, request.sampling.max_tokens) == ((), 8)
    assert (sample.choices, sample.target) == (("no", "yes"), "no")
    assert by_generation.labels == ("no", "yes")
    # The samples are the same, so that they could be paired: the kind of the figures keeps them apart.
    assert [s.digest for s in by_likelihood.samples] == [s.digest for s in by_generation.samples]
    assert by_likelihood.identity["kind"] != by_generation.identity["kind"]
    plain = {**PICK, "choice_by": "generation"}
    assert plan(plain).identity["kind"] != plan({k: v for k, v in plain.items() if "choice" not in k}).identity["kind"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({**ASK, "choice_by": "generation"}, "choice_by has no effect without choices"),
        ({**PICK, "choice_by": "generation", "normalize": "bytes"}, "has no effect without likelihoods"),
        ({**PICK, "extract": "x"}, "or set `choice_by: generation`"),
    ],
)
def test_what_does_not_go_with_a_way_of_choosing(task: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="Value error") as caught:
        suite(task)
    assert said in str(caught.value)


SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}, "a": {"enum": ["x", None], "default": None}}}


def test_a_schema_is_part_of_what_is_asked_in_the_order_that_it_is_written(tmp_path: Path) -> None:
    plain, held = plan(ASK), plan({**ASK, "generate": {"json_schema": SCHEMA}})
    text = held.requests[0].sampling.json_schema
    assert text is not None
    assert json.loads(text) == SCHEMA
    assert text.index("why") < text.index('"a"')
    assert plain.requests[0].sampling.json_schema is None
    assert plain.requests[0].key != held.requests[0].key
    assert plain.identity["generation"] != held.identity["generation"]
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA), "utf-8")
    filed = plan({**ASK, "generate": {"json_schema": "s.json"}}, base=tmp_path)
    assert (filed.requests[0].key, filed.identity) == (held.requests[0].key, held.identity)
    models = {"m": {"backend": "fake", "generate": {"json_schema": {"type": "string"}}}}
    of_model = plan({**ASK, "generate": {"json_schema": SCHEMA}}, models=models)
    assert of_model.requests[0].sampling.json_schema == '{"type": "string"}'


def test_the_keys_of_requests_without_a_schema_are_those_of_stores_that_exist() -> None:
    # Asked anew, a suite that has run would pay for all its answers once more.
    assert sampling_json(Sampling()) == {
        "max_tokens": 256,
        "temperature": 0.0,
        "top_p": None,
        "top_k": None,
        "stop": (),
        "seed": None,
    }
