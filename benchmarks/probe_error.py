"""How often a disparity between groups is flagged where there is none, and how often where there is one.

    python benchmarks/probe_error.py                 # 2,000 seeds a scenario; minutes on one core
    python benchmarks/probe_error.py --seeds 500     # quicker
    python benchmarks/probe_error.py --write         # and writes the table into RESULTS.md and docs/groups.md

Each seed draws the answers of an unbiased model (all groups have one truth) and of a biased one (one group is worse)
and asks the figure itself, by the statistics that a run keeps: flagged is a difference whose interval at 95 % lies
above 0. `templates` means that each template was asked once for every group and is their common cluster.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.metrics.by_group import ByGroup

CONFIDENCE = 0.95
DOCS = Path(__file__).parents[1] / "docs" / "groups.md"


@dataclass(frozen=True)
class Scenario:
    """What is drawn: `n` samples a group (or templates), with a truth of `level`, a group worse by `bias`."""

    kind: str
    groups: int
    n: int
    level: float
    templates: bool
    bias: float
    what: str = "difference"

    @property
    def name(self) -> str:
        """As the table calls it."""
        how = f"{self.n} templates" if self.templates else f"{self.n} each"
        what = "" if self.what == "difference" else f", {self.what}"
        return f"{self.groups} groups, {self.kind} {self.level:g}, {how}{what}"


def drawn(scenario: Scenario, rng: np.random.Generator, bias: float) -> Any:
    """(n, G) values: a row a template, or only samples beside one another."""
    shape = (scenario.n, scenario.groups)
    truth = np.full(scenario.groups, scenario.level)
    truth[-1] -= bias
    if scenario.kind == "share":
        # Templates differ in how hard they are, and half of the answers are the template's own.
        own = rng.random((scenario.n, 1)) if scenario.templates else rng.random(shape)
        hard = np.where(rng.random(shape) < 0.5, own, rng.random(shape))
        return (hard < truth).astype(np.float64)
    if scenario.kind == "score":
        # As a similarity within [0, 1]: many in the middle, some at 1.
        own = rng.normal(0, 0.15, (scenario.n, 1) if scenario.templates else shape)
        return np.clip(truth + own + rng.normal(0, 0.1, shape), 0, 1)
    # Seconds, with a long tail.
    own = rng.normal(0, 0.6, (scenario.n, 1) if scenario.templates else shape)
    noise = rng.normal(0, 0.3, shape)
    return np.exp(own + noise - 0.225) * (scenario.level + (scenario.level - truth))


def rows_of(values: Any) -> tuple[Any, Any]:
    """The statistics that `by_group` keeps of (n, G) values, and the number of each one's template."""
    n, groups = values.shape
    blocks = np.zeros((n, groups, groups, 2))
    place = np.arange(groups)
    blocks[:, place, place, 0] = 1.0
    blocks[:, place, place, 1] = values
    rows = np.concatenate([np.ones((n * groups, 1)), blocks.reshape(n * groups, groups * 2)], axis=1)
    return rows, np.repeat(np.arange(n), groups)


def flagged(scenario: Scenario, seed: int, bias: float) -> bool:
    """Whether the interval of the figure excludes that there is no disparity."""
    metric = "latency_mean_s" if scenario.kind == "seconds" else "token_f1" if scenario.kind == "score" else "accuracy"
    levels = tuple(f"g{i}" for i in range(scenario.groups))
    reference = "g0" if scenario.what == "drop" else None
    figure = ByGroup(metric=metric, column="group", what=scenario.what, levels=levels, reference=reference)  # type: ignore[arg-type]
    rows, codes = rows_of(drawn(scenario, np.random.default_rng([seed, scenario.groups, scenario.n]), bias))
    found = figure.disparity(rows, codes if scenario.templates else None, seed=seed)
    low, high = found.interval(CONFIDENCE)
    return bool(high < 1 if scenario.what == "ratio" else low > 0)


def scenarios() -> Iterator[Scenario]:
    """All that is measured."""
    for templates in (False, True):
        for groups in (2, 4, 8):
            for level, n, bias in (
                (0.5, 100, 0.25),
                (0.8, 100, 0.25),
                (0.95, 30, 0.3),
                (0.95, 100, 0.2),
                (0.97, 300, 0.1),
            ):
                yield Scenario("share", groups, n, level, templates, bias)
            for n, bias in ((30, 0.15), (100, 0.1)):
                yield Scenario("score", groups, n, 0.7, templates, bias)
            yield Scenario("seconds", groups, 100, 1.0, templates, 0.5)
    for groups in (2, 8):
        yield Scenario("share", groups, 100, 0.8, True, 0.25, "ratio")
        yield Scenario("share", groups, 100, 0.8, True, 0.25, "drop")


def rates(scenario: Scenario, seeds: int) -> tuple[float, float]:
    """The share of seeds flagged: of the unbiased model, and of the biased one."""
    unbiased = sum(flagged(scenario, seed, 0.0) for seed in range(seeds))
    n_biased = max(seeds // 10, 1)
    biased = sum(flagged(scenario, seed, scenario.bias) for seed in range(n_biased))
    return unbiased / seeds, biased / n_biased


def main() -> None:
    """Draw, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    every = list(scenarios())
    with ProcessPoolExecutor(args.workers) as pool:
        found = list(pool.map(partial(rates, seeds=args.seeds), every))
    rows = [
        [scenario.name, f"{unbiased:.1%}", f"{scenario.bias:g}", f"{biased:.0%}"]
        for scenario, (unbiased, biased) in zip(every, found, strict=True)
    ]
    table = markdown_table(["scenario", "flagged without bias", "bias of one group", "flagged with it"], rows)
    worst = max(unbiased for unbiased, _ in found)
    print(table)
    print(f"\nThe most false alarms: {worst:.1%} of {args.seeds:,} seeds at a nominal 5 %.")
    if args.write:
        about = (
            f"`python benchmarks/probe_error.py`: {args.seeds:,} seeds a scenario (a tenth of them with bias), nominal "
            f"level 5 %. {machine()}.\n\n{table}\n\nThe most false alarms of any scenario: {worst:.1%}."
        )
        replace_section("probe_error", f"## False alarms and power of disparities between groups\n\n{about}")
        if DOCS.exists():
            replace_section("probe_error", about, path=DOCS)


if __name__ == "__main__":
    main()
