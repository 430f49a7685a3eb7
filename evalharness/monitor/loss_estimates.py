"""Direct loss estimation (DLE) of numbers: how far off predictions are, told from what they go with.

A regressor learns the absolute and the squared error of a prediction from the numbers that stand beside it: the
prediction itself, its probability, tokens, lengths, latency, cost, and the numeric descriptors under `watch`. The mean
of what it says of unlabelled responses estimates MAE and RMSE, as long as errors depend on those numbers as they did
where labels are known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from evalharness.core.errors import MissingExtraError
from evalharness.stats.arrays import Bools, Floats, np
from evalharness.stats.intervals import Interval

from .estimating import Estimate, Refused
from .kept_rows import KeptRows

__all__ = ["LEAST_LABELLED", "MOST_OUTSIDE", "loss_estimates"]

LEAST_LABELLED: Final = 500
"""Labelled rows of the reference; fewer do not tell what errors go with."""
MOST_OUTSIDE: Final = 0.1
"""Share of responses with a number beyond nearly all of the reference: errors out there were never learned."""
_FOLDS: Final = 10


def loss_estimates(reference: KeptRows, current: KeptRows, groups: Mapping[str, Bools]) -> Sequence[Estimate] | Refused:
    """MAE and RMSE of each group.

    The interval holds how losses vary about what is expected of them (held out, by conversation), and how the regressor
    varies with its data (jackknife over the tenths of conversations that are left out in turn).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    features, losses, clusters = _labelled(reference)
    if len(losses) < LEAST_LABELLED:
        return Refused(
            f"dle needs {LEAST_LABELLED} responses of the reference whose prediction and label are numbers, and has "
            f"{len(losses):,}; take a longer reference, or wait for its labels and remove its folder `estimate-…`"
        )
    now = current.features
    usable = ~np.isnan(now[:, 0])
    if not usable.any():
        return Refused("dle: no prediction of the interval is a number")
    outside = _outside(features, now[usable])
    if outside.share > MOST_OUTSIDE:
        name = reference.feature_names[outside.column]
        return Refused(
            f"dle: {outside.share:.0%} of the responses have numbers that the reference has not, most of them {name}; "
            f"{MOST_OUTSIDE:.0%} is the most: errors there were never learned; take a newer reference"
        )
    # A number that is always the same, or never known, goes with nothing.
    varies = [len(np.unique(column[~np.isnan(column)])) > 1 for column in features.T]
    features, now = features[:, varies], now[:, varies]
    found: list[Estimate] = []
    realised = _realised(current)
    for place, metric in enumerate(("mae", "rmse")):
        loss = losses if place == 0 else losses**2
        learned = _Learned(features, loss, clusters, now)
        if not learned.tells:
            return Refused(
                "dle: what stands beside the predictions of the reference does not tell their errors (held out, it "
                f"explains {learned.explained:.1%} of them); add descriptors under `watch` that go with errors"
            )
        for group, mask in groups.items():
            held = mask & usable
            n = int(held.sum())
            if n == 0:
                continue
            mean, error = learned.mean_of(held)
            low, high = max(0.0, mean - 1.96 * error), mean + 1.96 * error
            known = realised[held]
            known = known[~np.isnan(known)]
            if metric == "rmse":
                actual = math.sqrt(float((known**2).mean())) if len(known) else math.nan
                mean, low, high = (math.sqrt(max(0.0, value)) for value in (mean, low, high))
            else:
                actual = float(known.mean()) if len(known) else math.nan
            found.append(Estimate(metric, group, mean, Interval(low, high), n, actual, len(known)))
    return found


class _Outside:
    def __init__(self, share: float, column: int) -> None:
        self.share, self.column = share, column


def _outside(reference: Floats, current: Floats) -> _Outside:
    """The share of rows with a value beyond the middle 99.8 % of the reference, and the column with the most."""
    beyond = np.zeros(current.shape, dtype=bool)
    for column in range(reference.shape[1]):
        known = reference[:, column][~np.isnan(reference[:, column])]
        values = current[:, column]
        if not len(known):
            beyond[:, column] = ~np.isnan(values)
            continue
        low, high = np.quantile(known, [0.001, 0.999])
        beyond[:, column] = (values < low) | (values > high)
    return _Outside(float(beyond.any(axis=1).mean()), int(beyond.sum(axis=0).argmax()))


def _labelled(rows: KeptRows) -> tuple[Floats, Floats, Any]:
    """(n, features), (n,) absolute errors and (n,) conversations of what has both numbers."""
    features, errors = rows.features, _realised(rows)
    known = ~np.isnan(errors)
    return features[known], errors[known], rows.clusters[known]


def _realised(rows: KeptRows) -> Floats:
    """(n,) absolute errors; NaN where the label is missing or no number."""
    labels = np.array([math.nan if label is None else _number(label) for label in rows.labels], dtype=np.float64)
    found: Floats = np.abs(rows.features[:, 0] - labels)
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class _Learned:
    """A loss as a function of features, each tenth of the conversations held out in turn."""

    def __init__(self, features: Floats, loss: Floats, clusters: Any, current: Floats) -> None:
        _, codes = np.unique(clusters, return_inverse=True)
        fold = np.random.default_rng(0).integers(_FOLDS, size=int(codes.max()) + 1)[codes]
        held_out = np.empty(len(loss))
        said = []
        for each in range(_FOLDS):
            out = fold == each
            model = _regressor().fit(features[~out], loss[~out])
            if out.any():
                held_out[out] = model.predict(features[out])
            said.append(model.predict(current))
        self._said = np.array(said)
        residuals = loss - held_out
        self.explained = 1.0 - float((residuals**2).sum()) / max(float(((loss - loss.mean()) ** 2).sum()), 1e-300)
        sums = np.bincount(codes, weights=residuals)
        # Of a mean over n rows the square of the error is this over n: clusters count as they come.
        self._per_row = float((sums**2).sum()) / len(loss)
        gains = (loss - loss.mean()) ** 2 - residuals**2
        by_cluster = np.bincount(codes, weights=gains)
        spread = math.sqrt(max(float((by_cluster**2).sum()) - float(gains.sum()) ** 2 / len(by_cluster), 0.0))
        self.tells = float(gains.sum()) - 1.645 * spread > 0

    def mean_of(self, mask: Bools) -> tuple[float, float]:
        """The mean expected loss of the rows, and its standard error."""
        each = self._said[:, mask].mean(axis=1)
        learning = (_FOLDS - 1) / _FOLDS * float(((each - each.mean()) ** 2).sum())
        return float(each.mean()), math.sqrt(self._per_row / int(mask.sum()) + learning)


def _regressor() -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ModuleNotFoundError as error:
        raise MissingExtraError("scikit-learn", "estimate", purpose="estimate: dle") from error
    return HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, min_samples_leaf=30, random_state=0)
