"""Peak memory of the engine for 1,000 and for 100,000 likelihood requests: it must not grow with their number.

    python benchmarks/hf_memory.py [--numbers 1000,10000,100000] [--write]

A tiny Llama with random weights (so that the figure is the engine's own, not the weights') is asked two continuations
of a short question each time, few-shot preamble in front. Requests come from an iterator, answers are counted and let
go. Each number is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _table import machine, markdown_table, replace_section

from evalharness.core.files import cache_dir

PREAMBLE = "".join(f"Question: is the sum of {n} and {n + 1} odd or even?\nAnswer: odd\n\n" for n in range(5))


def checkpoint(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    smollm2 = cache_dir() / "models" / "smollm2-135m"
    if not smollm2.is_dir():
        raise SystemExit("needs the tokenizer of SmolLM2: run `evalharness fetch-model smollm2-135m` first")
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def worker(folder: str, n: int) -> dict[str, Any]:
    from evalharness.core.registry import registry
    from evalharness.core.types import Request
    from evalharness.suite.schema import HfModel

    spec = HfModel(backend="hf-causal", path=folder, dtype="float32", device="cpu")
    model = registry("models").load("hf-causal")(
        "m", spec, base=Path(folder), environ={}, concurrency=1, allow_code=False
    )

    def requests() -> Iterator[Request]:
        for i in range(n):
            question = f"{PREAMBLE}Question: is the sum of {i} and {i * i} odd or even?\nAnswer:"
            yield Request(str(i), "m", "loglikelihood", str(i), question, continuations=(" odd", " even"))

    async def ask() -> int:
        answered = 0
        async for response in model.loglikelihood(requests()):
            answered += response.status == "ok"
        return answered

    began = time.perf_counter()
    answered = asyncio.run(ask())
    report = model.report()["loglikelihood"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"answered": answered, "peak_mb": peak, "seconds": time.perf_counter() - began, **report}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", default="1000,10000,100000")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker[0], int(args.worker[1]))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoint(Path(folder))
        for n in map(int, args.numbers.split(",")):
            command = [sys.executable, __file__, "--worker", folder, str(n)]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            assert found["answered"] == n, found
            ratio = found["tokens_computed"] / found["tokens_distinct"]
            row = [f"{n:,}", f"{found['peak_mb']:,.0f} MB", f"{found['tokens_computed']:,}", f"{ratio:.3f}"]
            rows.append([*row, f"{found['seconds']:.0f} s"])
            print(rows[-1], flush=True)
    header = ["requests", "peak memory", "tokens computed", "computed / distinct", "time"]
    table = markdown_table(header, rows)
    if args.write:
        text = f"`python benchmarks/hf_memory.py`: a tiny Llama, requests from an iterator. {machine()}."
        replace_section("hf_memory", f"## Memory of the engine\n\n{text}\n\n{table}")


if __name__ == "__main__":
    main()
