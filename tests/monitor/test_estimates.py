"""Estimates of quality without labels, through a monitor, beside what labels say once they are there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness.cli.main import main
from evalharness.core.errors import SuiteError
from evalharness.monitor.class_estimates import _unfit
from evalharness.monitor.define import load_definition
from evalharness.monitor.measure import check_columns
from evalharness.stats.label_free import Fitness, Reference

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
MONITOR = """
name: bot
source: {path: logs.jsonl}
schedule: "0 0 * * *"
reference: {window: 2026-11-01/2026-11-02}
segments: [language]
columns: [responses, latency_s]
"""


def classes(
    n: int, *, day: int, shift: float = 0.5, labelled: bool = True, useless: bool = False
) -> list[dict[str, Any]]:
    rng = np.random.default_rng(day)
    logit = rng.normal(shift, 1.2, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-logit))
    stated = 1 / (1 + np.exp(-1.6 * logit))
    positive = stated >= 0.5
    probability = rng.uniform(0.5, 1, n) if useless else np.where(positive, stated, 1 - stated)
    return [
        {
            "id": f"r{day}-{i}",
            "event_time": (BEGIN + timedelta(days=day, seconds=60 * i)).isoformat(),
            "prediction": "yes" if positive[i] else "no",
            "probability": round(float(probability[i]), 6),
            "attributes": {"language": "de" if i % 3 else "en"},
            **({"label": "yes" if truth[i] else "no"} if labelled else {}),
        }
        for i in range(n)
    ]


def numbers(n: int, *, day: int, long: float = 1.0, blind: bool = False) -> list[dict[str, Any]]:
    """Longer prompts go with larger errors."""
    rng = np.random.default_rng(day)
    tokens = rng.gamma(3.0, 100.0 * long, n)
    truth = rng.normal(50, 10, n)
    off = rng.normal(0, 1, n) * (3.0 if blind else tokens / 100)
    return [
        {
            "id": f"r{day}-{i}",
            "event_time": (BEGIN + timedelta(days=day, seconds=60 * i)).isoformat(),
            "prediction": f"{truth[i] + off[i]:.4f}",
            "label": f"{truth[i]:.4f}",
            "input_tokens": int(tokens[i]),
            "attributes": {"language": "de"},
        }
        for i in range(n)
    ]


def measured(folder: Path, text: str, *days: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    (folder / "logs.jsonl").write_text("".join(json.dumps(row) + "\n" for day in days for row in day))
    (folder / "monitor.yaml").write_text(MONITOR + text)
    assert main(["monitor", "run", str(folder / "monitor.yaml"), "--interval", "2026-11-02/2026-11-03"]) == 0
    (found,) = (folder / "reports" / "monitors" / "bot").glob("20261102*/window.json")
    window = json.loads(found.read_text())
    rows = {f"{one['column']}.{one['name']}": one for one in window["figures"] if one["segment"] == ""}
    return rows, json.loads((found.parent / "estimate.json").read_text())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_accuracy_is_estimated_before_labels_are_there_and_told_beside_them(tmp_path: Path) -> None:
    before, today = classes(1200, day=0), classes(800, day=1, shift=1.4)
    told = measured(tmp_path, "estimate: [cbpe]\n", before, today)[0]
    real = np.mean([row["prediction"] == row["label"] for row in today])
    was = np.mean([row["prediction"] == row["label"] for row in before])
    estimate = told["estimate.accuracy.value"]
    assert estimate["ci_low"] <= real <= estimate["ci_high"]
    assert real - was > 0.05  # there was something to follow
    assert told["estimate.accuracy.realised"]["value"] == pytest.approx(real)
    assert told["estimate.accuracy.realised"]["n"] == 800
    assert {f"estimate.{name}.value" for name in ("f1", "auroc", "brier")} < set(told)


def test_without_labels_of_today_there_is_only_the_estimate(tmp_path: Path) -> None:
    told, page = measured(tmp_path, "estimate: [cbpe]\n", classes(1200, day=0), classes(300, day=1, labelled=False))
    assert "estimate.accuracy.realised" not in told
    assert told["estimate.accuracy.value"]["n"] == 300
    assert {row["segment"] for row in page["cbpe"]} == {"", "language=de", "language=en"}
    assert all(row["realised"] is None for row in page["cbpe"])


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (classes(200, day=0), "needs 300 responses"),
        (classes(1000, day=0, useless=True), "do not tell right from wrong"),
        ([row | {"label": row["prediction"]} for row in classes(400, day=0)], "all labelled responses"),
    ],
    ids=["few", "useless", "always right"],
)
def test_a_reference_that_bears_no_estimate_is_refused_with_the_reason(
    tmp_path: Path, before: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told, page = measured(tmp_path, "estimate: [cbpe]\n", before, classes(300, day=1))
    assert "no estimate: cbpe" in capsys.readouterr().out
    assert not any(name.startswith("estimate.") for name in told)
    assert said in page["cbpe"]


def test_errors_of_numbers_are_told_from_what_they_go_with(tmp_path: Path) -> None:
    before, today = numbers(1400, day=0), numbers(800, day=1, long=1.25)
    told = measured(tmp_path, "estimate: [dle]\n", before, today)[0]
    off = np.array([abs(float(row["prediction"]) - float(row["label"])) for row in today])
    was = np.mean([abs(float(row["prediction"]) - float(row["label"])) for row in before])
    estimate = told["estimate.mae.value"]
    assert estimate["ci_low"] <= off.mean() <= estimate["ci_high"]
    assert estimate["value"] - was > 0.5 * (off.mean() - was) > 0
    rmse = told["estimate.rmse.value"]
    assert rmse["ci_low"] <= np.sqrt((off**2).mean()) <= rmse["ci_high"]
    assert told["estimate.mae.realised"]["value"] == pytest.approx(off.mean())


@pytest.mark.parametrize(
    ("before", "today", "said"),
    [
        (numbers(300, day=0), numbers(300, day=1), "needs 500 responses"),
        (numbers(900, day=0, blind=True), numbers(300, day=1), "does not tell their errors"),
        (numbers(900, day=0), numbers(300, day=1, long=4.0), "most of them input_tokens"),
    ],
    ids=["few", "blind", "outside"],
)
def test_what_was_never_learned_is_refused(tmp_path: Path, before: Any, today: Any, said: str) -> None:
    told, page = measured(tmp_path, "estimate: [dle]\n", before, today)
    assert not any(name.startswith("estimate.") for name in told)
    assert said in page["dle"]


def test_the_reference_is_read_once_and_holds_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = [row | {"output": "a secret of the customer"} for row in classes(400, day=0)]
    first = measured(tmp_path, "estimate: [cbpe]\n", secret, classes(300, day=1))[0]
    (kept,) = (tmp_path / "reports" / "monitors" / "bot").glob("estimate-*")
    assert not any(b"secret" in file.read_bytes() for file in kept.iterdir())
    again = measured(tmp_path, "estimate: [cbpe]\n", classes(300, day=1))[0]
    assert again["estimate.accuracy.value"] == first["estimate.accuracy.value"]


def test_a_reference_that_moves_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR.replace("{window: 2026-11-01/2026-11-02}", "previous") + "estimate: [cbpe]\n")
    with pytest.raises(SuiteError, match=r"monitor\.yaml:8:.* the reference is previous; name a fixed one"):
        check_columns(load_definition(path))


@pytest.mark.parametrize(("error", "refused"), [(0.029, False), (0.031, True)])
def test_probabilities_that_cannot_be_calibrated_are_refused(error: float, refused: bool) -> None:
    rows = Reference(np.array([0.6, 0.9]), np.array([False, True]), np.arange(2))
    found = _unfit(rows, Fitness(error, 0.01, 0.8, 0.7, 1.0, raw_is_better=False))
    assert (found is not None and "cannot be calibrated" in found.reason) == refused
