"""The last layer, for the positions that are asked for: what the whole model computes there, and no more work."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.models.huggingface import head as head_module
from evalharness.models.huggingface.head import Head

pytestmark = pytest.mark.model


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "cohere", "gpt2"])
@pytest.mark.parametrize("n", [1, 4, 5, 12, 15, 16, 40, 70])
def test_logits_are_those_of_the_whole_model(architecture: str, n: int, random_model: Any) -> None:
    import torch

    model = random_model(architecture, "causal")
    ids = torch.arange(5, 5 + 80).view(2, 40)
    rows = torch.arange(n) % 2
    columns = (torch.arange(n) * 7) % 40
    head = Head(model)
    with torch.inference_mode():
        expected = model(ids).logits[rows, columns]
        # The first call tries the layer alone, the second one knows.
        for _ in range(2):
            found = torch.cat(list(head.logits({"input_ids": ids}, rows, columns)))
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n", "calls"), [(3, [3]), (9, [16]), (15, [16]), (16, [16]), (60, [60]), (70, [1, 64, 16])])
def test_the_layer_reads_its_weights_once_a_slice(
    n: int, calls: list[int], random_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(head_module, "_SLICE_BYTES", 1)
    model = random_model("llama", "causal")
    head, ids = Head(model), torch.arange(5, 5 + 80)[None]
    rows, columns = torch.zeros(n, dtype=torch.long), torch.arange(n)
    with torch.inference_mode():
        list(head.logits({"input_ids": ids}, rows, columns))
        sizes: list[int] = []
        model.get_output_embeddings().register_forward_hook(lambda module, args, out: sizes.append(args[0].shape[-2]))
        slices = list(head.logits({"input_ids": ids}, rows, columns))
    assert sizes == calls
    assert sum(map(len, slices)) == n
