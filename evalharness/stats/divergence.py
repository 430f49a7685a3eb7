"""How far two distributions over a vocabulary lie apart, where only the likeliest tokens of each are known."""

from __future__ import annotations

from typing import NamedTuple

from .arrays import Floats, Ints, np

__all__ = ["Divergence", "divergence"]

# Pairs of tokens that are compared at once.
_CHUNK_CELLS = 4_000_000


class Divergence(NamedTuple):
    """By place (n,): the divergence in nats, whether both agree on the likeliest token, and what was compared.

    `shared` is the share of the first distribution's mass that stands on tokens known of both.
    """

    nats: Floats
    same_top: Floats
    shared: Floats


def divergence(
    ids: Ints, first: Floats, second: Floats, first_ids: Ints, first_top: Floats, second_ids: Ints, second_top: Floats
) -> Divergence:
    """KL(first ‖ second) at each place, over the tokens that are known of both and everything else as one.

        Σ_known p·ln(p/q) + p_rest·ln(p_rest/q_rest),  rest = 1 − Σ_known

    `ids` (n,) are the tokens that stand there, with their natural-log probabilities `first` and `second` (n,);
    `…_ids` and `…_top` (n, k) the k likeliest tokens of each, likeliest first. Known of both are the token that stands
    there and the tokens in both lists. To put tokens together can only bring distributions closer (the data-processing
    inequality; Cover and Thomas 2006, theorem 2.8.1), so this is never more than the divergence over the whole
    vocabulary, and equal to it where the lists hold all of it.
    """
    n, k = first_ids.shape
    nats, shared = np.zeros(n), np.zeros(n)
    step = max(1, _CHUNK_CELLS // max(1, k * second_ids.shape[1]))
    for start in range(0, n, step):
        here = slice(start, min(start + step, n))
        nats[here], shared[here] = _chunk(
            ids[here], first[here], second[here], first_ids[here], first_top[here], second_ids[here], second_top[here]
        )
    same = (first_ids[:, 0] == second_ids[:, 0]).astype(np.float64) if k and n else np.zeros(n)
    return Divergence(nats, same, shared)


def _chunk(
    ids: Ints, first: Floats, second: Floats, first_ids: Ints, first_top: Floats, second_ids: Ints, second_top: Floats
) -> tuple[Floats, Floats]:
    matches = first_ids[:, :, None] == second_ids[:, None, :]
    both = matches.any(axis=2) & (first_ids != ids[:, None])
    log_q = np.take_along_axis(np.asarray(second_top, np.float64), matches.argmax(axis=2), axis=1)
    log_p = np.where(both, np.asarray(first_top, np.float64), -np.inf)
    log_q = np.where(both, log_q, -np.inf)
    log_p = np.concatenate([log_p, np.asarray(first, np.float64)[:, None]], axis=1)
    log_q = np.concatenate([log_q, np.asarray(second, np.float64)[:, None]], axis=1)
    p, q = np.exp(log_p), np.exp(log_q)
    known = np.isfinite(log_p)
    terms = np.where(known, p * (np.where(known, log_p, 0.0) - np.where(known, log_q, 0.0)), 0.0)
    shared = p.sum(axis=1)
    # Rounding may leave a rest below 0; nothing is known of it then, and nothing lies in it.
    rest_p, rest_q = np.maximum(1 - shared, 0.0), np.maximum(1 - q.sum(axis=1), 0.0)
    # In float32 a rest of 1e-7 may be nothing but rounding: it is never compared with one of 0.
    small = 1e-6
    rest = np.where(rest_p > small, rest_p * np.log(np.maximum(rest_p, small) / np.maximum(rest_q, small)), 0.0)
    return np.maximum(terms.sum(axis=1) + rest, 0.0), np.minimum(shared, 1.0)
