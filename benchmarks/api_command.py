"""A whole command against an API, from its start to its sealed record and report: time, CPU time and peak memory.

    python benchmarks/api_command.py [--prompts 2000] [--concurrency 100] [--delay-ms 50] [--rounds 3]
                                     [--inspect PATH] [--large 10000,100000] [--only evalharness|growth] [--write]

The same chat prompts to a loopback server, in a process of its own, that answers each request `delay-ms` after it
came: by a bare aiohttp client, by `evalharness run`, by `lm_eval run` and, where `--inspect` names its command, by
`inspect eval`. Every contender is a process of its own with nothing stored; they take turns, and medians are compared.
`--large` runs evalharness against a server that answers at once: does its memory grow with the requests? With
`--only growth` nothing else is measured. Each of the two tables is a section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from _table import as_installed, machine, markdown_table, replace_section
from api_throughput import _serve, bare_aiohttp

SUITE = """
version: 1
name: command
models:
  m: {backend: openai, model: bench, base_url: "%(url)s/v1"}
datasets:
  questions: {path: questions.jsonl, id: id}
tasks:
  - id: capitals
    dataset: questions
    messages: [{role: user, content: "{{ question }}"}]
    reference: "{{ answer }}"
    generate: {max_tokens: 256}
    metrics: [exact_match]
execution: {concurrency: %(concurrency)d}
"""
LM_EVAL_TASK = """
task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: [], max_gen_toks: 256, do_sample: false}
metric_list: [{metric: exact_match}]
"""
INSPECT_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset, FieldSpec
from inspect_ai.scorer import match
from inspect_ai.solver import generate

@task
def capitals():
    fields = FieldSpec(input="question", target="answer", id="id")
    return Task(dataset=json_dataset("questions.jsonl", fields), solver=generate(), scorer=match(location="exact"))
"""


