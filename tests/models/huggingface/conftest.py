"""Tiny random checkpoints of many architectures, and helpers that ask them without an event loop in sight."""

from __future__ import annotations

import asyncio
import functools
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evalharness.core.files import cache_dir

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TEXTS = [
    "The capital of France is Paris, and the capital of Germany is Berlin.",
    "A film that is as good as it is long; the actors are wonderful.",
    "Tokens carry the space in front of a word, so trailing spaces move.",
    "naïve café 北京 🙂 numbers 12345 and 67890!",
    "user assistant system Question: Answer: yes no maybe positive negative",
]
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


# Read before any test points it elsewhere.
_USERS_CACHE = cache_dir()


@pytest.fixture(scope="session")
def users_cache() -> Path:
    """The cache folder of whoever runs the tests, where fetched models are."""
    return _USERS_CACHE


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    pytest.importorskip("transformers", reason="needs the hf extra")
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of one test's checkpoints are not remembered for another's."""
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "evalharness-cache"))


def _train(special: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def make_tokenizer(
    style: str = "plain", *, pad: bool = True, template: str | None = None, model_max_length: int | None = None
) -> Any:
    """A byte-level BPE tokenizer: `plain` adds no special tokens, `bos` one before, `t5` EOS behind, `bert` both."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
    if pad:
        names["pad_token"] = "<pad>"
    backend = _train(["<pad>", "</s>", "<unk>", "<s>", "<mask>"] if pad else ["</s>", "<unk>", "<s>", "<mask>"])
    pairs = [(token, backend.token_to_id(token)) for token in ("<s>", "</s>")]
    single = {"bos": "<s> $A", "t5": "$A </s>", "bert": "<s> $A </s>"}.get(style)
    if single is not None:
        backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=pairs)
    extra = {} if model_max_length is None else {"model_max_length": model_max_length}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **names, **extra)
    tokenizer.chat_template = template
    return tokenizer


_DECODER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3}


