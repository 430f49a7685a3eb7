from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.types import LogLikelihood, Message, MetricResult, Request, Response, Sample, Sampling
from evalharness.record import Record, RunManifest, SampleRow, ScoreRow, StatsRow, TaskSummary, seal

NAN = float("nan")


def sample_row(i: int, *, task: str = "qa", model: str = "candidate", **response: Any) -> SampleRow:
    prompt = (Message("system", "Be brief."), Message("user", f"Question {i}?")) if i % 2 else f"Question {i}?"
    sample = Sample(
        id=f"s{i}",
        digest=f"{i:064x}",
        prompt=prompt,
        references=("yes", "ja"),
        choices=("yes", "no"),
        target="yes",
        groups={"language": "de" if i % 2 else "en"},
        cluster=f"c{i // 2}" if i % 3 else None,
        fields={"n": i, "nested": {"list": [1, 2.5, None, True]}},
    )
    request = Request(
        key=f"{task}-{model}-{i}",
        model=model,
        kind="loglikelihood",
        sample_id=sample.id,
        prompt=prompt,
        continuations=(" yes", " no"),
        sampling=Sampling(max_tokens=5, temperature=0.7, stop=("\n",), seed=7),
    )
    values: dict[str, Any] = {
        "text": None,
        "answer": "yes",
        "loglikelihoods": (LogLikelihood(-0.1 * (i + 1), 1, True), LogLikelihood(float("-inf"), 2)),
        "label_probabilities": {"yes": 0.75, "no": 0.25},
        "latency_s": 0.125,
        "input_tokens": 12,
        "n_retries": i % 2,
        "created_utc": "2026-01-02T03:04:05Z",
        "meta": {"fingerprint": "fp", "x": [1, {"y": None}]},
    } | response
    return SampleRow(task, model, sample, request, Response(key=request.key, **values), from_store=bool(i % 2))


def figure(**values: Any) -> MetricResult:
    fields: dict[str, Any] = {
        "task": "qa",
        "model": "candidate",
        "metric": "accuracy",
        "value": 0.75,
        "ci_low": 0.5,
        "ci_high": 0.9,
        "ci_method": "wilson",
        "confidence": 0.95,
        "n": 4,
        "n_failed": 0,
        "higher_is_better": True,
        "bounds": (0.0, 1.0),
        "signature": "accuracy|version:1",
        "columns": ("right", "n"),
        "totals": (3.0, 4.0),
    }
    return MetricResult(**fields | values)


def manifest(**values: Any) -> RunManifest:
    fields: dict[str, Any] = {
        "id": "20260102T030405Z-demo-aaaaaa",
        "name": "demo",
        "suite_name": "demo",
        "suite_digest": "d" * 64,
        "suite": {"version": 1, "name": "demo"},
        "created_utc": "2026-01-02T03:04:05Z",
        "finished_utc": "2026-01-02T03:05:05Z",
        "evalharness_version": "0.1.0",
        "versions": {"python": "3.11"},
        "models": {"candidate": {"backend": "fake", "dtype": None}},
        "datasets": {"rows": {"digest": "e" * 64, "n_rows": 4, "source": "inline"}},
        "tasks": (TaskSummary("qa", "candidate", "loglikelihood", {"prompt": "p"}, 4, 4, {"ok": 4}, ("yes", "no")),),
        "results": (
            figure(),
            figure(group="language=de", value=NAN, ci_low=NAN, ci_high=NAN, n=0, bounds=(float("-inf"), float("inf"))),
        ),
        "execution": {"n_requests": 4, "seconds": 1.5},
        "notes": ("a note",),
    }
    return RunManifest(**fields | values)


def demo_rows(n: int = 4) -> dict[str, Any]:
    rows = [sample_row(i) for i in range(n)]
    return {
        "samples": rows,
        "scores": [
            ScoreRow("qa", "candidate", "accuracy", r.sample.id, r.sample.digest, NAN if i == 2 else float(i % 2))
            for i, r in enumerate(rows)
        ],
        "stats": [
            StatsRow("qa", "candidate", "accuracy", r.sample.id, r.sample.digest, r.sample.cluster, (float(i % 2), 1.0))
            for i, r in enumerate(rows)
        ],
    }


@pytest.fixture
def make_row() -> Callable[..., SampleRow]:
    return sample_row


@pytest.fixture
def make_figure() -> Callable[..., MetricResult]:
    return figure


@pytest.fixture
def make_manifest() -> Callable[..., RunManifest]:
    return manifest


@pytest.fixture
def make_rows() -> Callable[..., dict[str, Any]]:
    return demo_rows


@pytest.fixture
def make_record(tmp_path: Path) -> Callable[..., Record]:
    """Seals a small record under `tmp_path/reports/runs/<id>`."""

    def make(id: str = "20260102T030405Z-demo-aaaaaa", *, reports: Path | None = None, **values: Any) -> Record:
        folder = (reports or tmp_path / "reports") / "runs" / id
        return seal(folder, manifest(id=id, **values), **demo_rows())

    return make


@pytest.fixture
def record(make_record: Callable[..., Record]) -> Record:
    return make_record()
