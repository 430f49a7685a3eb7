"""Our model as lm-eval sees it: registered, asked once, in order, with its errors."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest

from evalharness.core.errors import RunError, UsageError

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_lm_eval_finds_the_model_by_name(checkpoint: Any, write_tasks: Any, evaluate: Any, tmp_path: Any) -> None:
    import lm_eval.models
    from lm_eval.api.registry import get_model

    import evalharness.integrations.lm_eval
    from evalharness.integrations.lm_eval.model import EvalHarnessLM

    assert evalharness.integrations.lm_eval.__doc__
    assert get_model("evalharness") is EvalHarnessLM
    assert set(lm_eval.models.MODEL_MAPPING) >= {"hf", "vllm"}, "and its own are there"
    found = evaluate(
        "evalharness",
        write_tasks(tmp_path / "tasks"),
        ["choice"],
        model_args=f"pretrained={checkpoint('llama')},dtype=float32",
        device="cpu",
        limit=3,
    )
    assert found["n-samples"]["choice"]["effective"] == 3
    config = found["config"]
    assert (config["model"], config["model_revision"], config["model_sha"]) == ("evalharness", "main", "")
    assert config["model_num_parameters"] > 1000
    assert str(config["model_dtype"]) == "torch.float32"
    assert found["max_length"] == 160
    assert found["tokenizer_eos_token"] == ["</s>", "0"]


def test_lm_eval_finds_its_own_models_after_ours() -> None:
    """Its registry is filled with its own only while it is empty."""
    import subprocess
    import sys

    code = (
        "import evalharness.integrations.lm_eval, sys\n"
        "from lm_eval.api.registry import model_registry\n"
        "assert 'hf' in model_registry and 'evalharness' in model_registry\n"
        "assert not {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.fixture
def counted(checkpoint: Any, ours: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Our model, and the requests that each call of a verb of the engine was given."""
    lm = ours(checkpoint("gpt2"))
    calls: list[Any] = []
    for verb in ("loglikelihood", "loglikelihood_rolling", "generate"):
        asked = getattr(lm._engine.model, verb)

        def spy(requests: Any, asked: Any = asked) -> Any:
            calls.append(list(requests))
            return asked(requests)

        monkeypatch.setattr(lm._engine.model, verb, spy)
    return lm, calls


def test_all_requests_of_a_call_go_in_one_stream(counted: Any, ask: Any) -> None:
    lm, calls = counted
    pairs = [("The capital of", f" {word}") for word in ("France", "Germany", "France")] + [("yes", " no")] * 2
    answers = ask(lm, "loglikelihood", pairs)
    assert [[(r.prompt, r.continuations) for r in call] for call in calls] == [
        [("The capital of", (" France", " Germany")), ("yes", (" no",))]
    ]
    assert answers[0] == answers[2] != answers[1]
    assert answers[3] == answers[4]
    backwards = ask(lm, "loglikelihood", pairs[::-1])
    assert [total for total, _ in backwards[::-1]] == pytest.approx([total for total, _ in answers], abs=1e-4)


def test_equal_requests_are_asked_once_unless_they_sample(counted: Any, ask: Any) -> None:
    lm, calls = counted
    greedy = ("The capital", {"until": [], "max_gen_toks": 4})
    drawn = ("The capital", {"until": [], "max_gen_toks": 8, "do_sample": True, "temperature": 3.0, "top_k": 0})
    answers = ask(lm, "generate_until", [greedy, greedy, drawn, drawn, drawn])
    assert [request.repeat for request in calls[0]] == [0, 0, 1, 2]
    assert answers[0] == answers[1]
    assert len(set(answers[2:])) == 3
    assert ask(lm, "loglikelihood_rolling", [("a",), ("b",), ("a",)])[0::2] == pytest.approx(
        ask(lm, "loglikelihood_rolling", [("a",), ("a",)]), abs=1e-4
    )
    assert [len(call) for call in calls[1:]] == [2, 1]


