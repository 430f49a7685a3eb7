"""Our engine against `lm_eval --model hf` itself: the same requests, the same figures."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow]

FAMILIES = ("llama", "gpt2", "qwen2")


def samples(pair: Any, task: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = list(zip(pair.theirs["samples"][task], pair.ours["samples"][task], strict=True))
    assert len(found) == 12
    for theirs, ours in found:
        assert theirs["doc_hash"] == ours["doc_hash"]
        assert theirs["arguments"] == ours["arguments"], "the same contexts"
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", ["choice", "preamble", "chat_choice"])
def test_choices_are_equally_likely_and_equally_greedy(family: str, task: str, pair_of: Any) -> None:
    pair = pair_of(family)
    for theirs, ours in samples(pair, task):
        for [(expected, greedy)], [(found, found_greedy)] in zip(theirs["resps"], ours["resps"], strict=True):
            assert found == pytest.approx(expected, abs=1e-3)
            assert found_greedy is greedy
        assert {key: theirs[key] for key in ("acc", "acc_norm")} == {key: ours[key] for key in ("acc", "acc_norm")}


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_texts_are_equally_likely(family: str, pair_of: Any) -> None:
    pair = pair_of(family)
    for theirs, ours in samples(pair, "rolling"):
        assert ours["resps"][0][0] == pytest.approx(theirs["resps"][0][0], abs=1e-3)
    for metric in ("word_perplexity,none", "bits_per_byte,none"):
        expected = pair.theirs["results"]["rolling"][metric]
        assert pair.ours["results"]["rolling"][metric] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", ["generate", "chat"])
def test_answers_are_the_same_text(family: str, task: str, pair_of: Any) -> None:
    pair = pair_of(family)
    texts = []
    for theirs, ours in samples(pair, task):
        assert ours["resps"] == theirs["resps"]
        assert ours["exact_match"] == theirs["exact_match"]
        texts.append(ours["resps"][0][0])
    assert len(set(texts)) > 1
    assert not any("the" in text for text in texts), "stop texts are cut off"


@pytest.mark.parametrize("family", FAMILIES)
def test_metrics_of_identical_samples_are_identical(family: str, pair_of: Any) -> None:
    pair = pair_of(family)
    for task in ("choice", "preamble", "generate", "chat", "chat_choice"):
        theirs, ours = pair.theirs["results"][task], pair.ours["results"][task]
        assert theirs.keys() == ours.keys()
        for name, expected in theirs.items():
            if isinstance(expected, float) and not math.isnan(expected):
                assert ours[name] == pytest.approx(expected, abs=1e-9), name
            else:
                assert str(ours[name]) == str(expected), name
    assert 0 < pair.ours["results"]["generate"]["exact_match,none"] < 1, "or the comparison says nothing"


CONTEXTS = [
    ("", " Paris"),
    ("", "yes and no"),
    ("The capital of", " France is Paris"),
    ("The capital of ", "France"),
    ("Question:\n\n", "yes"),
    ("the", "ir house"),
    ("trailing spaces mov", "e; their house"),
    ("user assistant", " system"),
    ("naïve café ", "北京 🙂"),
    ("numbers 12", "345 and 67890!"),
    ("The capital of France is Paris. " * 30, " and no" * 8),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"add_bos_token": True}, {"add_bos_token": False}, {"max_length": 24}, {"prefix_token_id": 7}],
    ids=str,
)
def test_borders_empty_contexts_and_cuts(
    family: str, arguments: dict[str, Any], checkpoint: Any, theirs: Any, ours: Any, ask: Any
) -> None:
    if family == "qwen2" and arguments.get("add_bos_token"):
        pytest.skip("the tokenizer has no BOS token")
    folder = checkpoint(family)
    first = {"llama": "<s>", "gpt2": "<|endoftext|>", "qwen2": "<|im_end|>"}[family]
    asked = [*CONTEXTS, (f"{first}The capital", " of France"), ("", f"{first}yes and no")]
    # Its cache of logits reads the wrong position where two requests share their tokens and part them elsewhere.
    lm = theirs(folder, logits_cache=False, **arguments)
    # lm-eval stops where a tokenizer joins the end of a context with all of the continuation.
    asked = [args for args in asked if not args[0] or lm._encode_pair(*args)[1]]
    assert len(asked) > 10
    expected = ask(lm, "loglikelihood", asked)
    mine = ours(folder, **arguments)
    for args, (total, greedy), (found, found_greedy) in zip(
        asked, expected, ask(mine, "loglikelihood", asked), strict=True
    ):
        assert found == pytest.approx(total, abs=1e-3), args
        assert found_greedy is greedy, args
    texts = [(args[0] + args[1],) for args in CONTEXTS]
    expected = ask(lm, "loglikelihood_rolling", texts)
    assert ask(mine, "loglikelihood_rolling", texts) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "settings",
    [
        {"until": ["\n"], "max_gen_toks": 5},
        {"until": "th", "max_new_tokens": 20},
        {"until": [], "max_tokens": 3, "temperature": 0.0, "do_sample": False},
        {"until": [" a", "e"], "max_gen_toks": 30, "do_sample": False, "temperature": 0.7},
        {"until": [""], "max_gen_toks": 9},
        {"until": ["zzz"], "max_gen_toks": 70},
        {"max_gen_toks": 9, "num_beams": 2},
        {"max_gen_toks": 9, "repetition_penalty": 1.7},
    ],
    ids=str,
)
def test_generation_settings(
    family: str, settings: dict[str, Any], checkpoint: Any, theirs: Any, ours: Any, ask: Any
) -> None:
    folder = checkpoint(family)
    contexts = ["The capital of", "Question: yes ", TEXT_LONG, "<s>user", "naïve 北"]
    asked = [(context, dict(settings)) for context in contexts]
    expected = ask(theirs(folder, max_length=90), "generate_until", asked)
    assert ask(ours(folder, max_length=90), "generate_until", asked) == expected


TEXT_LONG = "Tokens carry the space in front of a word, so trailing spaces move. " * 6


def test_settings_of_the_checkpoint_hold(checkpoint: Any, theirs: Any, ours: Any, ask: Any) -> None:
    folder = checkpoint("llama", repetition_penalty=1.8)
    asked = [(context, {"until": [], "max_gen_toks": 16}) for context in ("The capital of", "user assistant")]
    expected = ask(theirs(folder), "generate_until", asked)
    assert expected != ask(theirs(checkpoint("llama")), "generate_until", asked)
    assert ask(ours(folder), "generate_until", asked) == expected


def test_a_special_token_ends_an_answer(checkpoint: Any, theirs: Any, ours: Any, ask: Any) -> None:
    """The tokenizer's end of text ends an answer, also where the checkpoint names another."""
    folder = checkpoint("llama", eos_token_id=1)
    asked = [(f"number {n} of", {"until": ["\n\n"], "max_gen_toks": 40}) for n in range(20)]
    assert ask(ours(folder), "generate_until", asked) == ask(theirs(folder), "generate_until", asked)