class Taken(NamedTuple):
    """What a process took: wall time and CPU time in seconds, largest resident memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measured(command: Sequence[str], folder: Path, **environ: str) -> Taken:
    with (folder / "output.txt").open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, env={**os.environ, **environ})
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    assert code == 0, f"{command} ended with {code}:\n{(folder / 'output.txt').read_text()[-3000:]}"
    return Taken(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_questions(folder: Path, n: int) -> None:
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
        for i in range(n):
            question = f"Question {i}: what is the capital of France?"
            file.write(json.dumps({"id": str(i), "question": question, "answer": "Paris."}) + "\n")


def run_bare(folder: Path, url: str, n: int, concurrency: int) -> Taken:
    return measured([sys.executable, __file__, "--bare", url, str(n), str(concurrency)], folder)


def run_evalharness(folder: Path, url: str, n: int, concurrency: int) -> Taken:
    (folder / "suite.yaml").write_text(SUITE % {"url": url, "concurrency": concurrency})
    taken = measured([sys.executable, "-m", "evalharness", "run", "suite.yaml"], folder)
    (manifest,) = folder.glob("reports/runs/*/run.json")
    found = json.loads(manifest.read_text())
    assert found["execution"]["n_asked"] == n
    assert found["results"][0]["value"] == 1.0
    assert (manifest.parent / "report.html").is_file()
    return taken


def run_lm_eval(folder: Path, url: str, n: int, concurrency: int) -> Taken:
    (folder / "capitals.yaml").write_text(LM_EVAL_TASK)
    arguments = f"model=bench,base_url={url}/v1/chat/completions,num_concurrent={concurrency},tokenizer_backend=None"
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "local-chat-completions"]
    command += ["--model_args", arguments, "--tasks", "capitals", "--include_path", "."]
    command += ["--apply_chat_template", "--output_path", "out", "--log_samples"]
    taken = measured(command, folder, OPENAI_API_KEY="none", HF_HUB_OFFLINE="1", HF_HOME=str(folder / "hf"))
    (samples,) = folder.glob("out/**/samples_capitals_*.jsonl")
    assert sum(1 for _ in samples.open()) == n
    return taken


def run_inspect(folder: Path, url: str, n: int, concurrency: int, *, inspect: str) -> Taken:
    (folder / "capitals.py").write_text(INSPECT_TASK)
    command = [inspect, "eval", "capitals.py", "--model", "openai-api/bench/bench", "--display", "none"]
    command += ["--max-connections", str(concurrency), "--max-samples", str(concurrency), "--max-tokens", "256"]
    return measured(command, folder, BENCH_BASE_URL=f"{url}/v1", BENCH_API_KEY="none")


@contextmanager
def server(delay_ms: float) -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(delay_ms / 1000, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def once(name: str, url: str, n: int, concurrency: int, inspect: str | None) -> Taken:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_questions(folder, n)
        if name == "Inspect":
            assert inspect is not None
            return run_inspect(folder, url, n, concurrency, inspect=inspect)
        run = {"bare aiohttp": run_bare, "evalharness": run_evalharness, "lm-eval": run_lm_eval}[name]
        return run(folder, url, n, concurrency)


def comparison(names: Sequence[str], args: argparse.Namespace) -> list[list[str]]:
    taken: dict[str, list[Taken]] = {name: [] for name in names}
    with server(args.delay_ms) as url:
        for _ in range(args.rounds):
            for name in names:
                taken[name].append(once(name, url, args.prompts, args.concurrency, args.inspect))
                print(name, *(f"{figure:.2f}" for figure in taken[name][-1]), flush=True)
    rows = []
    for name, found in taken.items():
        wall_s, cpu_s, peak_mb = (statistics.median(figures) for figures in zip(*found, strict=True))
        rows.append([name, f"{wall_s:.2f} s", f"{cpu_s:.2f} s", f"{peak_mb:,.0f} MB"])
    return rows


def growth(numbers: Sequence[int], concurrency: int) -> list[list[str]]:
    rows = []
    with server(0.0) as url:
        for n in numbers:
            taken = once("evalharness", url, n, concurrency, None)
            rows.append([f"{n:,}", f"{taken.wall_s:.1f} s", f"{taken.cpu_s:.1f} s", f"{taken.peak_mb:,.0f} MB"])
            print(*rows[-1], flush=True)
    return rows


def main() -> None:
    if sys.argv[1:2] == ["--bare"]:
        asyncio.run(bare_aiohttp(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=2_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--delay-ms", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inspect", metavar="PATH", help="the command `inspect` of an environment with inspect-ai")
    parser.add_argument("--large", default="", metavar="N,N", help="numbers of requests for the second table")
    parser.add_argument("--only", metavar="NAME", help="measure one contender alone")
    parser.add_argument("--write", action="store_true", help="write the tables to RESULTS.md")
    args = parser.parse_args()
    as_installed()
    load = os.getloadavg()[0]
    names = ["bare aiohttp", "evalharness", "lm-eval", *(["Inspect"] if args.inspect else [])]
    names = [name for name in names if args.only in (None, name)]
    sections = {}
    if names:
        rows = comparison(names, args)
        sections["api_command"] = [
            "## Whole commands against an API",
            f"`python benchmarks/api_command.py`: {args.prompts:,} chat prompts, {args.concurrency} in flight, a "
            f"loopback server that answers after {args.delay_ms:g} ms; from the start of the process to its end, "
            f"results written; medians of {args.rounds} alternating rounds. {machine()}; load average {load:.1f} when "
            "it began.",
            markdown_table(["command", "wall", "CPU", "peak memory"], rows),
        ]
    if args.large:
        rows = growth([int(number) for number in args.large.split(",")], args.concurrency)
        sections["api_command_growth"] = [
            "## Many requests to an API",
            f"`python benchmarks/api_command.py --only growth --large {args.large}`: the same command and a server "
            f"that answers at once. {machine()}; load average {load:.1f} when it began.",
            markdown_table(["requests of `evalharness run`", "wall", "CPU", "peak memory"], rows),
        ]
    for name, parts in sections.items():
        text = "\n\n".join(parts)
        print(text)
        if args.write and args.only in (None, "growth"):
            replace_section(name, text)


if __name__ == "__main__":
    main()
