"""The probe's variants, its metrics, and what it says of options that are wrong."""

from __future__ import annotations

import pytest

from evalharness.core.errors import Place, UsageError
from evalharness.core.types import Row
from evalharness.probes import BUILTIN
from evalharness.probes.base import RewritingProbe
from evalharness.probes.robustness import DEFAULT_PERTURBATIONS, Robustness

CLASSIFY = {"classify": "{{ text }}", "target": "{{ label }}", "metrics": ["accuracy"]}
CHOOSE = {
    "prompt": "{{ question }}\nA. {{ options[0] }}\nB. {{ options[1] }}\nC. {{ options[2] }}\nAnswer:",
    "choices": ["A", "B", "C"],
    "target": "{{ answer }}",
}
ROW = Row("r1", {"text": "It isn't a wonderful film.", "label": "negative"}, Place("f"))


def question(answer):
    fields = {"question": "Which?", "options": ["red", "green", "blue"], "answer": answer}
    return Row("q1", fields, Place("f"))


def variants(task, tmp_path, **options):
    return {variant.name: variant for variant in Robustness(**options).variants(task, tmp_path)}


def test_is_a_probe():
    assert BUILTIN["robustness"].endswith(":Robustness")
    assert isinstance(Robustness(), RewritingProbe)


def test_common_perturbations_by_default(tmp_path):
    found = variants(CLASSIFY, tmp_path)
    assert len(found) == len(DEFAULT_PERTURBATIONS)
    new = found["case_upper"].rewrite(ROW, ("text",))
    assert new.fields == {"text": "IT ISN'T A WONDERFUL FILM.", "label": "negative"}
    assert found["numbers"].rewrite(ROW, ("text",)) is None
    assert variants(CLASSIFY, tmp_path, prompts=("Review: {{ text }}",)).keys() == {"prompt_1"}


def test_lists_and_names(tmp_path):
    specs = ("typos", {"typos": {"rate": 0.9, "as": "many_typos"}}, ("typos", {"case": "upper"}))
    assert list(variants(CLASSIFY, tmp_path, perturbations=specs)) == ["typos", "many_typos", "typos+case_upper"]


def test_the_seed_draws(tmp_path):
    row = Row("r", {"text": " ".join(["marvellous entertaining"] * 10)}, Place("f"))
    texts = {
        variants(CLASSIFY, tmp_path, seed=seed, perturbations=("typos",))["typos"]
        .rewrite(row, ("text",))
        .fields["text"]
        for seed in (0, 0, 1)
    }
    assert len(texts) == 2


def test_several_fields(tmp_path):
    row = Row("r", {"a": "wonderful", "b": "wonderful", "n": 3}, Place("f"))
    new = variants(CLASSIFY, tmp_path, perturbations=({"case": "upper"},))["case_upper"].rewrite(row, ("a", "b", "n"))
    assert new.fields == {"a": "WONDERFUL", "b": "WONDERFUL", "n": 3}


# ── prompts and examples ──────────────────────────────────────────────────────────────────────────────────────────


def test_prompts(tmp_path):
    (tmp_path / "terse.j2").write_text("{{ text }}?", encoding="utf-8")
    found = variants(
        CLASSIFY, tmp_path, prompts=("terse.j2", "Review: {{ text }}", {"name": "quoted", "classify": '"{{ text }}"'})
    )
    assert {name: dict(variant.task) for name, variant in found.items()} == {
        "prompt_terse": {"classify": "{{ text }}?"},
        "prompt_2": {"classify": "Review: {{ text }}"},
        "quoted": {"classify": '"{{ text }}"'},
    }
    assert all(variant.rewrite(ROW, ("text",)) == ROW for variant in found.values())


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (("none.j2",), "prompts[0]: the file 'none.j2' cannot be read: No such file"),
        (({"metrics": ["bleu"]},), "prompts[0] replaces metrics; it may have"),
        (({"name": "x"},), "prompts[0] replaces nothing"),
        (({"name": "x", "prompt": "a"}, {"name": "x", "prompt": "b"}), "two prompts are called 'x'"),
    ],
)
def test_prompts_that_are_wrong(prompts, message, tmp_path):
    with pytest.raises(UsageError) as error:
        variants(CLASSIFY, tmp_path, prompts=prompts)
    assert message in str(error.value)


