"""Perturbations: seeded rewritings of a text that leave its meaning, alone or one after the other."""

from __future__ import annotations

from .base import Perturbation, PerturbationError, generator
from .compose import PERTURBATIONS, Composed, composed_of

__all__ = ["PERTURBATIONS", "Composed", "Perturbation", "PerturbationError", "composed_of", "generator"]
