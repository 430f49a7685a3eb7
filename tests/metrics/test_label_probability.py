"""The probability of one label: a classifier's, that of a choice, and that of a label read from text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.label_probability import LabelProbability


def rows(metric, *pairs):
    return metric.sample_stats([s for s, _ in pairs], [r for _, r in pairs]).tolist()


SAMPLE = Sample(id="a", digest="", prompt="", choices=("Yes", "No"), target="No")


def test_of_classifiers_choices_and_texts():
    metric = LabelProbability(label="yes")
    lls = (LogLikelihood(-1.0, 1), LogLikelihood(-2.0, 1))
    given = [
        Response("a", label_probabilities={"YES": 0.7, "no": 0.3}),
        Response("b", loglikelihoods=lls),
        Response("c", text="yes, I think", answer="Yes"),
        Response("d", text="no", answer="No"),
        Response("e", text="…", status="unparsed"),
        Response("f", label_probabilities={"good": 0.7}),
        Response("g", loglikelihoods=(LogLikelihood(math.nan, 1), LogLikelihood(-2.0, 1))),
        Response("h", label_probabilities={"yes": math.nan}),
    ]
    found = rows(metric, *((SAMPLE, response) for response in given))
    expected = math.exp(-1) / (math.exp(-1) + math.exp(-2))
    np.testing.assert_allclose(
        found, [[1, 0.7], [1, expected], [1, 1], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]], atol=1e-12
    )


def test_which_way_is_better():
    assert LabelProbability(label="x").higher_is_better
    assert not LabelProbability(label="x", better="lower").higher_is_better
    with pytest.raises(MetricOptionError, match="label: name the label"):
        LabelProbability(label=" ")
