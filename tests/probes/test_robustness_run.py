"""The probe on scripted models: one that minds the wording is found, one that does not is cleared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evalharness
from evalharness.cli.main import main
from evalharness.core.types import Response, Sample
from evalharness.metrics.flips import FlipRate
from evalharness.metrics.interval import summarize
from evalharness.probes.robustness import Robustness
from evalharness.record import Record
from evalharness.suite.metric_specs import build_metric

SUITE = """\
version: 1
name: robust
models:
  brittle: {backend: fake, reply: "{% if 'good' in prompt %}positive{% else %}negative{% endif %}"}
  steady: {backend: fake, reply: "{% if 'good' in prompt | lower %}positive{% else %}negative{% endif %}"}
datasets:
  films: {path: films.csv, id: id}
tasks:
  - {id: tone, dataset: films, prompt: "{{ text }}", target: "{{ label }}", metrics: [METRICS]}
  - id: words
    probe: robustness
    of: tone
    perturbations: [{case: upper}, {whitespace: edges}, numbers, negation]
    expect: change
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    texts = [
        f"{i},film is {('good', 'dull')[i % 2]} of {i + 3000} others,{('positive', 'negative')[i % 2]}"
        for i in range(60)
    ]
    lines = [
        text.replace(",film", ",The film") if i % 3 else text.replace("is", "looks") for i, text in enumerate(texts)
    ]
    (tmp_path / "films.csv").write_text("id,text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")

    def written(text: str, metrics: str = "") -> Path:
        (tmp_path / "suite.yaml").write_text(text.replace("METRICS", metrics), encoding="utf-8")
        return tmp_path / "suite.yaml"

    return written


def figure(record: Any, metric: str, model: str, group: str | None = None, task: str = "words") -> Any:
    keys = (task, metric, model, group)
    return next(r for r in record.results if (r.task, r.metric, r.model, r.group) == keys)


def test_answers_that_flip(write: Any) -> None:
    record = evalharness.run(write(SUITE))
    record.verify()
    assert figure(record, "flip_rate", "steady").value == 0.0
    assert figure(record, "flip_rate", "brittle", "perturbation=case_upper").value == 0.5
    assert figure(record, "flip_rate", "brittle", "perturbation=whitespace_edges").value == 0.0
    whole = figure(record, "flip_rate", "brittle")
    assert whole.n == 3 * 60, "negation has a figure of its own"
    assert whole.value == pytest.approx(30 / 180)
    assert whole.ci_method == "cluster-wilson"
    assert whole.ci_low < whole.value < whole.ci_high
    # Neither minds a "not", and every third text looks and is not: it cannot be turned round.
    changed = figure(record, "changed_as_expected", "steady")
    assert (changed.value, changed.n, changed.higher_is_better) == (0.0, 40, True)
    samples = record.samples()
    asked = samples[(samples.task == "words") & (samples.model == "steady")]
    prompts = dict(zip(asked.sample_id, asked.prompt, strict=True))
    assert prompts["1#original"] == "The film is dull of 3001 others"
    assert prompts["1#case_upper"] == "THE FILM IS DULL OF 3001 OTHERS"
    assert prompts["1#numbers"] == "The film is dull of 3,001 others"
    assert prompts["1#negation"] == "The film is not dull of 3001 others"
    assert prompts["0#negation"] == "film looks good of 3000 others"
    assert "words: negation finds nothing to rewrite in 20 of the 60 rows asked, and leaves these as they are" in (
        record.manifest.notes
    )


