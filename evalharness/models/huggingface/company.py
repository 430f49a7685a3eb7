"""Whether texts may be made in one batch with `generate`: asked of the model itself.

Most models are told by a mask to pass over the padding of shorter prompts, and keep what they have read of each text
apart. One that does not (RWKV of transformers: its state has read the padding, and mixes the texts) would say something
else in a batch than alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from .probe import tolerance_of
from .scoring import Side, padded

__all__ = ["minds_company"]


def minds_company(
    model: Any, prompts: Sequence[Sequence[int]], *, config: Any, pad: int, side: Side, device: str
) -> bool:
    """Whether the scores of the next two tokens after any of `prompts` are others beside longer prompts than alone.

    `config` is that of `generate`; other scores are those that rounding in the model's dtype does not explain.
    """
    config = copy.deepcopy(config)
    config.max_new_tokens, config.eos_token_id = 2, None
    config.return_dict_in_generate = config.output_logits = True

    def scores(prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """(2, prompts, vocabulary) log-probabilities."""
        ids, mask, _ = padded(prompts, pad=pad, side=side, device=device)
        found = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        return torch.log_softmax(torch.stack(found.logits).double(), dim=-1)

    # Beside all of them as one, so that each is padded by many.
    prompts = [*prompts, [token for prompt in prompts for token in prompt]]
    with torch.inference_mode():
        together = scores(prompts)
        alone = torch.cat([scores([prompt]) for prompt in prompts], dim=1)
    apart = (together - alone).abs()
    apart[alone < alone.amax(dim=-1, keepdim=True) - 10] = 0  # rounding of what is never said may be large
    first = apart[0].amax(dim=-1)
    # The second token follows on the first, which may be another where two are as likely.
    same = together[0].argmax(dim=-1) == alone[0].argmax(dim=-1)
    second = apart[1].amax(dim=-1)[same]
    return not float(torch.cat([first, second]).max()) <= tolerance_of(model)
