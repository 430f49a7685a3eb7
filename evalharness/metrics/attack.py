"""Figures of attacks: how many right answers were turned round, and at what cost.

They read what a task with `attack` has put into its answers; nothing is asked of the model again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from evalharness.core.types import Kind, Response, Sample

from .base import NEEDS_NOTHING, PROPORTION, MeanMetric

__all__ = ["AccuracyUnderAttack", "AttackQueries", "AttackSuccessRate", "AttackWordsChanged", "attack_of"]


def attack_of(response: Response) -> Mapping[str, Any] | None:
    """The attack in a response's meta, None where it has none."""
    found = response.meta.get("attack") if response.meta else None
    return found if isinstance(found, Mapping) else None


class _AttackMetric(MeanMetric):
    """The mean of something that stands in attacks; answers without one are left out."""

    __slots__ = ()

    kinds: frozenset[Kind] = frozenset({"study"})
    procedure: ClassVar[str] = "attack"
    needs = NEEDS_NOTHING
    scores_blank = False

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        found = (attack_of(response) for response in responses)
        return [None if one is None else self.read(one) for one in found]

    def read(self, attack: Mapping[str, Any]) -> float | None:
        """The value of one attack; None where it has none."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSuccessRate(_AttackMetric):
    """Share of the rightly answered texts whose answer a search turned round by putting other words in their place.

        turned round / answered rightly

    Texts that were answered wrongly as they are count in neither. A lower bound: a text that this search did not turn
    round, at its budget and with its substitutes, may still be turned round.

    Source: Jin et al. 2020 (TextFooler, arXiv 1907.11932).
    """

    name = "attack_success_rate"
    higher_is_better = False
    interval = PROPORTION

    def read(self, attack: Mapping[str, Any]) -> float | None:
        return float(bool(attack.get("succeeded"))) if attack.get("right") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyUnderAttack(_AttackMetric):
    """Share of all texts that are answered rightly as they are, and were not turned round.

        (answered rightly − turned round) / n

    Source: Jin et al. 2020 (TextFooler, arXiv 1907.11932), after-attack accuracy.
    """

    name = "accuracy_under_attack"
    interval = PROPORTION

    def read(self, attack: Mapping[str, Any]) -> float | None:
        return float(bool(attack.get("right")) and not attack.get("succeeded"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackQueries(_AttackMetric):
    """Texts that the classifier was asked for each rightly answered one, the original among them.

        Σ n_queries / answered rightly

    Few where words that turn the answer round are soon found: more is harder to attack.

    Source: counted; a text that was asked before counts once.
    """

    name = "attack_queries"
    bounds = (0.0, math.inf)

    def read(self, attack: Mapping[str, Any]) -> float | None:
        return float(attack["n_queries"]) if attack.get("right") and "n_queries" in attack else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackWordsChanged(_AttackMetric):
    """Share of a text's words that had to be changed to turn its answer round; of those turned round.

        Σ changed words / words / turned round

    Source: Jin et al. 2020 (TextFooler, arXiv 1907.11932), percentage of perturbed words.
    """

    name = "attack_words_changed"

    def read(self, attack: Mapping[str, Any]) -> float | None:
        share = attack.get("share_changed")
        return float(share) if attack.get("succeeded") and share is not None else None
