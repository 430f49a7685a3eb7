"""Peak memory of a whole `evalharness run` of 1,000 and of 100,000 requests: it must not grow with their number.

    python benchmarks/run_memory.py [--numbers 1000,10000,100000] [--write]

A tiny Llama with random weights (so that the figure is the run's own, not the weights') chooses between two answers
to short questions, a few-shot preamble in front; the record and its report are written. Each run is a process of its
own, with an empty response store.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _table import machine, markdown_table, replace_section
from hf_memory import PREAMBLE, checkpoint

SUITE = """
version: 1
name: memory
models:
  tiny: {backend: hf-causal, path: %(model)s, dtype: float32, device: cpu}
datasets:
  questions: {path: questions.jsonl}
tasks:
  - id: parity
    dataset: questions
    prompt: {file: prompt.j2}
    choices: [odd, even]
    target: "{{ answer }}"
    metrics: [accuracy, f1_macro]
"""


def run(model: Path, n: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
            for i in range(n):
                answer = "odd" if (i + i * i) % 2 else "even"
                file.write(json.dumps({"question": f"the sum of {i} and {i * i}", "answer": answer}) + "\n")
        (folder / "prompt.j2").write_text(PREAMBLE + "Question: is {{ question }} odd or even?\nAnswer:")
        (folder / "suite.yaml").write_text(SUITE % {"model": json.dumps(str(model))})
        command = [sys.executable, "-m", "evalharness", "run", "suite.yaml", "--quiet"]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0, done
        seconds = time.perf_counter() - began
        (manifest,) = folder.glob("reports/runs/*/run.json")
        execution = json.loads(manifest.read_text())["execution"]
        work = execution["work"]["tiny"]["loglikelihood"]
        size = sum(path.stat().st_size for path in manifest.parent.iterdir())
    assert execution["n_asked"] == n, execution
    return {"seconds": seconds, "ratio": work["tokens_computed"] / work["tokens_distinct"], "record_mb": size / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", default="1000,10000,100000")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        found = run(Path(args.worker[0]), int(args.worker[1]))
        found["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(json.dumps(found))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoint(Path(folder))
        for n in map(int, args.numbers.split(",")):
            command = [sys.executable, __file__, "--worker", folder, str(n)]
            done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            row = [f"{n:,}", f"{found['peak_mb']:,.0f} MB", f"{found['ratio']:.3f}", f"{found['record_mb']:,.0f} MB"]
            rows.append([*row, f"{found['seconds']:.0f} s"])
            print(rows[-1], flush=True)
    header = ["requests", "peak memory", "computed / distinct", "record and report", "whole process"]
    text = f"`python benchmarks/run_memory.py`: `evalharness run`, a tiny Llama, two choices. {machine()}."
    if args.write:
        replace_section("run_memory", f"## Memory of a run\n\n{text}\n\n{markdown_table(header, rows)}")


if __name__ == "__main__":
    main()
