"""Adversarial search against classifiers: the fewest words whose change turns the answer round."""

from __future__ import annotations

from .figures import AttackFigures, attack_figures
from .lockstep import attack_all
from .search import Attack, Attacked, Candidates, Similarity
from .synonyms import embedding_neighbours, read_synonyms

__all__ = [
    "Attack",
    "AttackFigures",
    "Attacked",
    "Candidates",
    "Similarity",
    "attack_all",
    "attack_figures",
    "embedding_neighbours",
    "read_synonyms",
]
