"""The pieces that CUDA takes in a form of its own: on a CPU they give what the plain form gives."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.model


@pytest.mark.parametrize("shape", [(5, 7), (3, 8), (128, 513), (4, 1)])
def test_rows_of_a_mask_are_aligned(shape: tuple[int, int]) -> None:
    import torch

    from evalharness.models.huggingface.attention import additive_mask

    torch.manual_seed(0)
    seen = torch.rand(shape) < 0.5
    mask = additive_mask(seen, torch.zeros(1, dtype=torch.bfloat16))
    assert mask.dtype == torch.bfloat16
    assert mask.shape == seen.shape
    assert mask.stride(0) % 8 == 0
    assert mask.stride(1) == 1
    assert torch.equal(mask == 0, seen)
    assert torch.equal(mask == float("-inf"), ~seen)


@pytest.mark.parametrize("scaling", [None, 0.3])
@pytest.mark.parametrize(("heads", "kept"), [(4, 2), (6, 1), (8, 2)])
def test_groups_of_heads_as_a_batch(heads: int, kept: int, scaling: Any) -> None:
    import torch

    from evalharness.models.huggingface.attention import _attend_in_groups, additive_mask, attend

    torch.manual_seed(0)
    query, key, value = torch.randn(1, heads, 5, 8), torch.randn(1, kept, 11, 8), torch.randn(1, kept, 11, 8)
    mask = additive_mask(torch.ones(5, 11, dtype=torch.bool).tril(6), query)
    found = _attend_in_groups(query, key, value, mask=mask, scaling=scaling)
    wanted = attend(query, key, value, mask=mask, scaling=scaling, softcap=None)
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, atol=1e-6)


def test_nothing_is_copied_on_one_device() -> None:
    import torch

    from evalharness.models.huggingface.transfer import to_device

    tensor = torch.arange(3)
    assert to_device(tensor, "cpu") is tensor
    assert to_device(tensor, "meta").device.type == "meta"
