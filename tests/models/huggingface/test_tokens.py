"""From prompts to token ids: white space, special tokens, empty contexts, templates and cuts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from evalharness.core.types import Message
from evalharness.models.huggingface.max_length import max_length_of
from evalharness.models.huggingface.rows import causal_rows
from evalharness.models.huggingface.tokens import Encoded, RequestError, Tokens

pytestmark = pytest.mark.model


@pytest.fixture
def tokens(tokenizer_factory: Any) -> Any:
    def make(style: str = "plain", *, max_length: int = 64, **options: Any) -> Tokens:
        return Tokens(tokenizer_factory(style, **options), max_length=max_length, name="m")

    return make


def test_special_tokens_are_found(tokens: Any) -> None:
    assert [(tokens(style).before, tokens(style).after) for style in ("plain", "bos", "t5", "bert")] == [
        ((), ()),
        ((3,), ()),
        ((), (1,)),
        ((3,), (1,)),
    ]


@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("The capital of", " France"),
        ("The capital of ", "France"),
        ("Answer:  ", " yes"),
        ("Answer:\n\n", "yes"),
        ("a", "b"),
    ],
)
def test_white_space_moves_and_nothing_is_lost(context: str, continuation: str, tokens: Any) -> None:
    """lm-eval: `encode(context.rstrip())`, and the rest of `encode(context + continuation)` is the continuation."""
    made = tokens()
    (pair,) = made.pairs(context, (continuation,))
    encode = made.tokenizer.encode
    assert [*pair.context, *pair.continuation] == encode(context + continuation, add_special_tokens=False)
    assert list(pair.context) == encode(context.rstrip(), add_special_tokens=False)
    assert pair.n_cut == 0
    assert not pair.merged


@pytest.mark.parametrize(("style", "prefix"), [("plain", 3), ("bos", 3), ("t5", 3)])
def test_nothing_in_front_is_bos(style: str, prefix: int, tokens: Any) -> None:
    for context in ("", "  ", "\n"):
        (pair,) = tokens(style).pairs(context, ("yes",))
        assert pair.context == (prefix,)
        assert pair.continuation == tuple(tokens().text(context + "yes"))


def test_nothing_in_front_is_eos_without_bos(tokens: Any) -> None:
    made = tokens()
    made.tokenizer.bos_token = None
    assert made.first == 1
    made.tokenizer.eos_token = None
    with pytest.raises(RequestError, match="neither a BOS nor an EOS"):
        made.pairs("", ("yes",))


def test_bos_stands_once(tokens: Any) -> None:
    made = tokens("bos")
    assert made.prompt("yes") == [3, *made.text("yes")]
    assert made.prompt("<s>yes") == [3, *made.text("yes")]
    (pair,) = made.pairs("<s>yes", (" no",))
    assert pair.context == (3, *made.text("yes"))
    assert made.prompt("") == [3]
    assert tokens("t5").prompt("yes") == made.text("yes"), "EOS would end the text"


def test_a_context_is_encoded_for_itself(tokens: Any) -> None:
    """Also where the tokens of context and continuation do not meet at the border of the two."""
    made = tokens()
    (pair,) = made.pairs("x t", ("he capital of France",))
    whole = made.text("x the capital of France")
    head = made.text("x t")
    assert whole[: len(head)] != head, "or the test means nothing"
    assert pair.context == tuple(head)
    assert pair.continuation == tuple(whole[len(head) :])
    assert not pair.merged


def test_a_continuation_that_begins_with_bos_has_it_for_a_context(tokens: Any) -> None:
    made = tokens("bos")
    (pair,) = made.pairs("", ("<s>yes",))
    assert (pair.context, pair.continuation) == ((3,), tuple(made.text("yes")))
    (alone,) = made.pairs("", ("<s>",))
    assert (alone.context, alone.continuation) == ((3,), (3,))


def test_as_lm_eval_to_the_letter(tokens: Any) -> None:
    made = tokens("bert")
    assert made.whole("yes") == made.text("yes")
    assert made.prompt("yes") == [3, *made.text("yes")]
    made.follow_lm_eval(causal=True)
    assert made.whole("yes") == made.prompt("yes") == [3, *made.text("yes"), 1], "BOS is scored, EOS ends it"
    assert made.whole("<s>yes") == [3, *made.text("yes")], "what begins with BOS gets no special token"
    (pair,) = made.pairs("yes", (" no maybe",))
    assert [*pair.context, *pair.continuation] == [3, *made.text("yes"), 1, *made.text(" no maybe")[1:], 1]
    made = tokens("bert")
    made.follow_lm_eval(causal=False)
    assert made.prompt("yes") == [3, *made.text("yes")], "an encoder's EOS is put there by who knows that it is one"
    made.follow_lm_eval(causal=True, add_bos=False, first=7)
    assert made.prompt("yes") == made.text("yes")
    assert made.pairs("", ("yes",))[0].context == (7,)


def test_chat_turns(tokens: Any, chat_template: str) -> None:
    made = tokens("bos", template=chat_template)
    turns = (Message("user", "yes "), Message("assistant", "no"), Message("user", "maybe"))
    rendered = "<|user|>yes \n<|assistant|>no\n<|user|>maybe\n<|assistant|>"
    assert made.prompt(turns) == made.text(rendered)
    (pair,) = made.pairs(turns, (" yes",))
    assert pair.context == tuple(made.text(rendered)), "no BOS but the template's own"


def test_white_space_at_the_end_of_a_template_is_not_scored(tokens: Any) -> None:
    made = tokens("bos", template="{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    (pair,) = made.pairs((Message("user", "maybe"),), ("yes",))
    assert pair.context == tuple(made.text("maybe\n"))
    assert pair.continuation == tuple(made.text("yes"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "no chat template"),
        ("{{ raise_exception('System role not supported') }}", "refuses these turns: System role not supported"),
        ("{% for", "refuses these turns"),
    ],
)
def test_templates_that_fail(template: str | None, message: str, tokens: Any) -> None:
    with pytest.raises(RequestError, match=message):
        tokens(template=template).prompt((Message("system", "x"),))


def test_a_token_that_spans_the_border_is_scored_whole(tokens: Any) -> None:
    made = tokens()
    whole = made.text(" the")
    (pair,) = made.pairs("x t", ("he",))
    assert len(whole) == 1, "the tokenizer must merge it for this test to mean anything"
    # lm-eval takes what is behind len(encode(context)): nothing here. The merged token is what can be scored.
    assert [*pair.context, *pair.continuation] == made.text("x the")
    assert pair.continuation == tuple(whole)
    assert pair.merged


@pytest.mark.parametrize("continuation", ["", "\ud800"])
def test_continuations_without_tokens(continuation: str, tokens: Any) -> None:
    with pytest.raises(RequestError, match=r"no tokens|cannot encode"):
        tokens().pairs("x", (continuation,))


def test_the_beginning_of_a_long_context_is_cut(tokens: Any) -> None:
    made = tokens(max_length=6)
    context = list(made.text("The capital of France is Paris, and the capital"))
    target = tuple(made.text("The capital of France is Paris, and the capital of Germany"))[len(context) :]
    (pair,) = made.pairs("The capital of France is Paris, and the capital", (" of Germany",))
    assert pair.continuation == target
    # All but the last token are read: 7 fit where the model reads 6.
    assert [*pair.context, *pair.continuation] == [*context, *target][-7:]
    assert pair.n_cut == len(context) + len(target) - 7
    with pytest.raises(RequestError, match="the model reads 6 at most"):
        made.pairs("x", ("北京 🙂 numbers" * 3,))


def test_one_row_for_continuations_that_differ_in_their_last_token() -> None:
    pairs = [Encoded((1, 2), (7,)), Encoded((1, 2), (8,)), Encoded((1, 2), (8, 9)), Encoded((1, 2), (8, 7))]
    rows = causal_rows(pairs)
    assert [(row.inputs, row.positions, row.targets, row.slots) for row in rows] == [
        ((1, 2), (1,), ((7,), (8,)), (0, 1)),
        ((1, 2, 8), (1, 2), ((8, 9), (8, 7)), (2, 3)),
    ]


@pytest.mark.parametrize(
    ("config", "tokenizer_limit", "expected"),
    [
        ({"max_position_embeddings": 512}, None, 512),
        ({"n_positions": 1024, "n_ctx": 99}, None, 1024),
        ({"max_position_embeddings": 4096}, 512, 512),
        ({"max_position_embeddings": 4096}, int(1e30), 4096),
        ({}, None, 2048),
        ({}, 77, 77),
        # Of what generates, the settings hold, as in lm-eval; it does not know max_seq_len.
        ({"max_position_embeddings": 4096, "architectures": ["XForCausalLM"]}, 512, 4096),
        ({"n_ctx": 64, "max_position_embeddings": 128, "architectures": ["GPT2LMHeadModel"]}, None, 128),
        ({"max_seq_len": 4096, "architectures": ["XForCausalLM"]}, 512, 512),
        ({"max_position_embeddings": 514, "model_type": "roberta", "pad_token_id": 1}, None, 512),
        ({"max_position_embeddings": 514, "model_type": "ibert", "pad_token_id": 1}, None, 512),
        ({"max_encoder_position_embeddings": 96, "architectures": ["LEDForConditionalGeneration"]}, None, 96),
    ],
)
def test_longest_input(config: dict[str, Any], tokenizer_limit: int | None, expected: int) -> None:
    made = SimpleNamespace(**{"model_type": "x", **config})
    tokenizer = SimpleNamespace(model_max_length=tokenizer_limit)
    assert max_length_of(made, tokenizer, limit=None) == expected
    nested = SimpleNamespace(get_text_config=lambda: made)
    assert max_length_of(nested, tokenizer, limit=None) == expected
    assert max_length_of(made, tokenizer, limit=9) == 9


def test_a_token_that_the_model_has_not_is_told(tokenizer_factory: Any) -> None:
    made = Tokens(tokenizer_factory("bos"), max_length=64, name="m", n_embeddings=300)
    assert made.text("A") == Tokens(tokenizer_factory("bos"), max_length=64, name="m").text("A")
    with pytest.raises(RequestError, match="the model knows 300 tokens only; give its own tokenizer"):
        made.prompt("The capital of France is")


@pytest.mark.parametrize(
    ("style", "prompt", "as_lm_eval", "ours"),
    [
        ("t5", "", (3,), (3,)),
        ("bert", "", (3,), (3,)),
        ("bert", " ", (3, 1), (3, 1)),
        ("t5", "A", (..., 1), (..., 1)),
        ("bert", "A", (3, ..., 1), (3, ..., 1)),
        # lm-eval then takes the whole text for one with its special tokens.
        ("bert", "<s>A", (3, ...), (3, ..., 1)),
    ],
)
def test_sources_of_scored_targets(style: str, prompt: str, as_lm_eval: Any, ours: Any, tokens: Any) -> None:
    made = tokens(style)
    (a,) = made.text("A")

    def filled(ids: Any) -> tuple[tuple[int, ...], int]:
        return tuple(a if token is ... else token for token in ids), 0

    assert made.source(prompt, scored=True) == filled(ours)
    made.follow_lm_eval(causal=False)
    assert made.source(prompt, scored=True) == filled(as_lm_eval)


def test_a_long_source_loses_its_beginning_and_keeps_its_end(tokens: Any) -> None:
    made = tokens("bert", max_length=5)
    ids = made.text("The capital of France is Paris")
    for scored in (True, False):
        assert made.source("The capital of France is Paris", scored=scored) == ((*ids[-4:], 1), len(ids) - 3)


def test_an_empty_source_of_a_text_to_generate_is_what_the_tokenizer_makes_of_it(tokens: Any) -> None:
    assert [tokens(style).source("", scored=False)[0] for style in ("plain", "t5", "bert")] == [(3,), (1,), (3, 1)]
