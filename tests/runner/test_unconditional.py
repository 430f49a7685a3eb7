"""Choices asked without the question: once for each set of them, joined to the answers, failures told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import evalharness
from evalharness.core.types import LogLikelihood, Request, Response, Sample, Sampling
from evalharness.metrics.choices import MutualInfoAccuracy
from evalharness.models.fake import fake_likelihood
from evalharness.runner.estimate import estimate
from evalharness.runner.unconditional import with_unconditional
from evalharness.suite.metric_specs import asks_unconditional


class Model:
    """Knows the length of a prompt and how often it was asked; fails on choices with "boom" alone."""

    def __init__(self):
        self.asked = []

    async def loglikelihood(self, requests):
        for request in requests:
            self.asked.append(request)
            if not request.prompt and "boom" in request.continuations:
                yield Response(key=request.key, status="error", error="no boom")
                continue
            found = tuple(LogLikelihood(-float(len(request.prompt) + len(c)), False, 1) for c in request.continuations)
            yield Response(key=request.key, loglikelihoods=found, input_tokens=10)


def request(key, prompt, *continuations, unconditional=True):
    return Request(key, "m", "loglikelihood", key, prompt, continuations, Sampling(unconditional=unconditional))


def answers(models, requests):
    async def collect():
        return {response.key: response async for response in models["m"].loglikelihood(requests)}

    return asyncio.run(collect())


def test_choices_that_samples_share_are_asked_once():
    watched, raw = Model(), Model()
    models = with_unconditional({"m": watched}, {"m": raw})
    requests = [request("1", "aa", "x", "yy"), request("2", "b", "x", "yy"), request("3", "b", "z")]
    found = answers(models, requests)
    assert found["1"].meta == found["2"].meta == {"unconditional": [-1.0, -2.0]}
    assert found["3"].meta == {"unconditional": [-1.0]}
    assert [one.total for one in found["1"].loglikelihoods] == [-3.0, -4.0]
    # The question goes by the model that is watched, under its own key; the rest by the one beneath, after nothing.
    assert [one.key for one in watched.asked] == ["1", "2", "3"]
    assert all(one.sampling.unconditional is None for one in watched.asked)
    assert [(one.prompt, one.continuations) for one in raw.asked] == [("", ("x", "yy")), ("", ("z",))]
    assert sorted(found[key].input_tokens for key in "123") == [10, 20, 20]
    assert answers(models, [request("4", "c", "x", "yy")])["4"].input_tokens == 10
    assert len(raw.asked) == 2
    (plain,) = answers(models, [request("5", "c", "q", unconditional=None)]).values()
    assert (plain.meta, len(raw.asked)) == (None, 2) or not plain.meta


def test_choices_without_a_likelihood_of_their_own_are_an_error_of_their_sample():
    models = with_unconditional({"m": Model()}, {"m": Model()})
    found = answers(models, [request("1", "aa", "boom"), request("2", "aa", "x")])
    assert found["1"].status == "error"
    assert "no likelihood of the choices without the question: no boom" in found["1"].error
    assert found["2"].status == "ok"


def test_the_metric_by_hand():
    sample = Sample(id="1", digest="", prompt="q", choices=("yes", "no", "so"), target="no")
    response = Response(
        key="1",
        loglikelihoods=tuple(LogLikelihood(value, False, 1) for value in (-1.0, -3.0, -4.0)),
        meta={"unconditional": [-0.5, -4.0, -4.5]},
    )

    def right(**changes):
        return MutualInfoAccuracy().values([sample], [replace(response, **changes)])

    assert right() == [1.0]  # gains of -0.5, 1 and 0.5, though "yes" is the likeliest
    assert right(meta={"unconditional": [-3.0, -4.0, -4.5]}) == [0.0]
    assert right(meta={}) == right(meta={"unconditional": [-1.0]}) == [None]


@pytest.mark.parametrize(
    ("spec", "asks"),
    [
        ("acc_mutual_info", True),
        ({"acc_mutual_info": {"as": "gain"}}, True),
        ({"by_group": {"metric": "acc_mutual_info", "column": "g"}}, True),
        ("choice_accuracy", False),
        ("no_such_metric", False),
    ],
)
def test_only_a_metric_that_needs_them_asks(spec, asks):
    assert asks_unconditional(spec) is asks


def test_a_suite_of_a_fake_model(tmp_path: Path):
    rows = [{"id": str(i), "q": f"q{i}", "a": "yes" if i % 3 else "no"} for i in range(30)]
    suite = {
        "version": 1,
        "name": "gains",
        "models": {"m": {"backend": "fake"}},
        "datasets": {"d": {"rows": rows}},
        "tasks": [
            {"id": "ask", "dataset": "d", "prompt": "{{ q }}", "choices": ["yes", "no"], "target": "{{ a }}"}
            | {"metrics": ["accuracy", "acc_mutual_info"]}
        ],
    }
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(suite))
    record = evalharness.run(path, reports=tmp_path / "reports")
    values = {r.metric: r.value for r in record.results}
    alone = [fake_likelihood("", f" {choice}").total for choice in ("yes", "no")]
    right = 0
    for row in rows:
        gains = [fake_likelihood(row["q"], f" {c}").total - own for c, own in zip(("yes", "no"), alone, strict=True)]
        right += ("yes", "no")[gains.index(max(gains))] == row["a"]
    assert values["acc_mutual_info"] == pytest.approx(right / 30)
    (first, *_) = record.iter_samples()
    assert first.request.sampling.unconditional is True
    assert first.response.meta["unconditional"] == pytest.approx(alone)
    plain = replace(first.request, sampling=Sampling())
    assert estimate(first.request).input > estimate(plain).input
    again = evalharness.run(path, reports=tmp_path / "reports")
    assert again.manifest.execution["n_asked"] == 0
    assert {r.metric: r.value for r in again.results}["acc_mutual_info"] == values["acc_mutual_info"]
