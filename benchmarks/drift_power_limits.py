"""What no test without foreknowledge can reach in the cells of drift_power.py: the reach of exact tests.

    python benchmarks/drift_power_limits.py            # a few minutes

Thresholds there are put where 5 % of windows without drift ring, window by window of the very stream. A distance that
is not standardised (Wasserstein's, |p − q|) then knows how heavy the stream's tails are, and how common "yes" is, which
in production nobody tells it. Beside it stand

- of a rate, the same draws judged by χ² and by Fisher's test, for a rise and for a fall of it; and
- of outliers among lognormal rows, the best test there is of windows whose rows may be exchanged: the permutation of
  the log-likelihood ratio of both laws, of which it must be told everything (Neyman and Pearson). "Two-sided" asks
  whether the outliers are in either window, as a drift test must; "one-sided" knows that they are in the current one.
"""

from __future__ import annotations

import argparse
import functools
import math

import numpy as np
from drift_power import SD, lognormal, power
from scipy.stats import hypergeom

SIZES = ((200, 200), (2_000, 200), (2_000, 2_000))
Scores = dict[str, np.ndarray]


@functools.cache
def _fisher(n: int, m: int, yes: int) -> tuple[int, np.ndarray]:
    low = max(0, yes - n)
    law = hypergeom.pmf(np.arange(low, min(yes, m) + 1), n + m, yes, m)
    return low, np.array([law[law <= one * (1 + 1e-7)].sum() for one in law])


def _of_rates(rng: np.random.Generator, n: int, m: int, share: float, windows: int) -> Scores:
    x, y = rng.binomial(n, 0.1, windows), rng.binomial(m, share, windows)
    p, q, h = x / n, y / m, (x + y) / (n + m)
    exact = []
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        low, law = _fisher(n, m, a + b)
        exact.append(-law[b - low])
    chi_square = (p - q) ** 2 / np.maximum(h * (1 - h), 1e-12)
    return {"|p − q|": np.abs(p - q), "χ²": chi_square, "Fisher": np.array(exact)}


def rates(windows: int) -> None:
    rng = np.random.default_rng(7)
    for n, m in SIZES:
        size = math.sqrt(250 * (1 / n + 1 / m))
        still = _of_rates(rng, n, m, 0.1, windows)
        for name, step in (("rises", 0.055), ("falls", -0.045)):
            moved = _of_rates(rng, n, m, 0.1 + step * size, windows)
            told = ", ".join(f"{key} {power(list(still[key]), list(moved[key])):.2f}" for key in still)
            print(f"rate {name}, {n:,} and {m:,}: {told}", flush=True)


def _ratio(values: np.ndarray, change: str, share: float) -> np.ndarray:
    """log(1 − ε + ε·f₁/f₀) of each row."""
    logs = np.log(np.maximum(values, 1e-12))
    plain = -logs * logs / 2 - logs
    if change == "tenfold rows":
        other = -((logs - math.log(10)) ** 2) / 2 - logs
    else:
        other = -(((values - 5 * SD) / SD) ** 2) / 2 - math.log(SD)
    found: np.ndarray = np.log(1 - share + share * np.exp(np.minimum(other - plain, 25)))
    return found


def _of_outliers(
    rng: np.random.Generator, n: int, m: int, change: str, still: bool, windows: int, draws: int
) -> Scores:
    size = math.sqrt(250 * (1 / n + 1 / m))
    grid = (np.arange(1_000) + 0.5) / 1_000
    found: dict[str, list[float]] = {"Wasserstein": [], "one-sided": [], "two-sided": []}
    for _ in range(windows):
        before, now = lognormal(rng, n, "", size), lognormal(rng, m, "" if still else change, size)
        found["Wasserstein"].append(float(np.abs(np.quantile(before, grid) - np.quantile(now, grid)).mean()))
        scores = _ratio(np.concatenate([before, now]), change, 0.032 * size)
        scores = scores - scores.mean()
        own = scores[n:].sum()
        drawn = np.array([scores[rng.permutation(n + m)[:m]].sum() for _ in range(draws)])
        # Ties between p-values are broken by the statistic.
        more = own / scores.std() * 1e-9
        found["one-sided"].append(float(more - np.mean(drawn >= own)))
        found["two-sided"].append(float(abs(more) - np.mean(np.abs(drawn) >= abs(own))))
    return {name: np.array(one) for name, one in found.items()}


def outliers(windows: int, draws: int) -> None:
    rng = np.random.default_rng(11)
    for n, m in SIZES:
        for change in ("contamination", "tenfold rows"):
            still, moved = (_of_outliers(rng, n, m, change, quiet, windows, draws) for quiet in (True, False))
            told = ", ".join(f"{key} {power(list(still[key]), list(moved[key])):.2f}" for key in still)
            print(f"lognormal: {change}, {n:,} and {m:,}: {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=300, help="of outliers; of rates a hundred times as many")
    parser.add_argument("--draws", type=int, default=299, help="permutations of each")
    args = parser.parse_args()
    rates(100 * args.windows)
    outliers(args.windows, args.draws)


if __name__ == "__main__":
    main()
