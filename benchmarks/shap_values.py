"""Explaining a sentiment classifier, beside shap.Explainer over a transformers pipeline, in one process.

    python benchmarks/shap_values.py [--texts 12] [--skip 0] [--max-evals 500] [--tolerance T …] [--write]

The model is movie-sentiment-minilm (`evalharness fetch-model movie-sentiment-minilm`), the texts are the first of the
test part of movie-sentiment with 12 to 60 tokens, behind those that --skip leaves to another run. Text after text is
explained by all contenders in turns, with the same weights and threads; importing shap and what numba compiles at its
first call are not counted. The time in the model is that of its forward pass for all of them, on one clock.
Faithfulness is measured on the same masked ids for all: comprehensiveness (AOPC at 1, 5, 10, 20 and 50 % of the tokens)
for the label that the model answers, beside ten random orders, and the paired difference to shap with its 95 % interval
(t). Without --write the table is only printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from _table import machine, markdown_table, replace_section
from scipy import stats as scipy_stats

from evalharness.catalog.entries import DATASETS, MODELS
from evalharness.core.types import Request
from evalharness.explain import explain_game
from evalharness.explain.quality import faithfulness


class Clock:
    """The seconds that the model's forward pass takes, and how many rows and tokens it reads."""

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        self.cpu = 0.0
        self.rows = 0
        self.calls = 0
        forward = model.forward

        def timed(*args: Any, **kwargs: Any) -> Any:
            started, cpu = time.perf_counter(), time.process_time()
            found = forward(*args, **kwargs)
            self.seconds += time.perf_counter() - started
            self.cpu += time.process_time() - cpu
            self.rows += len(found.logits)
            self.calls += 1
            return found

        model.forward = timed


