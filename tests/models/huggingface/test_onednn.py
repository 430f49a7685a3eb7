"""Layers in oneDNN's layout: the same products, the same weights for who asks, and no other layer changed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from evalharness.models.huggingface import onednn  # noqa: E402
from evalharness.models.huggingface.head import Head  # noqa: E402
from evalharness.models.huggingface.onednn import (  # noqa: E402
    OneDnnLinear,
    gains_by_onednn,
    sizes_of,
    with_onednn,
    without_onednn,
)

pytestmark = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="this torch has no oneDNN",
)


def layer(n_in: int = 256, n_out: int = 320, *, bias: bool = True, dtype: object = torch.float32) -> torch.nn.Linear:
    torch.manual_seed(n_in + n_out)
    return torch.nn.Linear(n_in, n_out, bias=bias, dtype=dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 256), (7, 256), (1, 1, 256), (3, 70, 256), (600, 256), (0, 256), (256,)])
def test_products_are_those_of_the_plain_layer(shape: tuple[int, ...], bias: bool) -> None:
    plain = layer(bias=bias)
    made = OneDnnLinear(plain)
    given = torch.randn(shape)
    with torch.inference_mode():
        wanted, found = plain(given), made(given)
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(made.weight, plain.weight)


def test_gradients_still_reach_the_input() -> None:
    plain = layer()
    made = OneDnnLinear(plain)
    slopes = []
    for one in (plain, made):
        given = torch.linspace(-1, 1, 512).reshape(2, 256).requires_grad_()
        one(given).square().sum().backward()
        slopes.append(given.grad)
    torch.testing.assert_close(*slopes)


class _Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = layer()
        self.small = layer(4, 4)
        self.coarse = layer(dtype=torch.bfloat16)
        self.hooked = layer()
        self.hooked.register_forward_hook(lambda *_: None)
        self.blocks = torch.nn.ModuleList([layer(320, 256, bias=False) for _ in range(2)])

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            given = block(self.first(given))
        return given


def test_plain_float32_layers_are_laid_out_and_no_others() -> None:
    model = _Model()
    given = torch.randn(5, 256)
    with torch.inference_mode():
        wanted = model(given)
        assert with_onednn(model) == 3
        torch.testing.assert_close(model(given), wanted, rtol=1e-5, atol=1e-5)
    kinds = {name: type(one).__name__ for name, one in model.named_modules() if "blocks." in name or name == "first"}
    assert set(kinds.values()) == {"OneDnnLinear"}
    for name in ("small", "coarse", "hooked"):
        assert type(getattr(model, name)) is torch.nn.Linear
    assert with_onednn(model) == 0
    # The dense weights are given up.
    assert not any(parameter.shape == (320, 256) for parameter in model.first.parameters())


def test_layers_that_would_compute_something_else_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneDnnLinear, "forward", lambda self, given: torch.zeros(*given.shape[:-1], self.out_features))
    model = _Model()
    assert with_onednn(model) == 0
    assert type(model.first) is torch.nn.Linear


@pytest.mark.parametrize(("vendor", "gains"), [("AuthenticAMD", True), ("GenuineIntel", False), (None, False)])
def test_only_amd_processors_gain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, vendor: str | None, gains: bool
) -> None:
    info = tmp_path / "cpuinfo"
    if vendor is not None:
        info.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    monkeypatch.setattr(onednn, "_CPUINFO", info)
    gains_by_onednn.cache_clear()
    assert gains_by_onednn() is gains
    gains_by_onednn.cache_clear()


@pytest.mark.model
def test_a_model_s_logits_and_head(checkpoints) -> None:
    from transformers import AutoModelForCausalLM

    path = checkpoints("llama", "causal", hidden_size=256, intermediate_size=512)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    ids = torch.arange(2, 26).reshape(2, 12)
    with torch.inference_mode():
        wanted = model(ids).logits
        assert with_onednn(model) > 3
        torch.testing.assert_close(model(ids).logits, wanted, rtol=1e-4, atol=1e-4)
        rows, columns = torch.tensor([0, 1]), torch.tensor([3, 11])
        for _ in range(2):  # the first pass looks how logits are made, the second goes by it
            found = torch.cat(list(Head(model).logits({"input_ids": ids}, rows, columns)))
            torch.testing.assert_close(found, wanted[rows, columns], rtol=1e-4, atol=1e-4)


def test_sizes_count_each_weight_once_and_plain_layers_come_back() -> None:
    model = _Model()
    model.out = layer(256, 300, bias=False)
    model.embedding = torch.nn.Embedding(300, 256)
    model.out.weight = model.embedding.weight
    before = sizes_of(model)
    weights = {name: one.detach().clone() for name, one in model.state_dict().items()}
    assert with_onednn(model) == 4
    assert sizes_of(model) == before
    assert without_onednn(model) == 4
    assert model.out.weight is model.embedding.weight
    assert not any(isinstance(one, OneDnnLinear) for one in model.modules())
    after = model.state_dict()
    assert set(after) == set(weights)
    assert all(torch.equal(after[name], weight) for name, weight in weights.items())


def test_each_dense_layer_is_free_as_soon_as_it_has_been_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them beside all laid out ones would be the whole model twice."""
    import weakref

    model = torch.nn.Sequential(*(torch.nn.Sequential(layer(), torch.nn.ReLU()) for _ in range(6)))
    dense = [weakref.ref(block[0].weight) for block in model]
    alive: list[int] = []
    make = OneDnnLinear.__init__

    def counted(self: OneDnnLinear, plain: torch.nn.Linear, **more: bool) -> None:
        alive.append(sum(one() is not None for one in dense))
        make(self, plain, **more)

    monkeypatch.setattr(OneDnnLinear, "__init__", counted)
    assert with_onednn(model) == 6
    assert alive == [6, 5, 4, 3, 2, 1] or alive == [6, 6, 5, 4, 3, 2]
