"""Areas under the ROC and the precision-recall curve, for many rows of frequency weights at once."""

from __future__ import annotations

from .arrays import ArrayLike, Bools, Floats, np

__all__ = ["average_precision", "average_precision_left_out", "roc_area", "roc_area_left_out"]


def roc_area(positive: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """P(a positive scores above a negative), ties counting half, for each row of weights (..., n) -> (...).

        Σ_i∈P w_i · (N(< s_i) + N(≤ s_i))/2 / (Σ_P w · Σ_N w)

    with N(·) the weight of the negatives below. That is the Mann-Whitney form of the area under the ROC curve, equal to
    the trapezoids of scikit-learn's `roc_auc_score`. Only positions among the sorted negatives are looked up for each
    row of weights, nothing is sorted again. NaN where there is no positive or no negative.
    """
    is_positive, score, weight = _checked(positive, scores, weights)
    negatives = np.flatnonzero(~is_positive)
    negatives = negatives[np.argsort(score[negatives], kind="stable")]
    positives = np.flatnonzero(is_positive)
    below = np.searchsorted(score[negatives], score[positives], side="left")
    up_to = np.searchsorted(score[negatives], score[positives], side="right")
    cumulative = np.zeros((*weight.shape[:-1], negatives.size + 1))
    np.cumsum(weight[..., negatives], axis=-1, out=cumulative[..., 1:])
    beaten = cumulative[..., below]
    beaten += cumulative[..., up_to]
    of_positives = weight[..., positives]
    pairs = of_positives.sum(axis=-1) * cumulative[..., -1]
    return _divided((of_positives * beaten).sum(axis=-1) / 2, pairs)


def average_precision(positive: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """The area under the precision-recall curve as a sum of steps, for each row of weights (..., n) -> (...).

        AP = Σ_t (R_t − R_{t−1}) · P_t

    over the distinct scores t from the highest down: no line between the points, which would be too kind. Source:
    scikit-learn's `average_precision_score`. NaN where there is no positive.
    """
    is_positive, score, weight = _checked(positive, scores, weights)
    order = np.argsort(-score, kind="stable")
    # One step for each distinct score: its last place in the order.
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)[: order.size])
    ordered = weight[..., order]
    found = np.cumsum(ordered * is_positive[order], axis=-1)[..., last]
    taken = np.cumsum(ordered, axis=-1)[..., last]
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    steps = np.diff(found, axis=-1, prepend=0.0)
    total = found[..., -1] if last.size else np.zeros(weight.shape[:-1])
    return _divided((steps * precision).sum(axis=-1), total)


def roc_area_left_out(positive: ArrayLike, scores: ArrayLike) -> Floats:
    """(n,) `roc_area` without each sample in turn, exactly, in O(n log n).

        positive i: (P·A − V_i) / (P − 1),  V_i the share of the N negatives that it beats, ties counting half

    and likewise for a negative by the share of positives that beat it. NaN where no sample of that side is left.
    """
    is_positive, score, _ = _checked(positive, scores, None)
    above, below = np.sort(score[is_positive]), np.sort(score[~is_positive])
    found = np.full(score.size, np.nan)
    if not above.size or not below.size:
        return found
    beaten = _places(below, score[is_positive]) / below.size
    beating = 1 - _places(above, score[~is_positive]) / above.size
    for side, shares in ((is_positive, beaten), (~is_positive, beating)):
        if shares.size > 1:
            found[side] = (shares.sum() - shares) / (shares.size - 1)
    return found


def average_precision_left_out(positive: ArrayLike, scores: ArrayLike) -> Floats:
    """(n,) `average_precision` without each sample in turn, exactly, in O(n log n).

    AP is the mean over the positives of TP/M, with M the samples that score no lower than it and TP the positives among
    them. Without sample j those that score no higher than j have one fewer in M, and in TP if j is positive. NaN where
    no positive is left.
    """
    is_positive, score, _ = _checked(positive, scores, None)
    mine = score[is_positive]
    n_positive = mine.size
    ordered = np.sort(mine)
    hits = n_positive - np.searchsorted(ordered, ordered, side="left").astype(np.float64)
    taken = score.size - np.searchsorted(np.sort(score), ordered, side="left").astype(np.float64)
    fewer = np.maximum(taken - 1, 1)  # where nothing else is taken, no other positive is hit either
    kept, less_negative, less_positive = (
        np.concatenate([[0.0], np.cumsum(terms)]) for terms in (hits / taken, hits / fewer, (hits - 1) / fewer)
    )
    reached = np.searchsorted(ordered, score, side="right")
    higher = kept[-1] - kept[reached]
    own = (hits - 1) / fewer
    found = np.full(score.size, np.nan)
    if n_positive:
        found[~is_positive] = ((higher + less_negative[reached]) / n_positive)[~is_positive]
    if n_positive > 1:
        itself = own[np.searchsorted(ordered, mine, side="left")]
        found[is_positive] = ((higher + less_positive[reached])[is_positive] - itself) / (n_positive - 1)
    return found


def _places(ordered: Floats, scores: Floats) -> Floats:
    """How many of `ordered` lie below each score, equal ones counting half."""
    both = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
    return both.astype(np.float64) / 2


def _checked(positive: ArrayLike, scores: ArrayLike, weights: ArrayLike | None) -> tuple[Bools, Floats, Floats]:
    is_positive = np.asarray(positive, dtype=np.bool_)
    score = np.asarray(scores, dtype=np.float64)
    if is_positive.ndim != 1 or is_positive.shape != score.shape:
        raise ValueError(f"positive and scores must be one-dimensional and alike: {is_positive.shape}, {score.shape}")
    weight = np.ones(score.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape[-1:] != score.shape:
        raise ValueError(f"weights must have one entry a score: {weight.shape} against {score.shape}")
    return is_positive, score, weight


def _divided(value: Floats, by: Floats) -> Floats:
    result: Floats = np.divide(value, by, out=np.full(np.shape(value), np.nan), where=np.asarray(by) > 0)
    return result