def test_the_seed_of_lm_eval_seeds_the_draws(checkpoint: Any, ours: Any, ask: Any) -> None:
    import torch

    lm = ours(checkpoint("gpt2"))
    asked = [("The", {"until": [], "max_gen_toks": 8, "do_sample": True, "temperature": 3.0, "top_k": 0})]
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(ask(lm, "generate_until", asked))
    assert found[0] == found[1] != found[2]


def test_a_running_event_loop_is_no_hindrance(checkpoint: Any, ours: Any, ask: Any) -> None:
    lm = ours(checkpoint("gpt2"))
    pairs = [("The capital of", " France")]

    async def main() -> Any:
        return ask(lm, "loglikelihood", pairs)

    assert asyncio.run(main()) == ask(lm, "loglikelihood", pairs)


def test_a_request_that_fails_is_named(checkpoint: Any, ours: Any, ask: Any) -> None:
    lm = ours(checkpoint("gpt2"))
    with pytest.raises(RunError, match="task 'a-task', document 1: the continuation '' has no tokens"):
        ask(lm, "loglikelihood", [("yes", " no"), ("The", "")])
    with pytest.raises(RunError, match="document 0: max_tokens 200 leaves no room"):
        ask(lm, "generate_until", [("yes", {"until": [], "max_gen_toks": 200})])


def test_weights_come_back_after_close(checkpoint: Any, ours: Any, ask: Any) -> None:
    lm = ours(checkpoint("llama"), prefix_token_id=7)
    pairs = [("", " France")]
    before = ask(lm, "loglikelihood", pairs)
    lm.close()
    assert ask(lm, "loglikelihood", pairs) == before


def test_answers_reach_the_cache_of_lm_eval(checkpoint: Any, ours: Any, ask: Any, tmp_path: Any) -> None:
    from lm_eval.api.model import CachingLM

    lm = ours(checkpoint("gpt2"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cached = CachingLM(lm, str(tmp_path / "cache.db"))
        ask(lm, "loglikelihood", [("The", " capital")])
        assert len(cached.dbdict) == 1
        cached.dbdict.close()


def test_the_chat_template_is_the_models(checkpoint: Any, ours: Any, theirs: Any) -> None:
    folder = checkpoint("llama")
    mine, lm = ours(folder), theirs(folder)
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    begun = [*turns, {"role": "assistant", "content": "a"}]
    assert mine.apply_chat_template(turns) == lm.apply_chat_template(turns)
    assert mine.apply_chat_template(begun, False) == lm.apply_chat_template(begun, False)
    assert mine.chat_template(True) == lm.chat_template(True)
    assert mine.tokenizer_name == lm.tokenizer_name
    assert (mine.eot_token_id, mine.prefix_token_id) == (lm.eot_token_id, lm.prefix_token_id)
    assert (mine.max_length, mine.max_gen_toks) == (lm.max_length, lm.max_gen_toks)


def test_a_template_that_knows_no_system_gets_none(checkpoint: Any, ours: Any) -> None:
    lm = ours(checkpoint("qwen2"))
    lm.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    assert lm.apply_chat_template([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]) == "u"
    lm.tokenizer.chat_template = None
    with pytest.raises(UsageError, match="has no chat template"):
        lm.apply_chat_template([{"role": "user", "content": "u"}])


def test_thinking_is_cut_off(checkpoint: Any, ours: Any, ask: Any) -> None:
    folder = checkpoint("gpt2")
    asked = [("The capital of", {"until": [], "max_gen_toks": 12})]
    (whole,) = ask(ours(folder), "generate_until", asked)
    end = whole[4:6]
    thinking = ours(folder, think_end_token=end, enable_thinking=True)
    assert ask(thinking, "generate_until", asked) == [whole.split(end)[-1].lstrip()]
    with pytest.raises(UsageError, match="enable_thinking=True is for tasks that generate"):
        ask(thinking, "loglikelihood", [("a", "b")])