def _configs() -> dict[str, Callable[[], Any]]:
    import transformers as t

    short = {"vocab_size": 420, **_IDS}
    decoder = {**short, **_DECODER, "max_position_embeddings": 96}
    grouped = {**decoder, "num_key_value_heads": 2}
    bert = {**short, **_DECODER, "max_position_embeddings": 64}
    return {
        "llama": lambda: t.LlamaConfig(**grouped),
        "gpt2": lambda: t.GPT2Config(**short, n_embd=32, n_layer=2, n_head=4, n_positions=96),
        "gpt_neox": lambda: t.GPTNeoXConfig(**decoder),
        "opt": lambda: t.OPTConfig(**{**decoder, "ffn_dim": 64, "word_embed_proj_dim": 32}),
        "mistral": lambda: t.MistralConfig(**grouped, sliding_window=8),
        "qwen2": lambda: t.Qwen2Config(**grouped),
        "qwen3": lambda: t.Qwen3Config(**grouped, head_dim=8),
        "phi": lambda: t.PhiConfig(**decoder),
        "falcon": lambda: t.FalconConfig(**short, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
        "gemma3": lambda: t.Gemma3TextConfig(**grouped, head_dim=8, sliding_window=8),
        "gemma": lambda: t.GemmaConfig(**grouped, head_dim=8),
        # A cap that the scores of so small a model reach.
        "gemma2": lambda: t.Gemma2Config(
            **grouped, head_dim=8, sliding_window=8, final_logit_softcapping=2.0, attn_logit_softcapping=0.02
        ),
        "cohere": lambda: t.CohereConfig(**grouped, logit_scale=0.25),
        "bloom": lambda: t.BloomConfig(**short, hidden_size=32, n_layer=2, n_head=4, seq_length=96),
        "mamba": lambda: t.MambaConfig(
            **short, hidden_size=32, state_size=4, num_hidden_layers=2, expand=2, time_step_rank=4
        ),
        # It reads padding as it reads text.
        "rwkv": lambda: t.RwkvConfig(
            **short, hidden_size=32, attention_hidden_size=32, num_hidden_layers=2, context_length=96
        ),
        "t5": lambda: t.T5Config(
            vocab_size=420, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, pad_token_id=0, eos_token_id=1,
            decoder_start_token_id=0,
        ),
        "bart": lambda: t.BartConfig(
            **short, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=96,
            decoder_start_token_id=1, forced_bos_token_id=None, forced_eos_token_id=None,
        ),
        "bert": lambda: t.BertConfig(**bert),
        "roberta": lambda: t.RobertaConfig(**bert),
        # It mixes the columns of a batch, padding with them.
        "fnet": lambda: t.FNetConfig(
            vocab_size=420, hidden_size=32, intermediate_size=64, num_hidden_layers=2, max_position_embeddings=64,
            pad_token_id=0,
        ),
        "distilbert": lambda: t.DistilBertConfig(
            vocab_size=420, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=64, pad_token_id=0
        ),
    }  # fmt: skip


CLASSES = {
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "classifier": "AutoModelForSequenceClassification",
    "masked": "AutoModelForMaskedLM",
}


def make_model(architecture: str, kind: str, *, seed: int = 0, **settings: Any) -> Any:
    """A random model; larger weights than usual, so that its distributions are far from even."""
    import torch
    import transformers

    config = _configs()[architecture]()
    for key, value in settings.items():
        setattr(config, key, value)
    torch.manual_seed(seed)
    model = getattr(transformers, CLASSES[kind]).from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2 and "norm" not in name:
                parameter.mul_(4.0)
            elif name.endswith("bias"):
                parameter.normal_(std=0.2)
    return model


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`checkpoints(architecture, kind, style=…, **settings)`: the folder of a saved checkpoint, made once a session."""
    made: dict[str, Path] = {}

    def make(
        architecture: str,
        kind: str,
        *,
        style: str = "plain",
        pad: bool = True,
        template: str | None = None,
        seed: int = 0,
        fresh: bool = False,
        **settings: Any,
    ) -> Path:
        key = repr((architecture, kind, style, pad, template, seed, sorted(settings.items(), key=repr)))
        if fresh or key not in made:
            folder = tmp_path_factory.mktemp(f"{architecture}-{kind}")
            make_model(architecture, kind, seed=seed, **settings).save_pretrained(folder)
            make_tokenizer(style, pad=pad, template=template).save_pretrained(folder)
            if fresh:
                return folder
            made[key] = folder
        return made[key]

    return make


def make_spec(path: Path | str, **settings: Any) -> SimpleNamespace:
    """A model of a suite, with the defaults of the schema."""
    defaults: dict[str, Any] = {
        "path": str(path),
        "revision": None,
        "tokenizer": None,
        "dtype": "auto",
        "device": "cpu",
        "devices": None,
        "device_map": None,
        "adapter": None,
        "add_bos": None,
        "quantization": None,
        "trust_remote_code": False,
        "batch_size": "auto",
        "max_length": None,
        "padding_side": None,
        "labels": None,
        "threshold": 0.5,
    }
    assert not set(settings) - set(defaults), settings
    return SimpleNamespace(**{**defaults, **settings})


@pytest.fixture
def spec() -> Callable[..., SimpleNamespace]:
    return make_spec


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Any]:
    """`build(backend, path, **settings)`: a model made by its registered factory, as the runner makes it."""
    from evalharness.core.registry import registry

    def make(
        backend: str, path: Path | str, *, allow_code: bool = False, base: Path = tmp_path, **settings: Any
    ) -> Any:
        factory = registry("models").load(backend)
        return factory("m", make_spec(path, **settings), base=base, environ={}, concurrency=4, allow_code=allow_code)

    return make


@pytest.fixture
def ask() -> Callable[..., list[Any]]:
    """`ask(model, requests)`: the responses in the order of the requests, each there exactly once."""

    def run(model: Any, requests: Sequence[Any]) -> list[Any]:
        async def main() -> list[Any]:
            try:
                return [response async for response in getattr(model, requests[0].kind)(requests)]
            finally:
                await model.close()

        found = asyncio.run(main())
        assert sorted(r.key for r in found) == sorted(r.key for r in requests)
        by_key = {response.key: response for response in found}
        return [by_key[request.key] for request in requests]

    return run


@pytest.fixture
def request_of() -> Callable[..., Any]:
    """`request_of(kind, prompt, continuations=…, sampling=…)`: a request with a key of its own."""
    from evalharness.core.types import Request, Sampling

    count = 0

    def make(kind: str, prompt: Any, *, continuations: Sequence[str] = (), repeat: int = 0, **sampling: Any) -> Request:
        nonlocal count
        count += 1
        return Request(
            key=f"k{count}",
            model="m",
            kind=kind,  # type: ignore[arg-type]
            sample_id=str(count),
            prompt=prompt,
            continuations=tuple(continuations),
            sampling=Sampling(**sampling),
            repeat=repeat,
        )

    return make


@pytest.fixture(scope="session")
def random_model() -> Callable[..., Any]:
    return make_model


@pytest.fixture(scope="session")
def tokenizer_factory() -> Callable[..., Any]:
    return make_tokenizer


@pytest.fixture(scope="session")
def plain_model() -> Callable[[Path, str], Any]:
    """`plain_model(folder, kind)`: the checkpoint as transformers loads it, for oracles; loaded once."""
    import torch
    import transformers

    @functools.cache
    def load(folder: Path, kind: str) -> Any:
        return getattr(transformers, CLASSES[kind]).from_pretrained(folder, dtype=torch.float32).eval()

    return load


@pytest.fixture(scope="session")
def chat_template() -> str:
    return TEMPLATE


@pytest.fixture
def lora(tmp_path: Path) -> Callable[..., Path]:
    """`lora(folder, seed=…)`: a random LoRA adapter of the causal checkpoint in `folder`, saved by peft."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def make(folder: Path, *, seed: int) -> Path:
        torch.manual_seed(seed)
        config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft calls what transformers deprecates
            adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config)
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_" in name:
                    weight.normal_(std=0.5)
        path = tmp_path / f"lora-{seed}"
        adapted.save_pretrained(path)
        return path

    return make