def test_few_shot_orders(tmp_path):
    task = {**CHOOSE, "few_shot": {"dataset": "train", "n": 3, "draw": "once"}}
    found = variants(task, tmp_path, few_shot_orders=2)
    assert [variant.task["few_shot"]["order"] for variant in found.values()] == [1, 2]
    assert all(variant.task["few_shot"]["draw"] == "once" for variant in found.values())
    task["few_shot"]["order"] = 1
    orders = [v.task["few_shot"]["order"] for v in variants(task, tmp_path, few_shot_orders=2).values()]
    assert orders == [0, 2]
    task["few_shot"]["n"] = 2
    with pytest.raises(UsageError, match="2 examples have 1 other order, not 2"):
        variants(task, tmp_path, few_shot_orders=2)
    with pytest.raises(UsageError, match="needs a task with few_shot"):
        variants(CHOOSE, tmp_path, few_shot_orders=1)


# ── multiple choice ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("answer", "moved"), [(0, 1), (2, 0), ("1", "2"), ("A", "B"), ("c", "a"), ("green", "green")])
def test_option_orders(answer, moved, tmp_path):
    found = variants(CHOOSE, tmp_path, option_orders=3, options="options")
    new = found["option_order_1"].rewrite(question(answer), ("question",))
    assert new.fields["options"] == ["blue", "red", "green"]
    assert new.fields["answer"] == moved
    assert new.fields["option_order"] == [2, 0, 1]
    assert found["option_order_2"].rewrite(question(answer), ()).fields["options"] == ["green", "blue", "red"]
    assert found["option_order_3"].rewrite(question(answer), ()) is None, "three places on is where they were"


@pytest.mark.parametrize(
    ("task", "options", "answer", "moved"),
    [
        # The choices are labels, so that "A" is the first option and not the one called A.
        (CHOOSE, ["C", "A", "B"], "A", "B"),
        (CHOOSE, ["2", "0", "1"], "2", "0"),  # no label: to the target an index
        ({**CHOOSE, "target": "{{ 'ABC'[answer] }}"}, [2, 0, 1], 2, 0),  # an index
        ({**CHOOSE, "target": "{{ 'ABC'[answer | int] }}"}, ["2", "0", "1"], "2", "0"),
        ({**CHOOSE, "target": "{{ 'ABC'[options.index(answer)] }}"}, [2, 0, 1], 2, 2),
        ({**CHOOSE, "choices": "{{ options }}", "target": "{{ answer }}"}, ["C", "A", "B"], "A", "A"),
        (CHOOSE, ["red", "green", "blue"], 2.0, 0),
    ],
)
def test_an_answer_that_may_be_read_in_two_ways_means_what_it_meant(task, options, answer, moved, tmp_path):
    row = Row("q", {"question": "?", "options": options, "answer": answer}, Place("f"))
    new = variants(task, tmp_path, option_orders=1, options="options", answer="answer")["option_order_1"]
    assert new.rewrite(row, ()).fields["answer"] == moved


def test_options_in_fields_of_their_own(tmp_path):
    row = Row("q", {"a": "red", "b": "green", "answer": "B"}, Place("f"))
    new = variants(CHOOSE, tmp_path, option_orders=1, options=("a", "b"))["option_order_1"].rewrite(row, ())
    assert new.fields == {"a": "green", "b": "red", "answer": "A", "option_order": [1, 0]}


