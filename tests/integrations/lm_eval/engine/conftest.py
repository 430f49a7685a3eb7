"""Tiny random checkpoints with their tokenizers, tasks written to a folder, and lm-eval's own `hf` beside our model."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TEXTS = [
    "The capital of France is Paris, and the capital of Germany is Berlin.",
    "Tokens carry the space in front of a word, so trailing spaces move; their house is theirs.",
    "naïve café 北京 🙂 numbers 12345 and 67890!",
    "user assistant system Question: Answer: yes no maybe positive negative",
]
_TURNS = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
_END = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
# Architecture, whether the tokenizer puts BOS in front, its BOS and EOS, its chat template.
FAMILIES = {
    "llama": ("llama", True, "<s>", "</s>", "{{ bos_token }}" + _TURNS + _END),
    "gpt2": ("gpt2", False, "<|endoftext|>", "<|endoftext|>", _TURNS + _END),
    "qwen2": ("qwen2", False, None, "<|im_end|>", _TURNS.replace("\n", "<|im_end|>\n") + _END),
}
_DECODER = {
    "vocab_size": 420,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 160,
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    pytest.importorskip("lm_eval", reason="needs the lm-eval extra")
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval's command line sets this one; here it is put back."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


def make_tokenizer(*, bos: str | None, eos: str, puts_bos: bool, template: str | None) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = list(dict.fromkeys(token for token in (eos, bos) if token))
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    if puts_bos:
        pairs = [(bos, backend.token_to_id(bos))]
        backend.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=pairs)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=eos, **({"bos_token": bos} if bos else {}))
    tokenizer.chat_template = template
    return tokenizer


def make_checkpoint(folder: Path, family: str, *, seed: int = 0, **generation: Any) -> Path:
    import torch
    import transformers

    name, puts_bos, bos, eos, template = FAMILIES[family]
    configs: dict[str, Callable[..., Any]] = {
        "llama": lambda **ids: transformers.LlamaConfig(**_DECODER, **ids),
        "qwen2": lambda **ids: transformers.Qwen2Config(**_DECODER, **ids),
        "gpt2": lambda **ids: transformers.GPT2Config(
            vocab_size=420, n_embd=32, n_layer=2, n_head=4, n_positions=160, **ids
        ),
    }
    tokenizer = make_tokenizer(bos=bos, eos=eos, puts_bos=puts_bos, template=template)
    torch.manual_seed(seed)
    config = configs[name](bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for key, weights in model.named_parameters():
            if weights.dim() >= 2 and "norm" not in key:
                # Larger weights than usual: distributions far from even, so that no choice is a tie.
                weights.mul_(6.0)
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`checkpoint(family, **generation)`: the folder of a saved checkpoint, made once a session."""
    made: dict[str, Path] = {}

    def make(family: str, **generation: Any) -> Path:
        key = repr((family, sorted(generation.items())))
        if key not in made:
            made[key] = make_checkpoint(tmp_path_factory.mktemp(family), family, **generation)
        return made[key]

    return make


@pytest.fixture(scope="session")
def theirs() -> Callable[..., Any]:
    """`theirs(folder, **arguments)`: lm-eval's own model."""

    def make(folder: Path, **arguments: Any) -> Any:
        from lm_eval.models.huggingface import HFLM

        return HFLM(str(folder), **{"dtype": "float32", "device": "cpu", **arguments})

    return make


