"""Games over token ids: whose words are masked, what else stays, and values equal to plain forward passes."""

from __future__ import annotations

import functools
import math
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.games import GameError, WhiteBox
from evalharness.core.types import Message, Request
from evalharness.explain import explain_game
from evalharness.explain.attention import rollout

pytestmark = pytest.mark.model

ENGLISH = "The actors aren't good, unbelievable film!"
CHINESE = "北京的电影 very good。"
TEXTS = [ENGLISH, CHINESE, "naïve café 🙂 12345", "  two  spaces\nand a line "]


@functools.cache
def tokenizer_of(kind: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    corpus = [*TEXTS, "good film actors unbelievable believe able un ##able", "北京 的 电影", "one two three four"] * 3
    settings: dict[str, Any] = {"special_tokens": special, "show_progress": False}
    if kind == "words":
        backend = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer: Any = trainers.WordLevelTrainer(**settings)
    elif kind == "wordpiece":
        backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=120, **settings)
    elif kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, **settings)
    else:
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=90, unk_token="[UNK]", **settings)
    backend.train_from_iterator(corpus, trainer)
    ids = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


KINDS = ["words", "wordpiece", "bytes", "sentencepiece"]


class IdModel:
    """A "classifier" whose logit is a sum over token ids and over pairs of neighbours: any other id shows at once."""

    def __init__(self, *, pairs: bool = True, seed: int = 0) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        self.single = torch.randn(4096, generator=generator, dtype=torch.float64)
        self.pair = torch.randn(4096, 3, generator=generator, dtype=torch.float64) * pairs
        self.null: set[int] = set()
        self.config = SimpleNamespace(pad_token_id=0, num_labels=1)
        self.seen: list[Any] = []

    def __call__(self, input_ids: Any) -> Any:
        self.seen += input_ids.tolist()
        single, pair = self.single[input_ids], self.pair[input_ids]
        value = single.sum(dim=1)
        for i in range(input_ids.shape[1]):
            for j in range(i):
                value = value + (pair[:, i] * pair[:, j]).sum(dim=1) / (1 + i - j)
        return SimpleNamespace(logits=value[:, None])


def game_of(text: str, kind: str, model: Any, **options: Any) -> Any:
    from evalharness.models.huggingface.classification import Labels
    from evalharness.models.huggingface.make_games import classifier_game, options_of
    from evalharness.models.huggingface.memory import BatchSize
    from evalharness.models.huggingface.tokens import Tokens

    tokens = Tokens(tokenizer_of(kind), max_length=512, name="m")
    return classifier_game(
        Request("k", "m", "classify", "1", text),
        options_of({"output": "logit", **options}),
        model=model,
        tokens=tokens,
        labels=Labels("sigmoid", ("no", "yes")),
        size=BatchSize(tokens=400),
        device="cpu",
    )


