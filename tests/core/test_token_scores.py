import json

import numpy as np
import pytest

from evalharness.core.token_scores import TokenScores

SCORES = TokenScores(
    np.array([5, 7]),
    np.float32([-0.1, -2.5]).astype(float),
    np.array([[5, 1, 2], [3, 7, 0]]),
    np.float32([[-0.1, -3, -4], [-1, -2.5, -9]]).astype(float),
)


def test_there_and_back_through_json():
    found = TokenScores.from_json(json.loads(json.dumps(SCORES.to_json())))
    for name in ("ids", "logprobs", "top_ids", "top_logprobs"):
        assert getattr(found, name).tolist() == getattr(SCORES, name).tolist()
        assert getattr(found, name).dtype in (np.int64, np.float64)


def test_no_tokens():
    empty = TokenScores(np.zeros(0, int), np.zeros(0), np.zeros((0, 4), int), np.zeros((0, 4)))
    assert TokenScores.from_json(empty.to_json()).top_ids.shape == (0, 4)


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {**SCORES.to_json(), "ids": "not base64!"},
        {**SCORES.to_json(), "n": 3},
        {**SCORES.to_json(), "top_ids": None},
    ],
)
def test_what_is_no_scores(body):
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy's own messages differ
        TokenScores.from_json(body)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="2 tokens need as many"):
        TokenScores(SCORES.ids, SCORES.logprobs[:1], SCORES.top_ids, SCORES.top_logprobs)
