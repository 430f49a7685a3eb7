from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.metrics.choices import ChoiceAccuracy

CHOICES = ("a", "bb", "çç", "a much longer one")


def item(lls, gold, tokens=(1, 1, 1, 5)):
    sample = Sample(id="0", digest="", prompt="?", choices=CHOICES, target=CHOICES[gold])
    found = tuple(LogLikelihood(float(ll), n) for ll, n in zip(lls, tokens, strict=True))
    return sample, Response(key="0", loglikelihoods=found)


@given(lls=st.lists(st.floats(-50, 0, width=32), min_size=4, max_size=4, unique=True), gold=st.integers(0, 3))
def test_equals_lm_eval(lls, gold, figure):
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
    task.doc_to_target = lambda doc: gold
    theirs = task.process_results({}, [(ll, False) for ll in lls])
    sample, response = item(lls, gold)
    for name, normalize in zip(metrics, ("none", "chars", "bytes"), strict=True):
        assert figure(ChoiceAccuracy(normalize=normalize), [sample], [response]) == theirs[name], name


def test_by_tokens(figure):
    sample, response = item([-2.0, -9.0, -9.0, -5.0], 3)
    assert figure(ChoiceAccuracy(), [sample], [response]) == 0.0
    assert figure(ChoiceAccuracy(normalize="tokens"), [sample], [response]) == 1.0


def test_what_is_not_measured():
    sample, response = item([-1, -2, -3, -4], 0)
    bare = Response(key="0", text="a", answer="a")
    assert not ChoiceAccuracy().sample_stats([sample], [bare]).any()
    assert np.array_equal(ChoiceAccuracy().sample_stats([sample], [response]), [[1.0, 1.0]])
