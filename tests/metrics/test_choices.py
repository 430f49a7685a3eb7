from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.metrics.choices import ChoiceAccuracy, MutualInfoAccuracy

CHOICES = ("a", "bb", "çç", "a much longer one")


def item(lls, gold, tokens=(1, 1, 1, 5)):
    sample = Sample(id="0", digest="", prompt="?", choices=CHOICES, target=CHOICES[gold])
    found = tuple(LogLikelihood(float(ll), n) for ll, n in zip(lls, tokens, strict=True))
    return sample, Response(key="0", loglikelihoods=found)


def near_ties():
    """Log-likelihoods that grow with the length, so that each way of dividing by it picks other choices."""
    rng = np.random.default_rng(0)
    lengths = np.array([len(c) for c in CHOICES])
    return [(-(lengths + rng.choice([0, 1])) * rng.uniform(0.8, 1.2, 4), int(rng.integers(4))) for _ in range(200)]


def test_equals_lm_eval(figure):
    """lm_eval 0.4.13 api/task.py, ConfigurableTask.process_results of a multiple_choice task."""
    pytest.importorskip("lm_eval")
    from lm_eval.api.task import ConfigurableTask

    metrics = ["acc", "acc_norm", "acc_bytes"]
    task = ConfigurableTask.__new__(ConfigurableTask)
    task._config = SimpleNamespace(process_results=None)
    task.OUTPUT_TYPE = "multiple_choice"
    task._metric_fn_list = dict.fromkeys(metrics)
    task.multiple_input = task.multiple_target = False
    task.doc_to_text = lambda doc: "?"
    task.doc_to_choice = lambda doc: list(CHOICES)
    several = set()
    for lls, gold in near_ties():
        task.doc_to_target = lambda doc, gold=gold: gold
        theirs = task.process_results({}, [(ll, False) for ll in lls])
        sample, response = item(lls, gold)
        for name, normalize in zip(metrics, ("none", "chars", "bytes"), strict=True):
            assert figure(ChoiceAccuracy(normalize=normalize), [sample], [response]) == theirs[name], name
        several.add(tuple(theirs[name] for name in metrics))
    assert len(several) > 4


def test_by_tokens(figure):
    sample, response = item([-2.0, -9.0, -9.0, -5.0], 3)
    assert figure(ChoiceAccuracy(), [sample], [response]) == 0.0
    assert figure(ChoiceAccuracy(normalize="tokens"), [sample], [response]) == 1.0


def test_what_is_not_measured():
    sample, response = item([-1, -2, -3, -4], 0)
    bare = Response(key="0", text="a", answer="a")
    assert not ChoiceAccuracy().sample_stats([sample], [bare]).any()
    assert np.array_equal(ChoiceAccuracy().sample_stats([sample], [response]), [[1.0, 1.0]])


@pytest.mark.parametrize("metric", [ChoiceAccuracy(), ChoiceAccuracy(normalize="chars"), MutualInfoAccuracy()])
def test_a_failed_call_that_counts_as_wrong_is_wrong_here_too(metric):
    # As with `accuracy` of the same task: the runner hands on failed calls only where they count as wrong.
    assert metric.scores_blank
    sample, _ = item([-1, -2, -3, -4], 0)
    unlabelled = Sample(id="1", digest="", prompt="?", choices=CHOICES)
    failed = Response(key="0", status="error", text="")
    assert metric.values([sample, unlabelled], [failed, failed]) == [0.0, None]
    assert metric.values([sample], [Response(key="0", text="a")]) == [None]
