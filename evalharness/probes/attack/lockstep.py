"""Searches on many texts side by side, so that each call of the model has a batch worth computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalharness.core.errors import UsageError
from evalharness.stats.arrays import Floats, np

from .search import Attack, Attacked, Candidates, Similarity, Steps

__all__ = ["attack_all"]


def attack_all(
    texts: Sequence[str],
    score: Callable[[Sequence[str]], Floats],
    *,
    candidates: Candidates,
    golds: Sequence[int | None] | None = None,
    similarity: Similarity | None = None,
    attack: Attack | None = None,
    names: Sequence[str] | None = None,
    side_by_side: int = 64,
) -> list[Attacked]:
    """What a search found on each of `texts`.

    `score` gives (m, labels) probabilities for m texts; it gets those of up to `side_by_side` searches at once, which
    changes no result. `golds` are the indexes of the right labels: a text that is
    classified wrongly already is not attacked. `names` are the rows' ids, by which chance is drawn.

    Raises:
        UsageError: lists of different lengths, or `score` gives something else than probabilities.
    """
    attack = attack or Attack()
    golds = [None] * len(texts) if golds is None else golds
    names = [str(i) for i in range(len(texts))] if names is None else names
    if not len(texts) == len(golds) == len(names):
        raise UsageError(f"{len(texts)} texts, {len(golds)} golds and {len(names)} names; give one of each a text")
    found: dict[int, Attacked] = {}
    waiting = list(range(len(texts)))[::-1]
    running: dict[int, tuple[Steps, list[str]]] = {}

    def begin() -> None:
        while waiting and len(running) < side_by_side:
            place = waiting.pop()
            steps = attack.steps(
                texts[place], row=names[place], gold=golds[place], candidates=candidates, similarity=similarity
            )
            running[place] = (steps, next(steps))

    begin()
    while running:
        asked = list(dict.fromkeys(text for _, batch in running.values() for text in batch))
        scores = _checked(score(asked), len(asked))
        index = {text: i for i, text in enumerate(asked)}
        for place, (steps, batch) in list(running.items()):
            try:
                running[place] = (steps, steps.send(scores[[index[text] for text in batch]]))
            except StopIteration as end:
                found[place] = end.value
                del running[place]
        begin()
    return [found[i] for i in range(len(texts))]


def _checked(scores: Floats, n: int) -> Floats:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != n or scores.shape[1] < 2:
        raise UsageError(f"score must give ({n}, labels) probabilities with two labels or more; got {scores.shape}")
    if not np.isfinite(scores).all():
        raise UsageError("score gave probabilities that are no numbers; an attack cannot be led by them")
    return scores
