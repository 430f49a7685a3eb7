"""Records of a small classification task, scored by the real metrics and sealed as a run would seal them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness.core.canonical import digest
from evalharness.core.registry import registry
from evalharness.core.types import MetricResult, Request, Response, Sample
from evalharness.metrics.interval import sample_values, summarize
from evalharness.record import Record, RunManifest, SampleRow, ScoreRow, StatsTable, TaskSummary, seal

MakeRun = Callable[..., Record]
IDENTITY = {"data": "d" * 64, "prompt": "e" * 64, "generation": "f" * 64, "kind": "a" * 64}


@pytest.fixture
def identity() -> dict[str, str]:
    """The identity that all tasks have unless a test says otherwise."""
    return dict(IDENTITY)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Seals a run of one task `qa`: `right[i]` says whether sample i was answered rightly, None that it failed.

    Samples are numbered from `first`, so that two runs overlap where their numbers do.
    """
    count = iter(range(1000))

    def make(
        right: Sequence[bool | None],
        *,
        first: int = 0,
        model: str = "m",
        task: str = "qa",
        metrics: Sequence[str] = ("accuracy", "latency_p95_s", "mcc"),
        identity: Mapping[str, Any] = IDENTITY,
        on_error: Mapping[str, Any] | str = "exclude",
        latency: Callable[[int], float] = lambda i: 0.1 + 0.001 * i,
        groups: Callable[[int], Mapping[str, str]] = lambda i: {"language": "de" if i % 2 else "en"},
        clusters: Callable[[int], str | None] = lambda i: None,
        content: Callable[[int], object] = lambda i: i,
        gates: Mapping[str, Any] | None = None,
        suite_metrics: Sequence[Any] | None = None,
        edit: Callable[[MetricResult], MetricResult] = lambda r: r,
        complete: bool = True,
        run_id: str | None = None,
        seed: int = 0,
    ) -> Record:
        run_id = run_id or f"suite-{next(count):03d}"
        rows: list[SampleRow] = []
        for i, good in enumerate(right, start=first):
            target = "yes" if i % 3 else "no"
            answer = None if good is None else target if good else ("no" if target == "yes" else "yes")
            prompt = f"question {content(i)}"
            sample = Sample(
                f"s{i}", digest([prompt, target]), prompt, target=target, groups=dict(groups(i)), cluster=clusters(i)
            )
            request = Request(digest([model, i]), model, "generate", sample.id, sample.prompt)
            status = "error" if good is None else "ok"
            response = Response(
                request.key,
                status=status,  # type: ignore[arg-type]
                text=answer,
                answer=answer,
                error="lost" if good is None else None,
                latency_s=latency(i),
            )
            rows.append(SampleRow(task, model, sample, request, response))
        scored = [r for r in rows if r.response.status == "ok"]
        labels = ("no", "yes")
        results: list[MetricResult] = []
        scores: list[ScoreRow] = []
        tables: list[StatsTable] = []
        for name in metrics:
            metric = registry("metrics").load(name)().for_task(labels)
            stats = metric.sample_stats([r.sample for r in scored], [r.response for r in scored])
            ids, digests = [r.sample.id for r in scored], [r.sample.digest for r in scored]
            tables.append(StatsTable(task, model, name, ids, digests, [r.sample.cluster for r in scored], stats))
            values = sample_values(metric, stats)
            scores += [
                ScoreRow(task, model, name, i, d, float(v)) for i, d, v in zip(ids, digests, values, strict=True)
            ]
            columns = sorted({f"{k}={v}" for r in rows for k, v in r.sample.groups.items()})
            for group in (None, *columns):
                keep = [
                    j
                    for j, r in enumerate(scored)
                    if group is None or group in {f"{k}={v}" for k, v in r.sample.groups.items()}
                ]
                found = summarize(metric, stats[keep], clusters=[scored[j].sample.cluster for j in keep])
                result = MetricResult(
                    task,
                    model,
                    name,
                    found.value,
                    found.low,
                    found.high,
                    found.method,
                    0.95,
                    len(keep),
                    len(rows) - len(scored) if group is None else 0,
                    metric.higher_is_better,
                    metric.bounds,
                    metric.signature,
                    group=group,
                    columns=tuple(metric.columns),
                    totals=tuple(np.asarray(stats[keep]).sum(axis=0)),
                )
                results.append(edit(result))
        states: dict[str, int] = {}
        for row in rows:
            states[row.response.status] = states.get(row.response.status, 0) + 1
        suite: dict[str, Any] = {
            "version": 1,
            "name": "suite",
            "models": {model: {"backend": "fake"}},
            "tasks": [{"id": task, "metrics": list(metrics if suite_metrics is None else suite_metrics)}],
            "execution": {"on_error": _policy(on_error)},
        }
        if gates is not None:
            suite["gates"] = dict(gates)
        manifest = RunManifest(
            id=run_id,
            name="suite",
            suite_name="suite",
            suite_digest="5" * 64,
            suite=suite,
            created_utc="2026-11-21T10:00:00Z",
            finished_utc="2026-11-21T10:00:42Z",
            evalharness_version="0.1.0",
            models={model: {"backend": "fake"}},
            tasks=(TaskSummary(task, model, "generate", dict(identity), len(rows), len(rows), states, labels),),
            results=tuple(results),
            seed=seed,
            complete=complete,
        )
        return seal(tmp_path / "reports" / "runs" / run_id, manifest, rows, scores, tables)

    return make


def _policy(on_error: Mapping[str, Any] | str) -> Mapping[str, Any]:
    # As a suite's model_dump writes it: the short forms are resolved.
    short = {"fail": ("failure", 0.0), "exclude": ("excluded", 1.0), "count_wrong": ("wrong", 1.0)}
    if isinstance(on_error, str):
        count_as, rate = short[on_error]
        return {"count_as": count_as, "max_rate": rate}
    return on_error
