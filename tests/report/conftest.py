"""A small but complete record, sealed as a run would seal it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.canonical import digest
from evalharness.core.types import LogLikelihood, Message, MetricResult, Request, Response, Sample
from evalharness.record import Record, RunManifest, SampleRow, ScoreRow, StatsRow, TaskSummary, seal

Make = Callable[..., Record]


def _result(
    task: str, model: str, metric: str, value: float, low: float, high: float, n: int, **more: Any
) -> MetricResult:
    fields: dict[str, Any] = {
        "ci_method": "wilson",
        "confidence": 0.95,
        "n_failed": 0,
        "higher_is_better": True,
        "bounds": (0.0, 1.0),
        "signature": f"{metric}|v:1",
        **more,
    }
    return MetricResult(task, model, metric, value, low, high, n=n, **fields)


def _sentiment_rows(model: str, n: int, odd: str, prefix: str) -> list[SampleRow]:
    rows = []
    for i in range(n):
        target = "pos" if i % 2 else "neg"
        answer = target if i % 5 else ("neg" if target == "pos" else "pos")
        sample = Sample(
            id=f"s{i}",
            digest=digest(["s", i]),
            prompt=f"{prefix}Review {i}: a film {odd}\nSentiment:",
            choices=("neg", "pos"),
            target=target,
            groups={"language": "de" if i % 3 else "en"},
        )
        request = Request(
            key=digest([model, "s", i]),
            model=model,
            kind="loglikelihood",
            sample_id=sample.id,
            prompt=sample.prompt,
            continuations=(" neg", " pos"),
        )
        failed = i == 4
        response = Response(
            key=request.key,
            status="error" if failed else "ok",
            answer=None if failed else answer,
            loglikelihoods=() if failed else (LogLikelihood(-1.5, 1, True), LogLikelihood(-0.5 - i % 2, 1)),
            error=f"connection lost {odd}" if failed else None,
            input_tokens=20 + i,
            latency_s=0.01 * (i + 1),
            created_utc="2026-11-21T10:00:00Z",
        )
        rows.append(SampleRow("sentiment", model, sample, request, response, from_store=i % 2 == 0))
    return rows


def _chat_rows(model: str, n: int, odd: str, system: str) -> list[SampleRow]:
    rows = []
    for i in range(n):
        prompt = (
            Message("system", system),
            Message("user", f"Translate {i}: good morning {odd}"),
        )
        sample = Sample(id=f"t{i}", digest=digest(["t", i]), prompt=prompt, references=(f"Guten Morgen {i}",))
        request = Request(key=digest([model, "t", i]), model=model, kind="generate", sample_id=sample.id, prompt=prompt)
        response = Response(
            key=request.key,
            text=f"Guten Morgen {i} {odd}",
            finish_reason="stop",
            input_tokens=30,
            output_tokens=5,
            latency_s=0.2,
            created_utc="2026-11-21T10:00:00Z",
        )
        rows.append(SampleRow("translate", model, sample, request, response))
    return rows


@pytest.fixture
def make_record(tmp_path: Path) -> Make:
    """Seals a record of two tasks; `odd` is put into every free text, `models` and `n` scale it."""

    def make(
        *,
        run_id: str = "quick-20261121-100000-abcd",
        models: Sequence[str] = ("small",),
        n: int = 12,
        odd: str = "",
        prefix: str = "",
        system: str = "Be brief.",
        metric: str = "accuracy",
        manifest: dict[str, Any] | None = None,
        results: Sequence[MetricResult] | None = None,
        folder: Path | None = None,
    ) -> Record:
        rows: list[SampleRow] = []
        scores: list[ScoreRow] = []
        stats: list[StatsRow] = []
        found: list[MetricResult] = []
        tasks: list[TaskSummary] = []
        for model in models:
            sentiment, chat = _sentiment_rows(model, n, odd, prefix), _chat_rows(model, n, odd, system)
            rows += [*sentiment, *chat]
            for row in sentiment:
                if row.response.status == "ok":
                    right = float(row.response.answer == row.sample.target)
                    scores.append(ScoreRow("sentiment", model, metric, row.sample.id, row.sample.digest, right))
                    stats.append(
                        StatsRow("sentiment", model, metric, row.sample.id, row.sample.digest, None, (right, 1.0))
                    )
            for i, row in enumerate(chat):
                scores.append(ScoreRow("translate", model, "bleu", row.sample.id, row.sample.digest, 20.0 + i))
            scored = n - (n > 4)
            value = sum(s.value for s in scores if s.model == model and s.metric == metric) / scored
            low, high = max(0.0, value - 0.2), min(1.0, value + 0.2)
            cells = {
                "n": 11.0,
                "neg→neg": 4.0,
                "neg→pos": 1.0,
                "neg→(other)": 0.0,
                "pos→neg": 2.0,
                "pos→pos": 4.0,
                "pos→(other)": 0.0,
            } | {f"(other)→{a}": 0.0 for a in ("neg", "pos", "(other)")}
            found += [
                _result("sentiment", model, metric, value, low, high, scored, n_failed=int(n > 4)),
                _result("sentiment", model, metric, 0.9, 0.5, 1.0, 4, group=f"language=en{odd}"),
                _result("sentiment", model, metric, 0.6, 0.3, 0.8, 7, group=f"language=de{odd}"),
                _result(
                    "sentiment",
                    model,
                    "confusion_matrix",
                    value,
                    math.nan,
                    math.nan,
                    scored,
                    columns=tuple(cells),
                    totals=tuple(cells.values()),
                ),
                _result(
                    "sentiment",
                    model,
                    "latency_p95_s",
                    0.118,
                    0.1,
                    0.12,
                    n,
                    bounds=(0, math.inf),
                    higher_is_better=False,
                ),
                _result("translate", model, "bleu", 27.31, 24.8, 30.2, n, bounds=(0.0, 100.0), ci_method="bootstrap"),
                _result("translate", model, "chrf", math.nan, math.nan, math.nan, 0, bounds=(0.0, 100.0)),
            ]
            identity = {"data": "d" * 64, "prompt": "p" * 64, "generation": "g" * 64, "kind": "k" * 64}
            tasks += [
                TaskSummary(
                    "sentiment",
                    model,
                    "loglikelihood",
                    identity,
                    n,
                    n,
                    {"ok": scored, **({"error": 1} if n > 4 else {})},
                    ("neg", "pos"),
                ),
                TaskSummary("translate", model, "generate", identity, n, n, {"ok": n}),
            ]
        base = RunManifest(
            id=run_id,
            name="quick",
            suite_name=f"quick{odd}",
            suite_digest="5" * 64,
            suite={
                "version": 1,
                "name": "quick",
                "description": f"Smoke test {odd}",
                "models": {m: {"backend": "fake"} for m in models},
                "execution": {"on_error": {"count_as": "excluded", "max_rate": 1.0}},
                "tasks": [{"id": "sentiment"}, {"id": "translate"}],
            },
            created_utc="2026-11-21T10:00:00Z",
            finished_utc="2026-11-21T10:00:42Z",
            evalharness_version="0.1.0",
            versions={"python": "3.11", f"odd{odd}": "1"},
            models={m: {"backend": "fake", "weights": "w" * 64} for m in models},
            datasets={"reviews": {"digest": "d" * 64, "n_rows": n, "source": f"reviews{odd}.jsonl"}},
            tasks=tuple(tasks),
            results=tuple(found if results is None else results),
            execution={"n_requests": 2 * n, "n_from_store": n // 2, "n_asked": 2 * n - n // 2, "seconds": 41.7},
            notes=(f"a note {odd}",),
        )
        target = (folder or tmp_path / "reports" / "runs") / run_id
        return seal(target, dataclasses.replace(base, **(manifest or {})), rows, scores, stats)

    return make


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page from disk; fails the test for any request, console message or page error."""
    told: list[str] = []
    contexts: list[Any] = []

    def show(
        text: str, *, width: int = 1200, height: int = 900, scheme: str = "light", script: bool = True, hash: str = ""
    ) -> Any:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: told.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: told.append(f"error: {e}"))
        page.on("request", lambda r: told.append(r.url) if r.url not in (path.as_uri(), "data:,") else None)
        page.on("dialog", lambda d: told.append(f"dialog: {d.message}"))
        page.goto(path.as_uri() + hash)
        if script and 'id="explorer"' in text:
            page.wait_for_selector("#explorer[data-turn]")
        return page

    yield show
    for context in contexts:
        context.close()
    assert told == []
