"""Whether a model minds company is read off the scores of both tokens, each where rounding does not explain it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from evalharness.models.huggingface.company import minds_company  # noqa: E402


class Scripted:
    """Scores of seven tokens; beside others, `moved` is added to those of token 2 at one of the two steps."""

    def __init__(self, step: int, moved: float) -> None:
        self.step, self.moved = step, moved

    def parameters(self) -> Any:
        return iter([torch.zeros(1)])

    def generate(self, input_ids: Any, generation_config: Any, **_: Any) -> Any:
        assert generation_config.max_new_tokens == 2
        logits = [torch.zeros(len(input_ids), 7), torch.zeros(len(input_ids), 7)]
        if len(input_ids) > 1:
            logits[self.step][:, 2] += self.moved
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize(
    ("step", "moved", "minds"), [(0, 0.5, True), (1, 0.5, True), (0, 1e-5, False), (1, 1e-5, False), (1, -0.5, True)]
)
def test_both_tokens_count(step: int, moved: float, minds: bool) -> None:
    from transformers import GenerationConfig

    found = minds_company(
        Scripted(step, moved), [(3, 4), (5,)], config=GenerationConfig(), pad=0, side="left", device="cpu"
    )
    assert found is minds