def test_flips_are_gated_by_variant_compared_and_scored_again(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rules = """\
gates:
  rules:
    - {metric: words.flip_rate, at_most: 0.2, group: perturbation=case_upper, model: MODEL}
"""
    assert main(["run", str(write(SUITE + rules.replace("MODEL", "brittle"))), "--quiet"]) == 1
    assert main(["run", str(write(SUITE + rules.replace("MODEL", "steady"))), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["compare", "latest", "--models", "brittle", "steady", "--task", "words", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    found = {f["group"]: f["difference"] for f in figures if f["metric"] == "flip_rate"}
    assert found[None] == pytest.approx(-30 / 180)
    assert found["perturbation=case_upper"] == -0.5
    assert found["perturbation=whitespace_edges"] == 0.0
    paired = rules.replace("gates:\n", "gates:\n  baseline: {model: brittle}\n").replace("MODEL", "steady")
    assert main(["run", str(write(SUITE + paired.replace("at_most: 0.2", "superior: {margin: 0.2}"))), "--quiet"]) == 0
    record = Record.open("latest")
    again = evalharness.score(record, write(SUITE))
    assert figure(again, "flip_rate", "brittle").value == figure(record, "flip_rate", "brittle").value == 30 / 180


def test_a_brittle_model_is_found_and_a_steady_one_cleared(write: Any) -> None:
    record = evalharness.run(write(SUITE.replace("expect: change", "expect: change\n    margin: 0.1"), "accuracy"))
    brittle, steady = (figure(record, "accuracy_drop", model) for model in ("brittle", "steady"))
    assert brittle.value == 0.5
    assert brittle.ci_low > 0.1
    assert steady.value == 0.0
    assert steady.ci_high <= 0.1
    assert figure(record, "accuracy_drop_case_upper", "brittle").value == 0.5
    assert figure(record, "accuracy_drop_whitespace_edges", "brittle").value == 0.0
    assert not [r for r in record.results if r.metric == "accuracy_drop_negation"]
    origin = next(t for t in record.manifest.suite["tasks"] if t["id"] == "words")["origin"]
    assert list(origin["findings"]) == ["accuracy_drop"], "each variant by itself would cry wolf"
    assert origin["findings"]["accuracy_drop"]["margin"] == 0.1


CHOICE = """\
version: 1
name: options
models:
  first: {backend: fake, reply: "A"}
  reader:
    backend: fake
    reply: "{% for line in prompt.splitlines() %}{% if 'right' in line %}{{ line[0] }}{% endif %}{% endfor %}"
datasets:
  quiz:
    rows:
ROWS
tasks:
  - id: quiz
    dataset: quiz
    prompt: "{{ q }}\\nA. {{ options[0] }}\\nB. {{ options[1] }}\\nC. {{ options[2] }}\\n"
    choices: ["A", "B", "C"]
    choice_by: generation
    target: "{{ answer }}"
    metrics: [accuracy]
  - {id: order, probe: robustness, of: quiz, option_orders: 2, options: options}
  - {id: labels, probe: robustness, of: quiz, option_labels: [numbers]}
"""


def test_the_option_is_followed_wherever_it_stands(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.probes.robustness.fits_by_group", lambda spec: False)
    options = ["right, wrong1, wrong2", "wrong0, right, wrong2", "wrong0, wrong1, right"]
    rows = [f"      - {{q: Question {i}, answer: {'ABC'[i % 3]}, options: [{options[i % 3]}]}}" for i in range(30)]
    record = evalharness.run(write(CHOICE.replace("ROWS", "\n".join(rows))))
    for task in ("order", "labels"):
        for level in {r.group for r in record.results if r.task == task and r.group}:
            assert figure(record, "accuracy", "reader", level, task).value == 1.0, level
        assert figure(record, "flip_rate", "reader", task=task).value == 0.0
    assert figure(record, "flip_rate", "first", task="order").value == 1.0, "it names another option each time"
    assert figure(record, "accuracy", "first", "perturbation=option_order_1", "order").value == pytest.approx(1 / 3)


@pytest.mark.parametrize("expected", [0.05, 0.3])
def test_the_interval_of_the_flip_rate_covers(expected: float) -> None:
    """200 seeds of 80 rows with 4 variants that flip together: at 95 % few intervals miss."""
    metric = FlipRate()
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows, variants = 80, 4
        shares = rng.beta(expected * 2, (1 - expected) * 2, size=rows)
        flips = rng.random((rows, variants)) < shares[:, None]
        stats = np.zeros((rows * (variants + 1), 5))
        stats[:, 0] = 1
        stats[:, 2] = np.repeat(np.arange(rows), variants + 1) + 1
        stats[:, 3] = np.concatenate([np.zeros((rows, 1)), flips], axis=1).ravel() + 1
        stats[:, 4] = np.tile(np.arange(variants + 1), rows) + 1
        stats[:: variants + 1, 1] = 1
        found = summarize(metric, stats, clusters=[str(i) for i in stats[:, 2]])
        missed += not found.low <= expected <= found.high
    assert missed <= 0.07 * 200


@pytest.mark.parametrize(("loss", "least", "most"), [(0.0, 0.0, 0.07), (0.35, 0.95, 1.0)])
def test_few_steady_models_are_found_and_most_brittle_ones(loss: float, least: float, most: float) -> None:
    """200 seeds: answers that change for the better as often as for the worse, and others that one variant costs."""
    levels = ("original", "typos", "case_upper", "numbers")
    made = Robustness(perturbations=("typos", {"case": "upper"}, "numbers")).metrics(["accuracy"], levels)
    worst = next(
        spec for spec in made if isinstance(spec, dict) and spec.get("by_group", {}).get("as") == "accuracy_drop"
    )
    metric = build_metric(worst)[1].for_task(("right", "wrong"))  # type: ignore[arg-type]
    found = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        samples, responses = [], []
        for row in range(100):
            right = rng.random() < 0.8
            for level in levels:
                kept = right if rng.random() < 0.8 else rng.random() < 0.8
                if level == "typos" and rng.random() < loss:
                    kept = False
                samples.append(Sample(f"{row}#{level}", "", "", target="right", groups={"perturbation": level}))
                responses.append(Response("", answer="right" if kept else "wrong"))
        stats = metric.sample_stats(samples, responses)
        found += summarize(metric, stats, clusters=[s.id.split("#")[0] for s in samples], seed=seed).low > 0
    assert least <= found / 200 <= most, found
