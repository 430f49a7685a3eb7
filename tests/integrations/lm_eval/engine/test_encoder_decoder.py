"""Encoder-decoders beside `lm_eval --model hf` at batch size 1: sources, start tokens, lengths of answers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from .conftest import make_tokenizer

pytestmark = [pytest.mark.model, pytest.mark.slow]

PAIRS = [
    ("The capital of France is", " Paris"),
    ("", "Nothing before it"),
    ("user assistant ", "yes"),
    ("<s>A marked beginning", " no"),
    ("Question: maybe " * 30, "Answer: positive"),
]
PROMPTS = ["The capital of France is", "", "Question: maybe " * 30]


def checkpoint(architecture: str, folder: Path) -> Path:
    import torch
    import transformers
    from tokenizers import processors

    shared = {"vocab_size": 420, "d_model": 32, "pad_token_id": 0}
    if architecture == "t5":
        config: Any = transformers.T5Config(
            **shared, d_kv=8, d_ff=64, num_layers=2, num_heads=4, eos_token_id=1, decoder_start_token_id=0
        )
    else:
        layers = {f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in _LAYERS.items()}
        config = transformers.BartConfig(
            **shared, **layers, max_position_embeddings=96, bos_token_id=2, eos_token_id=1, decoder_start_token_id=1
        )
    torch.manual_seed(0)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(4.0)
    # What BART's checkpoints say, and generation only follows.
    model.generation_config.forced_bos_token_id = None if architecture == "t5" else 7
    model.save_pretrained(folder)
    tokenizer = make_tokenizer(bos="<s>", eos="</s>", puts_bos=False, template=None)
    ends = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    single = "$A </s>" if architecture == "t5" else "<s> $A </s>"
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=ends)
    tokenizer.save_pretrained(folder)
    return folder


_LAYERS = {"layers": 2, "attention_heads": 4, "ffn_dim": 64}


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_it_is_lm_evals(architecture: str, tmp_path: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from evalharness.integrations.lm_eval.model import EvalHarnessLM

    folder = str(checkpoint(architecture, tmp_path))
    logging.disable(logging.WARNING)
    try:
        theirs: Any = HFLM(pretrained=folder, backend="seq2seq", device="cpu", dtype="float32", batch_size=1)
        ours: Any = EvalHarnessLM(folder, backend="seq2seq", device="cpu", dtype="float32")
        try:
            pairs = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(PAIRS)]
            expected = theirs.loglikelihood(pairs, disable_tqdm=True)
            found = ours.loglikelihood(pairs, disable_tqdm=True)
            assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
            assert [total for total, _ in found] == pytest.approx([total for total, _ in expected], abs=1e-3)
            # lm-eval's own model fails where an answer passes the 96 positions of this BART.
            for prompt in PROMPTS if architecture == "t5" else PROMPTS[:2]:
                asked = [Instance("generate_until", {}, (prompt, {"until": ["zzz"], "max_gen_toks": 6}), 0)]
                text = theirs.generate_until(asked, disable_tqdm=True)
                assert text[0]
                assert ours.generate_until(asked, disable_tqdm=True) == text
        finally:
            ours.close()
    finally:
        logging.disable(logging.NOTSET)