@pytest.fixture(scope="session")
def ours() -> Callable[..., Any]:
    """`ours(folder, **arguments)`: our model for lm-eval."""

    def make(folder: Path, **arguments: Any) -> Any:
        from evalharness.integrations.lm_eval.model import EvalHarnessLM

        return EvalHarnessLM(str(folder), **{"dtype": "float32", "device": "cpu", **arguments})

    return make


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[Any]]:
    """`ask(lm, verb, arguments)`: the answers of one verb of a model of lm-eval."""

    def run(lm: Any, verb: str, arguments: list[Any]) -> list[Any]:
        from lm_eval.api.instance import Instance

        kind = verb if verb != "generate_until" else "generate_until"
        instances = [
            Instance(request_type=kind, doc={}, arguments=args, idx=0, metadata=("a-task", place, 1))
            for place, args in enumerate(arguments)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: list[Any] = getattr(lm, verb)(instances, disable_tqdm=True)
        return found

    return run


def documents() -> list[dict[str, Any]]:
    return [
        {
            "question": f"Question: what is the capital of {'France' if n % 2 else 'Germany'}, number {n}?",
            "choices": [" Paris", " Berlin and the", " yes", " naïve café 北京"],
            "gold": n % 4,
            "text": " ".join(TEXTS[(n + k) % 4] for k in range(1 + n % 3)),
            "answer": "?",
        }
        for n in range(12)
    ]


_COMMON = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}, train: {shots}}}, cache_dir: {cache}}}
test_split: test
training_split: train
fewshot_split: train
"""
_CHOICE = """\
output_type: multiple_choice
doc_to_text: "{{question}}\\nAnswer:"
doc_to_target: gold
doc_to_choice: "{{choices}}"
target_delimiter: ""
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
_GENERATE = """\
output_type: generate_until
doc_to_text: "{{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["the", "\\n\\n"], max_gen_toks: 12}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""
TASKS = {
    "choice": _CHOICE,
    "rolling": """\
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
    "generate": _GENERATE,
    "preamble": _CHOICE + "num_fewshot: 3\nfewshot_config: {sampler: first_n}\ndescription: 'Choose.'\n",
    "chat": _GENERATE + "num_fewshot: 2\n",
    "chat_choice": _CHOICE + "num_fewshot: 2\n",
}


@pytest.fixture(scope="session")
def write_tasks() -> Callable[..., Path]:
    """`write_tasks(folder, answers=…)`: the folder with the tasks; `answers` are the gold ones of generation."""

    def write(folder: Path, *, answers: list[str] | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rows = documents()
        for row, answer in zip(rows, answers or [], strict=False):
            row["answer"] = answer
        for name, part in (("data", rows), ("shots", rows[:5])):
            (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in part), encoding="utf-8")
        where = {"data": folder / "data.jsonl", "shots": folder / "shots.jsonl", "cache": folder / "cache"}
        for name, body in TASKS.items():
            (folder / f"{name}.yaml").write_text(_COMMON.format(name=name, **where) + body, encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., Any]:
    """`evaluate(model, folder, tasks, **options)`: what `simple_evaluate` finds."""

    def run(model: Any, folder: Path, tasks: list[str], **options: Any) -> Any:
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            manager = TaskManager(include_path=str(folder), include_defaults=False)
            return simple_evaluate(model=model, tasks=tasks, task_manager=manager, bootstrap_iters=0, **options)

    return run


@pytest.fixture(scope="session")
def pair_of(
    checkpoint: Any, theirs: Any, ours: Any, write_tasks: Any, evaluate: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], SimpleNamespace]:
    """`pair_of(family)`: the results of lm-eval's model and of ours on all the tasks, computed once a session."""
    made: dict[str, SimpleNamespace] = {}

    def both(family: str) -> SimpleNamespace:
        if family not in made:
            folder = checkpoint(family)
            models = {"theirs": theirs(folder), "ours": ours(folder)}
            tasks = tmp_path_factory.mktemp(f"tasks-{family}")
            # Gold answers that some generations hit, so that exact_match says something.
            first = evaluate(models["theirs"], write_tasks(tasks / "first"), ["generate"])
            found = [sample["resps"][0][0] for sample in first["samples"]["generate"]]
            write_tasks(tasks / "second", answers=[text if n % 3 else "?" for n, text in enumerate(found)])
            results = {}
            for name, model in models.items():
                plain = evaluate(model, tasks / "second", ["choice", "rolling", "generate", "preamble"])
                chat = evaluate(
                    model,
                    tasks / "second",
                    ["chat", "chat_choice"],
                    apply_chat_template=True,
                    fewshot_as_multiturn=True,
                )
                results[name] = {
                    key: {**plain[key], **chat[key]} for key in ("results", "samples", "higher_is_better", "n-samples")
                }
            made[family] = SimpleNamespace(**results)
        return made[family]

    return both
