"""Evidence that may be looked at after every window: e-values from p-values, and the e-detector that adds them up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Floats

__all__ = ["e_value", "shiryaev_roberts"]

_SMALLEST = 1e-300


def e_value(p_values: ArrayLike) -> Floats:
    """e-values (n,) of p-values (n,): (1 - p + p·log p) / (p·log² p), the mean of κ·p^(κ-1) over κ from 0 to 1.

    Whatever valid p-value goes in, the e-value is 1 on average at most where nothing has changed, so that e-values of
    one window after the other may be multiplied, and those of several columns averaged. NaN, a window that says
    nothing, gives 1. At p = 1 it is ½, at 0.05 about 1.8, at 0.001 about 21.

    Source: Vovk and Wang, "E-values: Calibration, combination and applications", Annals of Statistics 49 (2021).

    Raises:
        ValueError: for p-values outside of (0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if ((p <= 0) | (p > 1)).any():
        raise ValueError("p-values must lie above 0 and at most at 1")
    told = np.clip(np.where(np.isnan(p), 1.0, p), _SMALLEST, 1.0)
    log = np.log(told)
    # Near p = 1 the formula is 0/0; with x = -log p it is ½ + x/6 + O(x²).
    near = log > -1e-4
    safe = np.where(near, -1.0, log)
    e = np.where(near, 0.5 - log / 6.0, (1.0 - told + told * safe) / (told * safe * safe))
    return np.where(np.isnan(p), 1.0, e)


def shiryaev_roberts(before: float, e: float) -> float:
    """The logarithm of the e-detector after a window, from its logarithm `before` (-inf at the start) and its e-value.

    R_t = (1 + R_{t-1})·e_t. Where nothing changes, R_t - t has no drift upwards, so that it takes A windows or more on
    average until R_t reaches A, and the chance that it does within t windows is at most t/A.

    Source: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
    New England Journal of Statistics in Data Science 2 (2024), definition 2.2 and theorem 2.4.
    """
    if e < 0:
        raise ValueError(f"an e-value cannot be negative, but is {e!r}")
    if e == 0:
        return -math.inf
    return float(np.logaddexp(0.0, before)) + math.log(e)
