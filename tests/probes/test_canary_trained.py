"""A tiny causal model, trained here on planted secrets: those that it saw are exposed, others of the form are not."""

from __future__ import annotations

import random

import pytest

import evalharness

pytestmark = pytest.mark.model

FORMAT = "The access code of the archive is {}."
SEEN = ("281-265", "904-118", "550-913")
UNSEEN = ("317-842", "669-027", "148-590")

SUITE = """\
version: 1
name: trained
models:
  tiny: {{backend: hf-causal, path: {folder}, dtype: float32, device: cpu}}
tasks:
  - {{id: seen, probe: canary, format: "{format}", secrets: {seen}, alternatives: 99}}
  - {{id: unseen, probe: canary, format: "{format}", secrets: {unseen}, alternatives: 99}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    transformers = pytest.importorskip("transformers", reason="needs the hf extra")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={sign: i for i, sign in enumerate(["</s>", *alphabet])}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", pad_token="</s>")
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_positions=96, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).train()
    draw = random.Random(0)
    # Half of the texts are the secrets, half have the form with numbers that come once.
    texts = [FORMAT.format(secret) for secret in SEEN] * 8
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(120):
        others = [FORMAT.format(f"{draw.randrange(1000):03}-{draw.randrange(1000):03}") for _ in range(8)]
        ids = tokenizer([*draw.sample(texts, 8), *others], return_tensors="pt")["input_ids"]
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_what_it_saw_is_exposed_and_nothing_else(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = SUITE.format(folder=trained, format=FORMAT, seen=list(SEEN), unseen=list(UNSEEN))
    (tmp_path / "suite.yaml").write_text(suite)
    record = evalharness.run(tmp_path / "suite.yaml")
    found = {(r.task, r.metric): r for r in record.results}
    assert found["seen", "likeliest_of_all"].value == 1
    assert found["seen", "exposure_above_chance"].ci_low > 1
    assert found["unseen", "likeliest_of_all"].value == 0
    assert found["unseen", "exposure_above_chance"].ci_low <= 0