def test_the_field_of_the_options_is_what_choices_read(tmp_path):
    task = {"prompt": "{{ question }}", "choices": "{{ options }}", "target": "{{ answer }}"}
    new = variants(task, tmp_path, option_orders=1)["option_order_1"].rewrite(question(0), ())
    assert new.fields["answer"] == 1


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (CLASSIFY, {"option_orders": 1}, "needs a task with choices"),
        (CHOOSE, {"option_orders": 1}, "cannot tell which field holds the options"),
        ({**CHOOSE, "target": "{{ a }}{{ b }}"}, {"option_orders": 1, "options": "options"}, "the gold answer"),
        (CLASSIFY, {"option_labels": ("numbers",)}, "needs choices that are labels"),
        ({**CHOOSE, "prompt": "{{ question }}"}, {"option_labels": ("numbers",)}, "finds no A, B, C"),
        ({**CHOOSE, "few_shot": {}}, {"option_labels": ("numbers",)}, "does not go with few_shot"),
    ],
)
def test_multiple_choice_that_does_not_fit(task, options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        variants(task, tmp_path, **options)


@pytest.mark.parametrize("answer", [5, "F", "purple", True, None])
def test_an_answer_that_is_no_option(answer, tmp_path):
    found = variants(CHOOSE, tmp_path, option_orders=1, options="options")
    with pytest.raises(
        UsageError, match="is no option of the row: it must be an index from 0 to 2, a letter from A to C"
    ):
        found["option_order_1"].rewrite(question(answer), ())


def test_option_labels(tmp_path):
    found = variants(CHOOSE, tmp_path, option_labels=("letters", "numbers", "roman"))
    assert list(found) == ["option_labels_numbers", "option_labels_roman"], "the letters are there already"
    numbers = found["option_labels_numbers"]
    assert numbers.task["choices"] == ["1", "2", "3"]
    assert numbers.task["prompt"].splitlines()[1:4] == [
        "1. {{ options[0] }}",
        "2. {{ options[1] }}",
        "3. {{ options[2] }}",
    ]
    assert numbers.rewrite(question("B"), ()).fields["answer"] == "2"
    assert numbers.rewrite(question(1), ()).fields["answer"] == 1


# ── metrics ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_metrics(tmp_path):
    probe = Robustness(perturbations=("typos", {"case": "upper"}), margin=0.02)
    made = probe.metrics(["accuracy", {"choice_accuracy": {"as": "acc"}}], ["original", "typos", "case_upper"])
    assert made[:2] == ["accuracy", {"choice_accuracy": {"as": "acc"}}]
    losses = [spec["by_group"] for spec in made if "by_group" in spec]
    assert [spec["as"] for spec in losses] == [
        "accuracy_drop", "accuracy_drop_typos", "accuracy_drop_case_upper",
        "acc_drop", "acc_drop_typos", "acc_drop_case_upper",
    ]  # fmt: skip
    assert losses[0] == {
        "metric": "accuracy", "column": "perturbation", "what": "drop", "reference": "original", "margin": 0.02,
        "levels": ["original", "typos", "case_upper"], "as": "accuracy_drop",
    }  # fmt: skip
    assert made[-1] == {"flip_rate": {"column": "perturbation"}}


def test_figures_with_names_of_their_own_have_losses():
    probe = Robustness(perturbations=("typos",))
    (loss,) = (
        spec["by_group"]
        for spec in probe.metrics([{"pii": {"types": ["phone"], "as": "phones"}}], ["original", "typos"])
        if "by_group" in spec
    )
    assert (loss["metric"], loss["as"]) == ({"pii": {"types": ["phone"]}}, "phones_drop")


def test_figures_that_no_totals_give_have_no_losses():
    made = Robustness(perturbations=("typos",)).metrics(["auroc", {"llm_judge": {}}, "no_such"], ["original", "typos"])
    assert made == ["auroc", {"llm_judge": {}}, "no_such", {"flip_rate": {"column": "perturbation"}}]


def test_negation_is_expected_to_change_the_answer():
    probe = Robustness(perturbations=("typos", "negation"), expect="change")
    made = probe.metrics(["accuracy"], ["original", "typos", "negation"])
    assert made[-1]["flip_rate"] == {
        "column": "perturbation", "levels": ["negation"], "expect": "change", "as": "changed_as_expected",
    }  # fmt: skip
    assert made[-2]["flip_rate"] == {"column": "perturbation", "levels": ["typos"]}
    assert all("negation" not in spec["by_group"]["levels"] for spec in made if "by_group" in spec)
    topic = Robustness(perturbations=("typos", "negation")).metrics(["accuracy"], ["original", "typos", "negation"])
    assert topic[-1] == {"flip_rate": {"column": "perturbation"}}
    alone = Robustness(perturbations=("negation",), expect="change").metrics(["accuracy"], ["original", "negation"])
    assert [next(iter(spec)) if isinstance(spec, dict) else spec for spec in alone] == ["accuracy", "flip_rate"]


# ── options ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturbations": ("typo",)}, "did you mean 'typos'"),
        ({"perturbations": ("typos", {"typos": 0.5})}, "two perturbations are called typos"),
        ({"perturbations": ()}, "perturbations is empty"),
        ({"few_shot_orders": -1}, "few_shot_orders must be from 0 to 9"),
        ({"option_orders": 10}, "option_orders must be from 0 to 9"),
        ({"margin": -0.1}, "margin must not be negative"),
    ],
)
def test_options_that_are_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        Robustness(**options)
