"""The attack on one sample, as it stands in a record: the changed text, its words, the queries, the outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalharness.core.types import Response
from evalharness.probes.attack.lockstep import attack_all
from evalharness.probes.attack.search import Attack, Candidates
from evalharness.stats.arrays import Floats, np

if TYPE_CHECKING:
    from .attack_encoder import AttackEncoder

__all__ = ["attack_sample"]


def attack_sample(
    ask: Callable[[Sequence[str]], Sequence[Response]],
    options: Mapping[str, Any],
    text: str,
    encoder: AttackEncoder | None = None,
) -> dict[str, Any]:
    """What the search of `options` finds on `text`, as plain JSON; `ask` gives the classifier's answers.

    With an `encoder` only texts near in meaning to the original count, and its nearest words may be substitutes.

    The search is led by two columns, the gold label's probability and the largest of the others, so that it needs to
    know no other label, and a classifier that tells its answer alone can be attacked, too.
    """
    gold = str(options["target"])
    answers: dict[str, str | None] = {}

    def score(texts: Sequence[str]) -> Floats:
        responses = ask(texts)
        answers.update({text: one.answer for text, one in zip(texts, responses, strict=True)})
        return np.array([_columns(one, gold) for one in responses], dtype=np.float64)

    attack = Attack(
        max_queries=int(options["max_queries"]),
        max_candidates=int(options["max_candidates"]),
        max_share=float(options["max_changed"]),
        seed=int(options["seed"]),
        **({} if encoder is None else {"least_similar": float(options["min_similarity"])}),
    )
    (found,) = attack_all(
        [text],
        score,
        candidates=_substitutes(options, encoder),
        similarity=None if encoder is None else encoder.similarity,
        golds=[0],
        names=[str(options["row"])],
        attack=attack,
    )
    return {
        "original": text,
        "text": found.text,
        "target": gold,
        "outcome": found.outcome,
        "right": found.outcome != "wrong before",
        "succeeded": found.outcome == "fooled",
        "answer_before": answers[text],
        "answer": answers[found.text],
        "probability_before": found.before,
        "probability": found.probability,
        "changes": [list(change) for change in found.changes],
        "n_words": found.n_words,
        "n_queries": found.n_queries,
        "share_changed": None if math.isnan(found.share_changed) else found.share_changed,
        "similarity": None if math.isnan(found.similarity) else found.similarity,
    }


def _substitutes(options: Mapping[str, Any], encoder: AttackEncoder | None) -> Candidates:
    """Those of the file, and after them the encoder's nearest words, where it is asked for any."""
    synonyms: Mapping[str, Sequence[str]] = options["synonyms"]
    n = options.get("neighbours")
    if encoder is None or n is None:
        return lambda word: synonyms.get(word, ())
    near = encoder.neighbours(int(n))
    return lambda word: (*synonyms.get(word, ()), *near(word))


def _columns(response: Response, gold: str) -> tuple[float, float]:
    """(the gold label's probability, the largest other one); which is larger agrees with the answer, ties included."""
    said = response.label_probabilities or ({} if response.answer is None else {response.answer: 1.0})
    own = float(said.get(gold, 0.0))
    other = max((float(p) for label, p in said.items() if label != gold), default=0.0)
    if response.answer == gold:
        return own, min(other, own)
    return own, max(other, math.nextafter(own, math.inf))
