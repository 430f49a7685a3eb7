"""How fast and how exactly we score Hugging Face checkpoints, beside `lm_eval --model hf`, both in one run.

    python benchmarks/hf_scoring.py [--model small|smollm2] [--only 5-shot,0-shot …] [--batch-sizes 8,32] [--rounds 1]
    python benchmarks/hf_scoring.py --model llama-1b --device cuda --dtype bfloat16 --batch-sizes 16,64

The tasks are lm-eval's own YAML over real prose (the King James Bible that `evalharness fetch-data kjv` makes): of four
continuations, which one follows? Every measurement is a process of its own. lm-eval's figure is that of its best batch
size among those given. The model is SmolLM2-135M-Instruct (`evalharness fetch-model smollm2-135m`), or a Llama of four
layers of width 256 with random weights and the same tokenizer; for a GPU, one of 1.1 billion parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from _table import as_installed, machine, markdown_table, replace_section

from evalharness.core.files import cache_dir

STOPS = {"smollm2": ["."], "small": ["ing", " the", ".", "an"], "llama-1b": ["ing", " the", ".", "an"]}
TITLES = {
    "small": "Llama, 4 layers of width 256",
    "smollm2": "SmolLM2-135M-Instruct",
    "llama-1b": "Llama of 1.1 billion parameters",
}
# What is known of texts that differ, by model.
DIFFERENT = {
    "smollm2": "The text of mixed lengths that differs from lm-eval's at batch 32 is document 58, a tie: after "
    "' Luke 1' the logits of '0' and '7' are 37.324304 and 37.324294 in float64, three steps of float32 apart (two of "
    "them, 7.6e-6, in float32 and alone in its batch). Either text follows from rounding."
}
SHAPES: dict[str, dict[str, Any]] = {
    "small": {
        "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8,
        "initializer_range": 0.08,
    },
    "llama-1b": {
        "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
        "num_key_value_heads": 4, "initializer_range": 0.02,
    },
}  # fmt: skip
# name: (task settings, documents for the small model, for SmolLM2)
WORK: dict[str, tuple[dict[str, Any], int, int]] = {
    "5-shot, fixed preamble": ({"num_fewshot": 5, "sampler": "first_n"}, 200, 50),
    "5-shot, drawn per document": ({"num_fewshot": 5, "sampler": "default"}, 200, 20),
    "0-shot": ({"num_fewshot": 0}, 500, 100),
    "generation, mixed lengths": ({"generate": 64, "stops": True}, 200, 60),
    "generation, equal lengths": ({"generate": 64, "stops": False}, 100, 40),
}


# ── the tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def documents(n: int) -> list[dict[str, Any]]:
    """Two sentences of prose, the beginning of the next one and of three others."""
    path = cache_dir() / "data" / "kjv" / "test.jsonl"
    chapters = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = [[part.strip() + "." for part in text.split(".") if part.strip()] for text in chapters]
    draw = random.Random(5)
    starts = [" ".join(s.split()[:8]) for chapter in sentences for s in chapter]
    found = []
    for chapter in sentences:
        for at in range(len(chapter) - 2):
            right = " ".join(chapter[at + 2].split()[:8])
            choices = [right, *draw.sample([s for s in starts if s != right], 3)]
            draw.shuffle(choices)
            found.append(
                {"context": f"{chapter[at]} {chapter[at + 1]}", "choices": choices, "label": choices.index(right)}
            )
    draw.shuffle(found)
    assert len(found) >= n + 20, f"{len(found)} documents, {n} asked for"
    return found[: n + 20]


def write_task(folder: Path, name: str, model: str, n: int) -> None:
    """The task `bench` of lm-eval in `folder`."""
    settings = WORK[name][0]
    rows = documents(n)
    for split, part in (("test", rows[:n]), ("train", rows[n:])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    task: dict[str, Any] = {
        "task": "bench",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {s: str(folder / f"{s}.jsonl") for s in ("train", "test")}},
        "test_split": "test",
        "doc_to_text": "Text: {{context}}\nNext:",
        "num_fewshot": settings.get("num_fewshot", 0),
    }
    if "generate" in settings:
        stops = STOPS[model] if settings["stops"] else []
        task |= {
            "output_type": "generate_until",
            "doc_to_target": "{{choices[label]}}",
            "generation_kwargs": {"until": stops, "max_gen_toks": settings["generate"], "do_sample": False},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    else:
        task |= {
            "output_type": "multiple_choice",
            "doc_to_choice": "choices",
            "doc_to_target": "label",
            "metric_list": [
                {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")
            ],
        }
    if "sampler" in settings:
        task |= {"fewshot_split": "train", "fewshot_config": {"sampler": settings["sampler"], "split": "train"}}
    (folder / "bench.yaml").write_text(json.dumps(task), encoding="utf-8")


def checkpoint(model: str) -> Path:
    """The folder of the model that is scored; the small one is made where it is not there."""
    smollm2 = cache_dir() / "models" / "smollm2-135m"
    if not smollm2.is_dir():
        raise SystemExit("needs SmolLM2: run `evalharness fetch-model smollm2-135m` first")
    if model == "smollm2":
        return smollm2
    folder = cache_dir() / "bench" / ("llama-4x256" if model == "small" else model)
    if not (folder / "config.json").is_file():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(smollm2)
        config = LlamaConfig(
            vocab_size=len(tokenizer), max_position_embeddings=2048, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id, **SHAPES[model],
        )  # fmt: skip
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


# ── one measurement, in a process of its own ──────────────────────────────────────────────────────────────────────


class Where(NamedTuple):
    """On what the models compute, and in which numbers."""

    device: str
    dtype: str


def measure(engine: str, folder: Path, model: Path, batch_size: str, where: Where) -> dict[str, Any]:
    """Score the task with `engine`; seconds of the scoring phase, tokens computed, peak memory, every answer."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    arguments = f"pretrained={model},dtype={where.dtype},device={where.device}"
    computed = {"tokens": 0}
    if engine == "lm-eval":
        from lm_eval.models.huggingface import HFLM

        lm: Any = HFLM(pretrained=str(model), dtype=where.dtype, batch_size=batch_size, device=where.device)

        def count(module: Any, args: Any, kwargs: Any) -> None:
            ids = kwargs.get("input_ids", args[0] if args else None)
            computed["tokens"] += 0 if ids is None else ids.numel()

        lm.model.register_forward_pre_hook(count, with_kwargs=True)
    else:
        from evalharness.integrations.lm_eval.model import EvalHarnessLM

        lm = EvalHarnessLM(**dict(part.split("=", 1) for part in arguments.split(",")))
    timed = {"seconds": 0.0}
    for verb in ("loglikelihood", "generate_until"):
        _time(lm, verb, timed)
    found = lm_eval.simple_evaluate(
        model=lm,
        tasks=["bench"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
        verbosity="ERROR",
    )
    if engine != "lm-eval":
        report = lm._engine.model.report()
        work = next((one for one in report.values() if "tokens_computed" in one), {})
        computed = {"tokens": work.get("tokens_computed", 0), "distinct": work.get("tokens_distinct")}
    samples = [[sample["doc_id"], sample["resps"]] for sample in found["samples"]["bench"]]
    metrics = {k: v for k, v in found["results"]["bench"].items() if isinstance(v, float)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if where.device != "cpu":
        import torch

        peak = torch.cuda.max_memory_allocated() / 2**20
    return {"seconds": timed["seconds"], "peak_mb": peak, "samples": samples, "metrics": metrics, **computed}


def _time(lm: Any, verb: str, into: dict[str, float]) -> None:
    inner = getattr(lm, verb)

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            into["seconds"] += time.perf_counter() - began

    setattr(lm, verb, timed)


def in_process(engine: str, folder: Path, model: Path, batch_size: str, where: Where) -> dict[str, Any]:
    """`measure` in a fresh interpreter."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, __file__, "--worker", engine, str(folder), str(model), batch_size, *where, out.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{engine} failed:\n{done.stderr[-3000:]}")
        result: dict[str, Any] = json.loads(Path(out.name).read_text(encoding="utf-8"))
    return result


class Whole(NamedTuple):
    """A command line from start to end: how long it took, and the most memory that it had."""

    seconds: float
    peak_mb: float


def whole_process(engine: str, folder: Path, model: Path, batch_size: str, where: Where) -> Whole:
    """Run the command line of `engine`."""
    program = ["lm_eval"] if engine == "lm-eval" else ["evalharness", "lm-eval"]
    command = [
        sys.executable, "-m", *program, "run", "--model", "hf", "--tasks", "bench",
        "--include_path", str(folder), "--model_args", f"pretrained={model},dtype={where.dtype}",
        "--batch_size", batch_size, "--device", where.device,
    ]  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{engine} failed:\n{errors.read().decode(errors='replace')[-3000:]}")
    return Whole(seconds, used.ru_maxrss / 1024)


# ── comparison ────────────────────────────────────────────────────────────────────────────────────────────────────


def agreement(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """How far the answers differ, in a few words."""
    largest, greedy, texts, n = 0.0, 0, 0, 0
    for (_, a), (_, b) in zip(theirs["samples"], ours["samples"], strict=True):
        for one, other in zip(a, b, strict=True):
            n += 1
            x, y = one[0], other[0]
            if isinstance(x, str):
                texts += x != y
            else:
                largest = max(largest, abs(float(x[0]) - float(y[0])))
                greedy += str(x[1]) != str(y[1])
    same = all(abs(ours["metrics"][key] - value) < 1e-9 for key, value in theirs["metrics"].items() if value == value)
    figures = "same metrics" if same else "OTHER METRICS"
    if largest == 0.0 and texts + greedy == 0 and isinstance(theirs["samples"][0][1][0][0], str):
        return f"{n} texts equal, {figures}"
    if isinstance(theirs["samples"][0][1][0][0], str):
        return f"{texts} of {n} texts differ, {figures}"
    return f"{n} log-likelihoods within {largest:.1e}, {greedy} greedy flags differ, {figures}"


def compare(
    model: str, names: list[str], batch_sizes: list[str], rounds: int, scale: float, where: Where
) -> list[list[str]]:
    """A row of the table for each work."""
    path = checkpoint(model)
    table = []
    for name in names:
        n = max(4, int(WORK[name][2 if model == "smollm2" else 1] * scale))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_task(folder, name, model, n)
            theirs: dict[str, list[dict[str, Any]]] = {size: [] for size in batch_sizes}
            ours: list[dict[str, Any]] = []
            for _ in range(rounds):
                ours.append(in_process("evalharness", folder, path, "auto", where))
                for size in batch_sizes:
                    theirs[size].append(in_process("lm-eval", folder, path, size, where))
        best = min(batch_sizes, key=lambda size: statistics.median(r["seconds"] for r in theirs[size]))
        peer, own = theirs[best], ours
        seconds = [statistics.median(r["seconds"] for r in runs) for runs in (peer, own)]
        with tempfile.TemporaryDirectory() as temporary:
            write_task(Path(temporary), name, model, n)
            ends = [
                whole_process(engine, Path(temporary), path, batch_sizes[0], where)
                for engine in ("lm-eval", "evalharness")
            ]
        at8 = theirs[batch_sizes[0]][0]["peak_mb"]
        distinct = own[0].get("distinct")
        row = [
            f"{name}, {n} documents",
            f"{seconds[0]:.1f} s (batch {best})",
            f"{seconds[1]:.2f} s",
            f"**{seconds[0] / seconds[1]:.1f}×**",
            f"{ends[0].seconds:.1f} s / {ends[1].seconds:.1f} s: {ends[0].seconds / ends[1].seconds:.1f}×",
            f"{ends[0].peak_mb:,.0f} / {ends[1].peak_mb:,.0f}",
            f"{peer[0]['tokens']:,} / {own[0]['tokens']:,}",
            "" if distinct is None else f"{own[0]['tokens'] / distinct:.3f}",
            f"{at8:,.0f} / {own[0]['peak_mb']:,.0f}",
            agreement(peer[0], own[0]),
        ]
        print(" | ".join(row), flush=True)
        table.append(row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=(*TITLES, "both"), default="both")
    parser.add_argument("--only", default="", help="parts of names of the work, with commas")
    parser.add_argument("--batch-sizes", default="8,32", help="of lm-eval; its best one counts")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the documents")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--worker", nargs=7, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        engine, folder, model, size, device, dtype, out = args.worker
        result = measure(engine, Path(folder), Path(model), int(size) if size.isdigit() else size, Where(device, dtype))
        Path(out).write_text(json.dumps(result), encoding="utf-8")
        return
    names = [name for name in WORK if not args.only or any(part in name for part in args.only.split(","))]
    as_installed()
    sizes = args.batch_sizes.split(",")
    models = ["small", "smollm2"] if args.model == "both" else [args.model]
    header = [
        "work", "lm_eval --model hf", "evalharness", "ratio", f"whole process, batch {sizes[0]}", "its peak MB",
        "tokens computed: theirs / ours", "computed / distinct",
        "peak MB as a model of lm-eval" if args.device == "cpu" else "peak MB on the GPU", "agreement",
    ]  # fmt: skip
    where = Where(args.device, args.dtype)
    for model in models:
        load = os.getloadavg()[0]
        table = compare(model, names, sizes, args.rounds, args.scale, where)
        text = markdown_table(header, table)
        print(text)
        if args.write:
            title = TITLES[model]
            on = "" if args.device == "cpu" else f"--device {args.device} --dtype {args.dtype} "
            given = f"{on}--batch-sizes {args.batch_sizes} --rounds {args.rounds} --scale {args.scale}"
            note = (
                f"`python benchmarks/hf_scoring.py --model {model} {given}`: scoring phase, {args.dtype}, median of "
                f"{args.rounds} alternating rounds; the whole process is that of the two command lines. {machine()}; "
                f"load average {load:.1f} when it began."
            )
            parts = [f"## Scoring Hugging Face checkpoints: {title}", note, text]
            if any("mixed" in row[0] and "texts differ" in row[-1] for row in table):
                parts += [DIFFERENT[model]] if model in DIFFERENT else []
            replace_section(f"hf_scoring_{model}", "\n\n".join(parts))


if __name__ == "__main__":
    main()
