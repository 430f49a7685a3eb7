"""lm-eval's generation settings, by the rules of its `normalize_gen_kwargs`."""

import pytest

from evalharness.core.errors import UsageError
from evalharness.integrations.lm_eval.generation import generation_of

GREEDY = {"max_tokens": 256, "temperature": 0.0, "stop": []}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, GREEDY),
        ({"until": "\n"}, {**GREEDY, "stop": ["\n"]}),
        ({"until": ["</s>"], "do_sample": False, "temperature": 0.9}, {**GREEDY, "stop": ["</s>"]}),
        ({"temperature": 0.7}, {**GREEDY, "temperature": 0.7}),
        (
            {"do_sample": True, "temperature": "0.5", "top_p": 0.9, "top_k": 40},
            {**GREEDY, "temperature": 0.5, "top_p": 0.9, "top_k": 40},
        ),
        ({"do_sample": True}, {**GREEDY, "temperature": 1.0}),
        ({"temperature": 0.0, "top_p": 0.95, "top_k": 0}, GREEDY),
        (
            {"temperature": 1.0, "top_p": 1.0, "top_k": 0},
            {**GREEDY, "temperature": 1.0, "top_p": None, "top_k": None},
        ),
        ({"max_gen_toks": 5, "max_tokens": 9}, {**GREEDY, "max_tokens": 5}),
        ({"max_new_tokens": 7}, {**GREEDY, "max_tokens": 7}),
        ({"num_beams": 1, "use_cache": True, "seed": None}, GREEDY),
    ],
)  # fmt: skip
def test_settings(given, found):
    assert generation_of(given) == found


def test_what_has_no_counterpart_is_refused():
    with pytest.raises(UsageError, match=r"num_beams: 4, penalty_alpha: 0\.6"):
        generation_of({"num_beams": 4, "penalty_alpha": 0.6})


def test_an_empty_stop_text_is_not_passed_over():
    # lm-eval ends each answer after one token there; left out, answers would go on to their full length.
    with pytest.raises(UsageError, match="an empty text in until"):
        generation_of({"until": ["</s>", ""]})


def test_it_agrees_with_lm_eval():
    from lm_eval.models.utils import normalize_gen_kwargs

    for given in ({"until": ["a"], "temperature": 0.3}, {"until": "b", "max_tokens": 3}, {"do_sample": False}):
        theirs, ours = normalize_gen_kwargs(given), generation_of(given)
        assert ours["max_tokens"] == theirs["max_gen_toks"]
        assert ours["stop"] == theirs["until"]
        assert ours["temperature"] == theirs.get("temperature", 0.0)