@pytest.mark.parametrize("players", ["words", "tokens"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_player_leaves_all_other_tokens_alone(kind: str, text: str, players: str) -> None:
    model = IdModel()
    game = game_of(text, kind, model, players=players)
    tokenizer = tokenizer_of(kind)
    n = len(game.tokens)
    for token in game.tokens:
        assert text[token.start : token.end] == token.text
        assert token.text == token.text.strip() != ""
    whole = tokenizer(text)["input_ids"]
    game.value(np.vstack([np.ones((1, n)), np.zeros((1, n)), 1 - np.eye(n)]).astype(bool))
    rows = np.array(model.seen)
    rows = rows[np.lexsort(rows.T[::-1])]
    assert rows.shape == (n + 2, len(whole))
    changed = [set(np.flatnonzero(row != whole).tolist()) for row in rows]
    for row, places in zip(rows, changed, strict=True):
        assert all(row[place] == tokenizer.mask_token_id for place in places)
        assert not places & {0, len(whole) - 1}
    singles = [places for places in changed if 0 < len(places) < max(map(len, changed))]
    if n > 1:
        # Each token is one player's; all of them are masked with nobody kept.
        assert sum(map(len, singles)) == len(set().union(*singles)) == max(map(len, changed))
        unmasked = set(range(1, len(whole) - 1)) - set().union(*singles)
        assert all(not tokenizer.convert_ids_to_tokens(whole[i]).strip("▁Ġ ") for i in unmasked)


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_the_same_for_every_tokenizer(kind: str) -> None:
    game = game_of("good film, one two", kind, IdModel())
    assert [t.text for t in game.tokens] == ["good", "film", ",", "one", "two"]
    game = game_of(CHINESE, kind, IdModel())
    found = [t.text for t in game.tokens]
    assert "".join(found) == CHINESE.replace(" ", "")
    assert found[-3:] == ["very", "good", "。"]
    # Characters that are one token are one player: always of a word-level tokenizer, here and there of others.
    expected = {"words": [["北京的电影"]], "wordpiece": [[*"北京的电影"]]}
    assert found[:-3] in expected.get(kind, [found[:-3]])


@pytest.mark.parametrize("n", [1, 4, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_the_exact_shapley_values(kind: str, n: int) -> None:
    """Against the definition, the mean over all orders, with ids masked by hand."""
    import torch

    text = " ".join(["good", "film", "good", "unbelievable", "one", "two"][:n])
    game = game_of(text, kind, IdModel())
    assert len(game.tokens) == n
    oracle = IdModel()
    tokenizer = tokenizer_of(kind)
    encoded = tokenizer(text, return_offsets_mapping=True)
    # White space belongs to the word behind it.
    owner = [
        next(k for k, t in enumerate(game.tokens) if a < t.end) if a < b else None for a, b in encoded["offset_mapping"]
    ]

    @functools.cache
    def value(kept: frozenset[int]) -> float:
        ids = [
            token if who is None or who in kept else tokenizer.mask_token_id
            for token, who in zip(encoded["input_ids"], owner, strict=True)
        ]
        return float(oracle(torch.tensor([ids])).logits)

    expected = np.zeros(n)
    for order in permutations(range(n)):
        for i, player in enumerate(order):
            expected[player] += value(frozenset(order[: i + 1])) - value(frozenset(order[:i]))
    expected /= math.factorial(n)
    for method, options in [
        ("exact", {}),
        ("shap", {}),
        ("shap", {"exact_up_to": 0, "max_evals": 5000}),
        ("permutation", {}),
    ]:
        found = explain_game(game, method, **options)
        assert found.values[:, 1] == pytest.approx(expected, abs=1e-6)
        assert found.values[:, 0] == pytest.approx(-expected, abs=1e-6)
        assert found.values.sum(axis=0) == pytest.approx(found.full_values - found.base_values, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [3, 10])
def test_null_words_and_equal_words(kind: str, n: int) -> None:
    """The word in the middle has ids that count as the mask does; the same word twice has the same value."""
    model = IdModel(pairs=False)
    words = ["good", "two", "good", "film", "one", "three", "four", "actors", "very", "believe"][:n]
    game = game_of(" ".join(words), kind, model)
    tokenizer = tokenizer_of(kind)
    null = set(tokenizer(" two", add_special_tokens=False)["input_ids"])
    null -= set(tokenizer(" good", add_special_tokens=False)["input_ids"])
    encoded = tokenizer(" ".join(words), return_offsets_mapping=True)
    at = game.tokens[1]
    inside = [
        i
        for i, (a, b) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        if a < at.end and b > at.start
    ]
    model.single[inside] = float(model.single[tokenizer.mask_token_id])
    same = tokenizer("good good", add_special_tokens=False)["input_ids"]
    for method, options in [("shap", {}), ("shap", {"exact_up_to": 0, "max_evals": 9999}), ("permutation", {})]:
        found = explain_game(game, method, **options)
        assert np.abs(found.values[1]).max() <= 1e-9
        if len(same) == 2 * len(set(same)):
            # In front of the first word byte-level BPE has no white space: only then are the two written in one way.
            assert found.values[0] == pytest.approx(found.values[2], abs=1e-9)


class ThirdOrderModel:
    """A "classifier" whose logit is e₁ + e₂ + e₃ of weights of its ids: single ones, pairs and triples interact.

    With eₖ the elementary symmetric polynomials, so that places do not count, and equal words are equal players.
    """

    def __init__(self) -> None:
        import torch

        generator = torch.Generator().manual_seed(5)
        self.weights = torch.randn(3, 4096, generator=generator, dtype=torch.float64)
        self.config = SimpleNamespace(pad_token_id=0, num_labels=1)

    def __call__(self, input_ids: Any) -> Any:
        first, second, third = self.weights[:, input_ids]
        pairs = (second.sum(dim=1) ** 2 - (second**2).sum(dim=1)) / 2
        total = third.sum(dim=1)
        triples = (total**3 - 3 * total * (third**2).sum(dim=1) + 2 * (third**3).sum(dim=1)) / 6
        return SimpleNamespace(logits=(first.sum(dim=1) + pairs + triples)[:, None])


def shapley_by_subsets(worth: Any) -> Any:
    """φ_i = Σ over S without i of |S|!·(n−|S|−1)!/n! · (v(S ∪ i) − v(S)), bit i of a row of `worth` being player i."""
    n = int(np.log2(len(worth)))
    numbers = np.arange(2**n)
    sizes = (numbers[:, None] >> np.arange(n) & 1).sum(axis=1)
    factorials = np.array([math.factorial(k) for k in range(n + 1)], dtype=float)
    found = np.zeros((n, worth.shape[1]))
    for i in range(n):
        without = numbers[numbers >> i & 1 == 0]
        weight = factorials[sizes[without]] * factorials[n - sizes[without] - 1] / factorials[n]
        found[i] = weight @ (worth[without + 2**i] - worth[without])
    return found


def all_masked_by_hand(text: str, tokenizer: Any, n: int) -> Any:
    """(2^n, L) ids of `text` with every choice of its words, those between spaces, masked."""
    encoded = tokenizer(text, return_offsets_mapping=True)
    # The word that a token ends in, white space being part of the word behind it.
    owner = [text[:b].count(" ") if a < b else None for a, b in encoded["offset_mapping"]]
    assert {who for who in owner if who is not None} == set(range(n))
    rows = np.tile(np.array(encoded["input_ids"]), (2**n, 1))
    for column, who in enumerate(owner):
        if who is not None:
            rows[np.arange(2**n) >> who & 1 == 0, column] = tokenizer.mask_token_id
    return rows


# "four" is nobody, where its ids are made to count as the mask does; "good" stands there twice, behind a space.
TEN_WORDS = ["one", "four", "good", "film", "good", "actors", "unbelievable", "three", "believe", "very"]


@pytest.mark.parametrize("n", [7, 8, 9, 10])
@pytest.mark.parametrize("kind", ["words", "wordpiece", "bytes"])
def test_up_to_ten_words_have_their_exact_shapley_values(kind: str, n: int) -> None:
    """Interactions of third order, every one of the 2^n masked texts made by hand."""
    import torch

    text = " ".join(TEN_WORDS[:n])
    tokenizer = tokenizer_of(kind)
    model = ThirdOrderModel()
    behind_one = len(tokenizer("one", add_special_tokens=False)["input_ids"])
    four = tokenizer("one four", add_special_tokens=False)["input_ids"][behind_one:]
    model.weights[:, four] = model.weights[:, [tokenizer.mask_token_id]]
    logits = model(torch.from_numpy(all_masked_by_hand(text, tokenizer, n))).logits.numpy()
    expected = shapley_by_subsets(np.hstack([-logits, logits]))
    game = game_of(text, kind, model)
    assert [token.text for token in game.tokens] == TEN_WORDS[:n]
    for method in ("exact", "shap"):
        found = explain_game(game, method)
        assert np.abs(found.values - expected).max() <= 1e-6
        assert np.abs(found.values[2] - found.values[4]).max() <= 1e-9
    # These divide among the words as exactly, though not always as the Shapley values do.
    for method, options in [("exact", {}), ("shap", {}), ("shap", {"exact_up_to": 0}), ("permutation", {})]:
        found = explain_game(game, method, **options)
        assert np.abs(found.values.sum(axis=0) - (logits[-1] - logits[0]) * [-1, 1]).max() <= 1e-6
        assert np.abs(found.values[1]).max() <= 1e-9
        assert np.abs(found.values[[0, *range(2, n)]]).max(axis=1).min() > 1e-3
    tree = explain_game(game, "shap", exact_up_to=0, max_evals=10_000)
    assert np.abs(tree.values - expected).max() > 1e-3


def test_eight_words_of_a_bert_have_their_exact_shapley_values(
    build: Any, checkpoints: Any, request_of: Any, plain_model: Any
) -> None:
    import torch

    folder = checkpoints("bert", "classifier", style="bert", num_labels=3, id2label={0: "bad", 1: "so", 2: "good"})
    model = build("hf-classifier", folder)
    model.load()
    text = "A film that is as good and long"
    rows = torch.from_numpy(all_masked_by_hand(text, model.tokens.tokenizer, 8))
    with torch.inference_mode():
        worth = plain_model(folder, "classifier")(rows).logits.double().softmax(-1).numpy()
    expected = shapley_by_subsets(worth)
    assert np.abs(expected).max() > 1e-3
    found = explain_game(model.game(request_of("classify", text)), "shap")
    assert np.abs(found.values - expected).max() <= 1e-6
    assert np.abs(found.values.sum(axis=0) - (worth[-1] - worth[0])).max() <= 1e-6


def test_special_tokens_in_the_text_are_no_players_and_unknown_words_are() -> None:
    model = IdModel()
    assert [t.text for t in game_of("good [UNK] zzzqqq film", "words", model).tokens] == ["good", "zzzqqq", "film"]
    game = game_of("good [SEP] zzzqqq film", "words", model)
    tokenizer = tokenizer_of("words")
    assert [t.text for t in game.tokens] == ["good", "zzzqqq", "film"]
    game.value(np.zeros((1, 3), dtype=bool))
    mask, (cls, sep) = tokenizer.mask_token_id, tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    assert model.seen == [[cls, mask, sep, mask, mask, sep]]


def test_options_that_do_not_exist_are_refused(build: Any, checkpoints: Any, request_of: Any) -> None:
    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"))
    model.load()
    request = request_of("classify", "good")
    for options, message in [
        ({"player": "words"}, "no option 'player'; did you mean 'players'"),
        ({"players": "letters"}, "players must be one of words, tokens; got 'letters'"),
        ({"output": "log_odds"}, "output must be one of probability, logit"),
        ({"mask": "no such token"}, "mask: 'no such token' is not one token"),
    ]:
        with pytest.raises(UsageError, match=message):
            model.game(request, **options)
    with pytest.raises(GameError, match="there 0 times"):
        model.game(request, text="bad")
    with pytest.raises(GameError, match="there 2 times"):
        model.game(request_of("classify", "so so"), text="so")


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "gpt2", "llama"])
@pytest.mark.parametrize("mask", ["auto", "remove"])
def test_a_classifiers_values_are_those_of_its_answers(
    architecture: str, mask: str, build: Any, checkpoints: Any, request_of: Any, plain_model: Any
) -> None:
    import torch

    names = {0: "bad", 1: "so", 2: "good"}
    style = "bos" if architecture in ("gpt2", "llama") else "bert"
    folder = checkpoints(architecture, "classifier", style=style, num_labels=3, id2label=names)
    model = build("hf-classifier", folder)
    model.load()
    text = "A film that is as good as it is long."
    game = model.game(request_of("classify", text), mask=mask)
    assert game.outputs == ("bad", "so", "good")
    n = len(game.tokens)
    assert "".join(t.text for t in game.tokens) == text.replace(" ", "")
    assert isinstance(game, WhiteBox)
    kept = np.random.default_rng(0).random((20, n)) < 0.5
    found = game.value(kept)
    plain = plain_model(folder, "classifier")
    tokenizer = model.tokens.tokenizer
    encoded = tokenizer(text, return_offsets_mapping=True)
    for row, values in zip(kept, found, strict=True):
        ids = []
        for token, (a, b) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            who = next((k for k, t in enumerate(game.tokens) if max(a, t.start) < min(b, t.end)), None)
            if who is None or row[who]:
                ids.append(token)
            elif mask == "auto":
                ids.append(tokenizer.mask_token_id)
        with torch.inference_mode():
            expected = plain(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits[0].double().softmax(-1)
        assert values == pytest.approx(expected.numpy(), abs=1e-5)
    assert game.model_seconds > 0
    assert game.n_calls >= 1


def test_a_long_text_loses_its_end(build: Any, checkpoints: Any, request_of: Any) -> None:
    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"), max_length=12)
    model.load()
    assert "n_cut_tokens" not in model.game(request_of("classify", "one")).meta
    text = "one two three " * 30
    game = model.game(request_of("classify", text))
    n_tokens = len(model.tokens.tokenizer(text, add_special_tokens=False)["input_ids"])
    assert game.meta["n_cut_tokens"] == n_tokens - 10, "two of the twelve are special"
    assert 0 < len(game.tokens) < 12
    assert game.value(np.ones((1, len(game.tokens)), dtype=bool)).shape == (1, 2)


def test_the_padding_of_a_decoder_is_no_mask(build: Any, checkpoints: Any, request_of: Any) -> None:
    model = build("hf-classifier", checkpoints("gpt2", "classifier", style="bos"))
    model.load()
    with pytest.raises(UsageError, match="takes for padding"):
        model.game(request_of("classify", "good film"), mask="<pad>")


CHAT = (
    Message("system", "film"),
    Message("user", "the film is good"),
    Message("assistant", "yes"),
    Message("user", " Is the film good? "),
)


@pytest.mark.parametrize("mask", ["auto", "remove", "."])
def test_the_log_odds_of_an_answer(mask: str, build: Any, checkpoints: Any, request_of: Any, plain_model: Any) -> None:
    import torch

    folder = checkpoints("llama", "causal", style="bos")
    model = build("hf-causal", folder)
    model.load()
    prompt = "Question: Is the film good? Answer:"
    request = request_of("loglikelihood", prompt, continuations=[" yes maybe"])
    game = model.game(request, text="Is the film good?", mask=mask)
    assert [t.text for t in game.tokens] == ["Is", "the", "film", "good", "?"]
    assert game.tokens[0].start == 0
    assert game.outputs == ("yes maybe",)
    kept = np.array([[a, b, c, d, e] for a in (0, 1) for b in (0, 1) for c in (0, 1) for d in (0, 1) for e in (0, 1)])
    found = game.value(kept.astype(bool))
    plain = plain_model(folder, "causal")
    tokenizer = model.tokens.tokenizer
    stands_for = {"auto": tokenizer.mask_token_id, ".": tokenizer.convert_tokens_to_ids("."), "remove": None}[mask]
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    target = tokenizer(" yes maybe", add_special_tokens=False)["input_ids"]
    shift = prompt.index("Is the")
    for row, values in zip(kept, found, strict=True):
        ids = []
        for token, (a, b) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            who = next((k for k, t in enumerate(game.tokens) if max(a - shift, t.start) < min(b - shift, t.end)), None)
            if who is None or row[who]:
                ids.append(token)
            elif stands_for is not None:
                ids.append(stands_for)
        with torch.inference_mode():
            scores = plain(torch.tensor([[*ids, *target]])).logits[0].double().log_softmax(-1)
        total = sum(float(scores[len(ids) + i - 1, token]) for i, token in enumerate(target))
        assert values[0] == pytest.approx(total - math.log1p(-math.exp(total)), abs=1e-4)


def test_margins_and_choices(build: Any, checkpoints: Any, request_of: Any) -> None:
    model = build("hf-causal", checkpoints("llama", "causal", style="bos"))
    model.load()
    whole = np.ones((1, 5), dtype=bool)

    def value(answers: list[str], output: str) -> tuple[tuple[str, ...], np.ndarray]:
        game = model.game(request_of("loglikelihood", "Is the film good?", continuations=answers), output=output)
        return game.outputs, game.value(whole)[0]

    names, each = value([" yes", " no maybe", " maybe"], "log_likelihood")
    assert names == ("yes", "no maybe", "maybe")
    names, margin = value([" yes", " no maybe"], "log_odds")
    assert names == ("yes rather than no maybe",)
    assert margin[0] == pytest.approx(each[0] - each[1], abs=1e-4)
    shares = np.exp(each) / np.exp(each).sum()
    assert value([" yes", " no maybe", " maybe"], "probability")[1] == pytest.approx(shares, abs=1e-5)
    odds = np.log(shares) - np.log1p(-shares)
    assert value([" yes", " no maybe", " maybe"], "log_odds")[1] == pytest.approx(odds, abs=1e-4)
    assert value([" maybe"], "probability")[1] == pytest.approx(np.exp(each[2:]), abs=1e-6)


def test_a_certain_answer_has_finite_log_odds() -> None:
    import torch

    from evalharness.models.huggingface.games import answer_values

    found = answer_values(torch.tensor([[0.0], [-1e-3], [-800.0]], dtype=torch.float64), "log_odds")[:, 0].tolist()
    assert found[0] == pytest.approx(-math.log(1e-12), rel=1e-6)
    assert found[1] == pytest.approx(-1e-3 - math.log(-math.expm1(-1e-3)), abs=1e-9)
    assert found[2] == pytest.approx(-800.0)


def test_the_chat_around_the_last_turn_stays(build: Any, checkpoints: Any, request_of: Any, chat_template: str) -> None:
    model = build("hf-causal", checkpoints("llama", "causal", style="plain", template=chat_template))
    model.load()
    game = model.game(request_of("loglikelihood", CHAT, continuations=["yes"]))
    assert [t.text for t in game.tokens] == ["Is", "the", "film", "good", "?"]
    assert [CHAT[-1].content[t.start : t.end] for t in game.tokens] == [t.text for t in game.tokens]
    part = model.game(request_of("loglikelihood", CHAT, continuations=["yes"]), text="the film is good")
    assert [t.text for t in part.tokens] == ["the", "film", "is", "good"]
    values = game.value(np.array([[1] * 5, [0] * 5], dtype=bool))
    assert values[0, 0] != values[1, 0]
    with pytest.raises(GameError, match="no turn of the chat"):
        model.game(request_of("loglikelihood", CHAT, continuations=["yes"]), text="absent")
    with pytest.raises(GameError, match="no turn of the user"):
        model.game(request_of("loglikelihood", CHAT[:1], continuations=["yes"]))
    with pytest.raises(GameError, match="an answer that is given"):
        model.game(request_of("loglikelihood", CHAT))


def test_places_count_from_the_turn_where_the_template_strips_it(
    build: Any, checkpoints: Any, request_of: Any, chat_template: str
) -> None:
    stripping = chat_template.replace("m['content']", "m['content'] | trim")
    model = build("hf-causal", checkpoints("llama", "causal", style="plain", template=stripping))
    model.load()
    game = model.game(request_of("loglikelihood", CHAT, continuations=["yes"]))
    assert [t.text for t in game.tokens] == ["Is", "the", "film", "good", "?"]
    assert [CHAT[-1].content[t.start : t.end] for t in game.tokens] == [t.text for t in game.tokens]
    shouting = chat_template.replace("m['content']", "m['content'] | upper")
    model = build("hf-causal", checkpoints("llama", "causal", style="plain", template=shouting))
    model.load()
    with pytest.raises(GameError, match="the chat template changes the text"):
        model.game(request_of("loglikelihood", CHAT, continuations=["yes"]))


def test_white_space_at_the_end_belongs_to_the_answer(build: Any, checkpoints: Any, request_of: Any) -> None:
    model = build("hf-causal", checkpoints("gpt2", "causal", style="bos"))
    model.load()
    one = model.game(request_of("loglikelihood", "good film Answer: ", continuations=["yes"]))
    two = model.game(request_of("loglikelihood", "good film Answer:", continuations=[" yes"]))
    whole = np.ones((1, 4), dtype=bool)
    assert one.value(whole) == pytest.approx(two.value(whole), abs=1e-5)


def test_a_long_prompt_loses_its_beginning(build: Any, checkpoints: Any, request_of: Any) -> None:
    model = build("hf-causal", checkpoints("llama", "causal", style="bos"), max_length=16)
    model.load()
    game = model.game(request_of("loglikelihood", "one two three good film " * 20, continuations=[" yes"]))
    assert 0 < len(game.tokens) < 16
    assert game.meta["n_cut_tokens"] > 0
    short = model.game(request_of("loglikelihood", "one two", continuations=[" yes"]))
    assert "n_cut_tokens" not in short.meta
    assert game.tokens[-1].text == "film"
    assert game.value(np.ones((1, len(game.tokens)), dtype=bool)).shape == (1, 1)


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_an_encoder_decoder(architecture: str, build: Any, checkpoints: Any, request_of: Any, ask: Any) -> None:
    style = "t5" if architecture == "t5" else "bert"
    folder = checkpoints(architecture, "seq2seq", style=style)
    model = build("hf-seq2seq", folder)
    model.load()
    request = request_of("loglikelihood", "the film is good", continuations=["yes", "no maybe"])
    game = model.game(request, output="log_likelihood")
    found = game.value(np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=bool))
    (response,) = ask(build("hf-seq2seq", folder), [request])
    assert found[0] == pytest.approx([each.total for each in response.loglikelihoods], abs=1e-4)
    assert found[1] != pytest.approx(found[0], abs=1e-4)
    ends = game.path_gradients(np.array([0.0, 1.0])).values
    assert ends == pytest.approx(game.value(np.array([[0] * 4, [1] * 4], dtype=bool)), abs=1e-3)
    if architecture == "bart":
        explained = explain_game(game, "integrated_gradients", steps=64)
        assert np.abs(explained.meta["completeness_error"]).max() < 0.05
    # What the decoder's first position sees: half of it is its own, as a residual connection, after each layer.
    import torch

    plain = game._model
    plain.set_attn_implementation("eager")
    with torch.inference_mode():
        told = plain(
            input_ids=torch.tensor(game._text.ids[None]),
            decoder_input_ids=torch.tensor([list(game._begin)]),
            output_attentions=True,
        )
    encoded = rollout(np.stack([layer[0].double().numpy() for layer in told.encoder_attentions]))
    seen = np.zeros(len(encoded))
    for layer in told.cross_attentions:
        seen = (seen + layer[0].double().mean(dim=0)[0].numpy() @ encoded) / 2
    rolled = explain_game(game, "attention")
    expected = [seen[game._text.owner == player].sum() for player in range(4)]
    assert rolled.values[:, 0] == pytest.approx(expected, abs=1e-6)
    assert rolled.meta["rest"] == pytest.approx(1 - sum(expected), abs=1e-6)


@pytest.mark.parametrize(("architecture", "kind"), [("bert", "classifier"), ("llama", "causal"), ("gpt2", "causal")])
def test_integrated_gradients_of_models(
    architecture: str, kind: str, build: Any, checkpoints: Any, request_of: Any
) -> None:
    style = "bert" if kind == "classifier" else "bos"
    model = build(f"hf-{kind}", checkpoints(architecture, kind, style=style))
    model.load()
    request = request_of(
        "classify" if kind == "classifier" else "loglikelihood",
        "A good film is long.",
        continuations=[] if kind == "classifier" else [" yes", " no maybe"],
    )
    game = model.game(request)
    found = explain_game(game, "integrated_gradients", steps=128)
    # Weights four times as large as usual make a curve that 128 places follow nearly.
    assert np.abs(found.meta["completeness_error"]).max() < 0.03 * max(1.0, np.abs(found.values).max())
    ends = game.path_gradients(np.array([0.0, 1.0])).values
    assert ends == pytest.approx(np.stack([found.base_values, found.full_values]), abs=1e-4)
    rolled = explain_game(game, "attention")
    assert (rolled.values >= 0).all()
    assert rolled.values.sum(axis=0).max() <= 1 + 1e-9
    if kind == "causal":
        assert rolled.values.shape == (6, 1)


def test_integrated_gradients_of_a_linear_model(
    build: Any, checkpoints: Any, request_of: Any, monkeypatch: Any
) -> None:
    """A head over the mean of the embeddings: the value of a word is its own part, whatever the number of steps."""
    import torch

    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"))
    model.load()
    table = torch.nn.Embedding(420, 8)
    head = torch.nn.Linear(8, 2)

    class Linear:
        config = model.weights.config

        def get_input_embeddings(self) -> Any:
            return table

        def __call__(self, input_ids: Any = None, inputs_embeds: Any = None) -> Any:
            embeds = table(input_ids) if inputs_embeds is None else inputs_embeds
            return SimpleNamespace(logits=head(embeds.mean(dim=1)))

    monkeypatch.setattr(type(model), "weights", property(lambda self: Linear()))
    game = model.game(request_of("classify", "good film"), output="logit")
    found = explain_game(game, "integrated_gradients", steps=2)
    exact = explain_game(game, "exact")
    assert found.values == pytest.approx(exact.values, abs=1e-5)
    assert found.meta["completeness_error"] == pytest.approx([0, 0], abs=1e-5)


def test_a_model_with_random_upper_layers_is_explained_otherwise(build: Any, checkpoints: Any, request_of: Any) -> None:
    import torch

    from evalharness.explain.quality import rank_agreement
    from evalharness.models.huggingface.randomised import randomised_top

    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"))
    model.load()
    request = request_of("classify", "A film that is as good as it is long; the actors are wonderful.")
    before = {name: weight.clone() for name, weight in model.weights.state_dict().items()}
    honest = explain_game(model.game(request), "permutation").values
    with randomised_top(model.weights, n_layers=1, seed=3):
        changed = {name for name, weight in model.weights.state_dict().items() if not torch.equal(weight, before[name])}
        other = explain_game(model.game(request), "permutation").values
    assert any("classifier" in name for name in changed)
    assert any("layer.1." in name for name in changed)
    assert not any("layer.0." in name or "embeddings" in name for name in changed)
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights.state_dict().items())
    assert rank_agreement(honest, other) < 0.95
    assert explain_game(model.game(request), "permutation").values == pytest.approx(honest, abs=1e-9)
    with pytest.raises(UsageError, match="from 0 to 2"), randomised_top(model.weights, n_layers=3):
        pass


def state_of(model: Any) -> dict[str, Any]:
    return {name: weight.clone() for name, weight in model.weights.state_dict().items()}


def test_nothing_of_a_random_model_is_left_behind(build: Any, checkpoints: Any, request_of: Any) -> None:
    """A causal model holds the keys and values of the last prompt: they must not cross into or out of the block."""
    import torch

    # The model's own head is the embeddings' table here, and stays: the layers alone must change the answer.
    model = build("hf-causal", checkpoints("llama", "causal", style="bos"))
    model.load()
    request = request_of("loglikelihood", "Question: Is the film good? Answer:", continuations=[" yes"])
    whole = np.ones((1, len(model.game(request).tokens)), dtype=bool)

    def likelihood() -> float:
        return float(model.game(request, output="log_likelihood").value(whole)[0, 0])

    honest, before = likelihood(), state_of(model)
    with model.randomised(seed=1):
        drawn = likelihood()
        model.forget_computed()
        assert likelihood() == pytest.approx(drawn, abs=1e-6)
    assert abs(drawn - honest) > 1e-3
    assert likelihood() == pytest.approx(honest, abs=1e-9)
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights.state_dict().items())
    with model.randomised(seed=1):
        assert likelihood() == pytest.approx(drawn, abs=1e-6)
    with model.randomised(seed=2):
        assert abs(likelihood() - drawn) > 1e-6


