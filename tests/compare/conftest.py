"""Records of a small question-answering task, scored by the real metrics and sealed as a run would seal them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from evalharness.core.canonical import digest
from evalharness.core.registry import registry
from evalharness.core.types import MetricResult, Request, Response, Sample
from evalharness.metrics.interval import sample_values, summarize
from evalharness.record import RunManifest, SampleRow, ScoreTable, StatsTable, TaskSummary, seal

IDENTITY = {"data": "d" * 64, "prompt": "e" * 64, "generation": "f" * 64, "kind": "a" * 64}
GOLD = "the cat sat on the mat by the door"


def make_rows(task, model, answers, *, first, prompt, clusters, gold):
    for i, text in enumerate(answers, start=first):
        content = prompt.format(i=i)
        target = gold(i)
        sample = Sample(
            f"s{i}",
            digest([content, target]),
            content,
            references=(target,),
            groups={"language": "de" if i % 2 else "en"},
            cluster=clusters(i),
        )
        request = Request(digest([model, task, i]), model, "generate", sample.id, sample.prompt)
        status = "error" if text is None else "ok"
        latency = 0.1 + 0.01 * (i % 7) + 0.001 * len(text or "")
        yield SampleRow(
            task, model, sample, request, Response(request.key, status=status, text=text, latency_s=latency)
        )


@pytest.fixture
def make_run(tmp_path: Path):
    """Seals a run; `answers` maps (task, model) to texts, None for an answer that failed. The gold is GOLD."""
    count = iter(range(1000))

    def make(
        answers,
        *,
        metrics=("exact_match", "token_f1", "bleu", "latency_p95_s"),
        first=0,
        prompt="question {i}",
        clusters=lambda i: None,
        gold=lambda i: f"{GOLD} {i}",
        identity=IDENTITY,
        datasets=None,
        run_id=None,
        signature=None,
        complete=True,
        groups=True,
    ):
        if not isinstance(answers, dict):
            answers = {("qa", "m"): answers}
        run_id = run_id or f"suite-{next(count):03d}"
        rows, results, scores, tables, tasks = [], [], [], [], []
        for (task, model), texts in answers.items():
            own = list(make_rows(task, model, texts, first=first, prompt=prompt, clusters=clusters, gold=gold))
            rows += own
            scored = [r for r in own if r.response.status == "ok"]
            ids, digests = [r.sample.id for r in scored], [r.sample.digest for r in scored]
            for name in metrics:
                metric = registry("metrics").load(name)()
                stats = metric.sample_stats([r.sample for r in scored], [r.response for r in scored])
                names = [r.sample.cluster for r in scored]
                tables.append(StatsTable(task, model, name, ids, digests, names, stats))
                scores.append(ScoreTable(task, model, name, ids, digests, sample_values(metric, stats)))
                for group in (None, *(("language=de", "language=en") if groups else ())):
                    keep = [
                        j for j, r in enumerate(scored) if group in (None, f"language={r.sample.groups['language']}")
                    ]
                    found = summarize(metric, stats[keep])
                    results.append(
                        MetricResult(
                            task,
                            model,
                            name,
                            *found,
                            0.95,
                            len(keep),
                            len(own) - len(scored) if group is None else 0,
                            metric.higher_is_better,
                            metric.bounds,
                            signature or metric.signature,
                            group=group,
                            columns=tuple(metric.columns),
                            totals=tuple(np.asarray(stats[keep]).sum(axis=0)),
                        )
                    )
            states = dict(Counter(r.response.status for r in own))
            tasks.append(TaskSummary(task, model, "generate", dict(identity), len(own), len(own), states))
        names = list(dict.fromkeys(task for task, _ in answers))
        manifest = RunManifest(
            id=run_id,
            name="suite",
            suite_name="suite",
            suite_digest="5" * 64,
            suite={
                "version": 1,
                "name": "suite",
                "models": {model: {"backend": "fake"} for _, model in answers},
                "tasks": [{"id": task, "dataset": "data", "metrics": list(metrics)} for task in names],
            },
            created_utc="2026-11-22T10:00:00Z",
            finished_utc="2026-11-22T10:00:42Z",
            evalharness_version="0.1.0",
            models={model: {"backend": "fake"} for _, model in answers},
            datasets=datasets or {},
            tasks=tuple(tasks),
            results=tuple(results),
            complete=complete,
        )
        return seal(tmp_path / "reports" / "runs" / run_id, manifest, rows, scores, tables)

    return make


def texts(n, *, right, first=0, seed=0):
    """`n` answers of which those numbered in `right` are the gold text, the others lose and change words."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(first, first + n):
        words = f"{GOLD} {i}".split()
        if i not in right:
            keep = rng.random(len(words)) < 0.7
            words = [w if k else "dog" for w, k in zip(words, keep, strict=True)][: 6 + int(rng.integers(4))]
            words.append("not")
        found.append(" ".join(words))
    return found
