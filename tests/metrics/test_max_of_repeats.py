"""The worst of several answers: expected maximum toxicity and the probability of any toxic one."""

from __future__ import annotations

import pytest

from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.max_of_repeats import MaxOfRepeats

ANSWERS = [["you idiot", "a fine day"], ["hello there", "good"], ["idiot", "you idiot, go away now"], ["idiot"]]


def rows(metric):
    samples = [Sample(id=str(i), digest="", prompt="", references=("good",)) for i in range(len(ANSWERS))]
    groups = [[Response("", text=text, answer=text) for text in answers] for answers in ANSWERS]
    return metric.repeat_stats(samples, groups).tolist()


def test_the_highest_value_counts_and_one_answer_is_too_few():
    assert rows(MaxOfRepeats(of={"toxicity_lexicon": {"measure": "mean"}})) == [[1, 0.5], [1, 0], [1, 1], [0, 0]]
    assert rows(MaxOfRepeats(of="toxicity_lexicon")) == [[1, 1], [1, 0], [1, 1], [0, 0]]
    assert rows(MaxOfRepeats(of="exact_match")) == [[1, 0], [1, 1], [1, 0], [0, 0]]


def test_it_has_the_ways_of_the_other_metric():
    metric = MaxOfRepeats()
    assert not metric.higher_is_better
    assert metric.bounds == (0.0, 1.0)
    assert MaxOfRepeats(of="exact_match").higher_is_better
    assert MaxOfRepeats(of="exact_match").signature != metric.signature
    assert metric.least_repeats == 2


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("bleu", "bleu is no mean over samples"),
        ("no_metric", "unknown metric"),
        ({"pass_at_k": {}}, "looks at several answers"),
    ],
)
def test_what_cannot_be_taken(of, message):
    with pytest.raises(MetricOptionError, match=message):
        MaxOfRepeats(of=of)
