"""Runs a plan: asks models, keeps every answer, scores, and hands over to the record."""

from evalharness.runner.rescore import score
from evalharness.runner.run import run

__all__ = ["run", "score"]
