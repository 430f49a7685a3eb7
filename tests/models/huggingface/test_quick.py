"""The shortcuts of explained classifiers: the logits of plain forward passes, with less computed, and undone behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from evalharness.models.huggingface.first_token import first_token_only
from evalharness.models.huggingface.packed import packed_linears
from evalharness.models.huggingface.quick import quick

pytestmark = pytest.mark.model

KINDS = ["Bert", "Roberta", "XLMRoberta", "Camembert", "Electra", "DistilBert"]


def classifier(kind: str, *, seed: int = 0) -> Any:
    import torch
    import transformers

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"vocab_size": 50, "max_position_embeddings": 40, "pad_token_id": 1, "num_labels": 3}
    if kind == "DistilBert":
        sizes |= {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128}
    else:
        sizes |= {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
        sizes |= {"initializer_range": 0.2} | ({"embedding_size": 64} if kind == "Electra" else {})
    made = getattr(transformers, f"{kind}ForSequenceClassification")(getattr(transformers, f"{kind}Config")(**sizes))
    return made.eval()


def texts(m: int = 5, length: int = 9) -> Any:
    import torch

    return torch.randint(3, 50, (m, length), generator=torch.Generator().manual_seed(1))


def last_layer(model: Any) -> Any:
    body = model.base_model
    return (body.transformer if hasattr(body, "transformer") else body.encoder).layer[-1]


def logits(model: Any, ids: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(input_ids=ids).logits


def seen_by(module: Any) -> list[int]:
    """Filled with how many tokens of a text the layer puts out at each call."""
    found: list[int] = []
    module.register_forward_hook(lambda _, __, output: found.append(output.shape[1]))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_a_plain_pass_and_the_last_layer_ends_in_one_token(kind: str) -> None:
    model, ids = classifier(kind), texts()
    plain = logits(model, ids)
    lengths = seen_by(last_layer(model))
    with quick(model, ids[:1]):
        lengths.clear()
        found = logits(model, ids)
    assert lengths == [1]
    assert (found - plain).abs().max() < 1e-5
    assert plain.std() > 1e-2
    assert (logits(model, ids) == plain).all()
    assert lengths == [1, 9]
    assert "forward" not in vars(last_layer(model))


def test_linear_layers_run_on_laid_out_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model, ids = classifier("Bert"), texts()
    plain = logits(model, ids)
    packed = packed_linears(model)
    if packed is None:
        pytest.skip("this torch has no oneDNN")
    with packed:
        found = logits(model, ids)
    # Query, key, value and output are 64 × 64; the head of three rows is too small.
    assert sorted({tuple(each.weight.shape) for each in packed._known.values()}) == [(64, 64), (64, 128), (128, 64)]
    assert len(packed._known) == 2 * 6 + 1
    assert (found - plain).abs().max() < 1e-5
    assert packed_linears(model) is packed
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert packed_linears(model) is None


def test_weights_that_are_changed_in_place_are_followed() -> None:
    import torch

    model, ids = classifier("Bert"), texts()
    with quick(model, ids[:1]):
        before = logits(model, ids)
    with torch.no_grad():
        for weight in last_layer(model).parameters():
            weight.mul_(1.5)
    plain = logits(model, ids)
    with quick(model, ids[:1]):
        found = logits(model, ids)
    assert (found - plain).abs().max() < 1e-5
    assert (found - before).abs().max() > 1e-2


def test_gradients_go_the_ordinary_way() -> None:
    import torch

    model, ids = classifier("Bert"), texts()
    packed = packed_linears(model)
    if packed is None:
        pytest.skip("this torch has no oneDNN")
    with packed, torch.enable_grad():
        assert model(input_ids=ids).logits.requires_grad
    assert not packed._known


def test_a_head_that_reads_all_tokens_keeps_them() -> None:
    model, ids = classifier("Bert"), texts()
    model.bert.pooler.forward = lambda hidden: hidden.mean(dim=1)
    plain = logits(model, ids)
    with first_token_only(model):
        assert (logits(model, ids) - plain).abs().max() > 1e-3
    with quick(model, ids[:1]):
        assert (logits(model, ids) == plain).all()


def test_half_precision_and_other_models_go_the_ordinary_way() -> None:
    import torch

    ids = texts()
    halved = classifier("Bert").to(torch.bfloat16)
    lengths = seen_by(last_layer(halved))
    with quick(halved, ids[:1]):
        logits(halved, ids)
    assert lengths == [9]
    with quick(object(), ids[:1]):
        pass
    masked = classifier("Bert").base_model
    with first_token_only(masked), torch.inference_mode():
        assert masked(input_ids=ids).last_hidden_state.shape[1] == 9


def test_another_thread_and_padded_texts_see_the_whole_layer() -> None:
    import torch

    model, ids = classifier("Bert"), texts()
    plain = logits(model, ids)
    mask = torch.ones_like(ids)
    mask[:, -3:] = 0
    with torch.inference_mode():
        padded = model(input_ids=ids, attention_mask=mask).logits
    lengths = seen_by(last_layer(model))
    found: list[Any] = []
    with first_token_only(model):
        thread = threading.Thread(target=lambda: found.append(logits(model, ids)))
        thread.start()
        thread.join()
        with torch.inference_mode():
            assert (model(input_ids=ids, attention_mask=mask).logits == padded).all()
        with first_token_only(model):
            pass
        logits(model, ids)
    assert lengths == [9, 9, 1]
    assert (found[0] == plain).all()
    assert "forward" not in vars(last_layer(model))


def test_a_layer_that_somebody_else_has_changed_is_left_alone() -> None:
    model, ids = classifier("Bert"), texts()
    layer = last_layer(model)
    layer.forward = theirs = lambda hidden, *args, **kwargs: hidden * 2
    plain = logits(model, ids)
    with quick(model, ids[:1]):
        assert (logits(model, ids) - plain).abs().max() < 1e-5
        assert layer.forward is theirs
    assert layer.forward is theirs