def load_texts(n: int, tokenizer: Any, *, skip: int = 0) -> list[str]:
    lines = (DATASETS["movie-sentiment"].folder / "test.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return [text for text in texts if 12 <= len(tokenizer(text)["input_ids"]) <= 60][skip : skip + n]


def load_model(threads: int) -> Any:
    import torch

    from evalharness.core.registry import registry

    torch.set_num_threads(threads)
    spec = SimpleNamespace(
        path=str(MODELS["movie-sentiment-minilm"].folder), revision=None, tokenizer=None, dtype="float32", device="cpu",
        devices=None, device_map=None, adapter=None, add_bos=None, quantization=None, trust_remote_code=False,
        batch_size="auto", max_length=None, padding_side=None, labels=None, threshold=0.5,
    )  # fmt: skip
    factory = registry("models").load("hf-classifier")
    model = factory("m", spec, base=Path.cwd(), environ={}, concurrency=1, allow_code=False)
    model.load()
    return model


def contenders(model: Any, max_evals: int, tolerances: Sequence[float]) -> dict[str, Callable[[str], np.ndarray]]:
    """Each gives (tokens, labels) values of a text, special tokens not among them."""
    # A file beside this one is called as a package is that numba looks for: coverage.
    here = Path(__file__).parent.resolve()
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    import shap
    import transformers

    tokenizer = model.tokens.tokenizer

    def explainer(**settings: Any) -> Any:
        pipe = transformers.pipeline(
            "text-classification", model=model.weights, tokenizer=tokenizer, top_k=None, device="cpu", **settings
        )
        return shap.Explainer(pipe)

    default, batched = explainer(), explainer(batch_size=64)

    def by_shap(text: str) -> np.ndarray:
        return np.asarray(default([text], max_evals=max_evals, silent=True).values[0])[1:-1]

    def by_shap_batched(text: str) -> np.ndarray:
        return np.asarray(batched([text], max_evals=max_evals, batch_size=64, silent=True).values[0])[1:-1]

    def ours(**options: Any) -> Callable[[str], np.ndarray]:
        def run(text: str) -> np.ndarray:
            game = model.game(Request("k", "m", "classify", "1", text), players="tokens")
            return explain_game(game, "shap", max_evals=max_evals, exact_up_to=0, **options).values

        return run

    return {
        "shap.Explainer over a pipeline": by_shap,
        "the same, batches of 64": by_shap_batched,
        "evalharness": ours(),
        **{f"evalharness, tolerance {each:g}": ours(tolerance=each) for each in tolerances},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=12)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--max-evals", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tolerance", type=float, nargs="+", default=[0.02, 0.03])
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    load = os.getloadavg()[0]
    model = load_model(args.threads)
    texts = load_texts(args.texts, model.tokens.tokenizer, skip=args.skip)
    runs = contenders(model, args.max_evals, args.tolerance)
    for run in runs.values():
        run(texts[0])
    clock = Clock(model.weights)
    spent = {name: np.zeros((args.rounds, len(texts))) for name in runs}
    inside = {name: np.zeros((args.rounds, len(texts))) for name in runs}
    cpu = dict.fromkeys(runs, 0.0)
    cpu_inside = dict.fromkeys(runs, 0.0)
    rows = dict.fromkeys(runs, 0)
    calls = dict.fromkeys(runs, 0)
    values: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    names = list(runs)
    for nth in range(args.rounds):
        for index, text in enumerate(texts):
            # Whoever comes first finds the caches cold.
            for name in np.roll(names, index).tolist():
                clock.seconds, clock.cpu, clock.rows, clock.calls = 0.0, 0.0, 0, 0
                started, cpu_started = time.perf_counter(), time.process_time()
                found = runs[name](text)
                spent[name][nth, index] = time.perf_counter() - started
                inside[name][nth, index] = clock.seconds
                cpu[name] += (time.process_time() - cpu_started) / args.rounds
                cpu_inside[name] += clock.cpu / args.rounds
                if nth == 0:
                    values[name].append(found)
                    rows[name] += clock.rows
                    calls[name] += clock.calls
    scores: dict[str, list[float]] = {name: [] for name in names}
    chance: list[float] = []
    for index, text in enumerate(texts):
        game = model.game(Request("k", "m", "classify", "1", text), players="tokens")
        for name in names:
            found = faithfulness(game, values[name][index], n_random=10 if name == names[0] else 0)
            scores[name].append(found.comprehensiveness.value)
            if name == names[0]:
                chance.append(found.comprehensiveness.random_mean)
    peer = names[0]
    body = []
    for name in names:
        best = spent[name].argmin(axis=0)
        each = np.arange(len(texts))
        total, in_model = spent[name][best, each].sum(), inside[name][best, each].sum()
        theirs = spent[peer].min(axis=0).sum()
        difference = np.array(scores[name]) - np.array(scores[peer])
        error = difference.std(ddof=1) / np.sqrt(len(texts)) * scipy_stats.t.ppf(0.975, len(texts) - 1)
        body.append(
            [
                name,
                f"{total:.1f} s",
                f"{theirs / total:.1f}×",
                f"{1 - in_model / total:.0%}",
                f"{cpu[name]:.1f} s",
                f"{cpu[peer] / cpu[name]:.1f}×",
                f"{1 - cpu_inside[name] / cpu[name]:.0%}",
                f"{rows[name]:,}",
                f"{calls[name]:,}",
                f"{np.mean(scores[name]):.4f}",
                "" if name == peer else f"{difference.mean():+.4f} ± {error:.4f}",
            ]
        )
    table = markdown_table(
        [
            "contender",
            "time",
            "ratio",
            "outside of the model",
            "CPU time",
            "ratio",
            "outside of the model",
            "rows computed",
            "model calls",
            "comprehensiveness",
            "difference to shap",
        ],
        body,
    )
    lengths = [len(found) for found in values[peer]]
    tolerances = " ".join(map(str, args.tolerance))
    skipped = f"--skip {args.skip} " if args.skip else ""
    text = (
        "## SHAP\n\n"
        f"`python benchmarks/shap_values.py --texts {args.texts} {skipped}--max-evals {args.max_evals} "
        f"--rounds {args.rounds} --tolerance {tolerances} --threads {args.threads}`: movie-sentiment-minilm, float32, "
        f"{len(texts)} texts of {min(lengths)} to {max(lengths)} tokens, max_evals {args.max_evals}, {args.threads} "
        f"thread(s); contenders take turns on each text, sums of the fastest of {args.rounds} round(s). {machine()}; "
        f"shap {version('shap')}; load average {load:.1f} when it began.\n\n{table}\n\n"
        f"Comprehensiveness (AOPC) of random orders: {np.mean(chance):.4f}."
    )
    print(text)
    if args.write:
        replace_section("shap", text)


if __name__ == "__main__":
    main()
