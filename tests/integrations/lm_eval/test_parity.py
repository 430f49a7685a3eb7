"""The figures of lm-eval's tasks are those of `lm_eval.simple_evaluate` where the answers are the same."""

import math

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

SINGLE = [
    "mini_choice", "mini_binary", "mini_mutual", "mini_inputs", "mini_generate", "mini_overlap", "mini_rolling",
    "mini_last", "mini_own", "mini_class",
]  # fmt: skip


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(float(value), rel=1e-9, abs=1e-9), name
        assert not math.isnan(ours[name])


@pytest.mark.parametrize("shots", [0, 3])
def test_tasks_of_every_kind_have_lm_evals_figures(run, peer, compared, shots):
    record = run(*({"id": name, "lm_eval": name, "num_fewshot": shots, "limit": 17} for name in SINGLE))
    expected = peer(*SINGLE, num_fewshot=shots, limit=17)
    for name in SINGLE:
        same(compared.figures(record, name), compared.theirs(expected["results"][name]))


def test_a_group_has_the_figures_of_its_tasks_and_its_own(run, peer, compared):
    record = run({"id": "g", "lm_eval": "mini_group", "num_fewshot": 2})
    expected = peer("mini_group", num_fewshot=2)
    for name in ("mini_choice", "mini_binary", "mini_mutual"):
        same(compared.figures(record, f"g/{name}"), compared.theirs(expected["results"][name]))
    same(compared.figures(record, "g"), compared.theirs(expected["groups"]["mini_group"]))
    same(
        compared.figures(record, "g/mini_group::mini_inner"),
        compared.theirs(expected["groups"]["mini_group::mini_inner"]),
    )
    assert {entry.id for entry in record.manifest.tasks} == {
        "g", "g/mini_group::mini_inner", "g/mini_choice", "g/mini_binary", "g/mini_mutual",
    }  # fmt: skip


def test_a_tag_is_its_tasks(run, peer, compared):
    record = run({"id": "tagged", "lm_eval": "mini_tag"})
    expected = peer("mini_tag")
    for name in ("mini_choice", "mini_binary"):
        same(compared.figures(record, f"tagged/{name}"), compared.theirs(expected["results"][name]))
    assert "tagged" not in {entry.id for entry in record.manifest.tasks}


@pytest.mark.parametrize("multiturn", [True, False])
@pytest.mark.parametrize("name", ["mini_choice", "mini_inputs"])
def test_chat_templates_and_a_system_instruction_see_the_same_turns(run, peer, compared, name, multiturn):
    record = run(
        {
            "id": "t", "lm_eval": name, "num_fewshot": 2, "apply_chat_template": True,
            "fewshot_as_multiturn": multiturn, "system_instruction": "Be brief.",
        }
    )  # fmt: skip
    expected = peer(
        name,
        num_fewshot=2,
        apply_chat_template=True,
        fewshot_as_multiturn=multiturn,
        system_instruction="Be brief.",
    )
    same(compared.figures(record, "t"), compared.theirs(expected["results"][name]))
    turns = next(iter(record.iter_samples(task="t"))).sample.prompt
    assert turns[0].role == "system"
    assert len(turns) == (6 if multiturn else 2)


@pytest.mark.parametrize("seed", [1234, 7])
def test_examples_are_drawn_by_the_seed_as_lm_eval_draws_them(run, peer, seed):
    record = run({"id": "t", "lm_eval": "mini_generate", "num_fewshot": 4, "seed": seed})
    logged = peer("mini_generate", num_fewshot=4, fewshot_random_seed=seed)["samples"]["mini_generate"]
    theirs = {row["doc_id"]: row for row in logged if row["filter"] == "strict-match"}
    rows = list(record.iter_samples(task="t"))
    assert len(rows) == 3 * len(theirs)
    for row in rows:
        logged_row = theirs[row.sample.fields["doc_id"]]
        for key in ("doc_hash", "prompt_hash", "target_hash"):
            assert row.sample.fields[key] == logged_row[key]
        assert row.sample.prompt == logged_row["arguments"][0][0]
        assert row.response.text in logged_row["resps"][0]
        assert row.sample.fields["doc"] == logged_row["doc"]
        sampling = row.request.sampling
        assert (sampling.max_tokens, sampling.temperature, sampling.stop) == (17, 0.7, ("\n\n", "Q:"))