def test_the_weights_come_back_where_the_explanation_fails(
    build: Any, checkpoints: Any, request_of: Any, monkeypatch: Any
) -> None:
    import torch

    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"))
    model.load()
    before = state_of(model)

    def explain() -> None:
        with model.randomised(seed=0):
            assert not all(torch.equal(weight, before[name]) for name, weight in model.weights.state_dict().items())
            raise GameError("on the way")

    with pytest.raises(GameError, match="on the way"):
        explain()
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights.state_dict().items())
    # While they are drawn, too.
    drawn: list[int] = []
    from_numpy = torch.from_numpy

    def ends(noise: Any) -> Any:
        drawn.append(1)
        if len(drawn) == 3:
            raise MemoryError("no room")
        return from_numpy(noise)

    monkeypatch.setattr(torch, "from_numpy", ends)
    with pytest.raises(MemoryError), model.randomised(seed=0):
        pass
    assert len(drawn) == 3
    assert all(torch.equal(weight, before[name]) for name, weight in model.weights.state_dict().items())


def test_weights_that_cannot_be_drawn_are_told_before_any_is(build: Any, checkpoints: Any) -> None:
    import torch

    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"))
    model.load()
    head = model.weights.classifier
    head.weight = torch.nn.Parameter(head.weight.detach().to(torch.int8), requires_grad=False)
    with pytest.raises(UsageError, match="weights of type int8, which cannot be drawn anew"), model.randomised():
        pass
