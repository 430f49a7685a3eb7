"""How often real drift is found at the same rate of false alarms, beside Evidently, NannyML and river.

    python benchmarks/drift_power.py --quick                      # a few minutes
    python benchmarks/drift_power.py --evidently PYTHON --nannyml PYTHON --write

Two windows: every contender gives a score to pairs of windows without drift, its threshold is put where 5 % of them
ring (ties are shared out), and the power is the share of pairs with drift beyond it. So nobody gains by ringing more
often; how often each rings by its own default without drift stands beside. Evidently chooses its method by the rows and
the kind of the column, as its DataDriftPreset does; NannyML's methods are contenders each. Ours by every row
(`evalharness drift`), and by states (a monitor). Changes shrink with the square root of the rows, so that all sizes say
something; windows are as long as their reference, or shorter, as monitors have it.

Streams: 500 rows that a detector may learn from, then 60 windows of 50 rows, from the 30th on with drift. Thresholds
are put where one in ten streams without drift rings within them; delays in rows, of streams that do not ring at all
1,500. river's ADWIN, PageHinkley and KSWIN take row by row; ours is what a monitor with a stated run length does: each
window against the reference, and an e-detector against all before it.

Evidently and NannyML need environments of their own (`pip install evidently "pandas<2.3"`, `pip install nannyml
statsmodels`).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from _drift_streams import STREAM_CHANGES, delays
from _table import machine, markdown_table, replace_section

from evalharness.drift import evidence
from evalharness.drift.api import drift
from evalharness.drift.layout import freeze
from evalharness.drift.policy import Policy
from evalharness.drift.state import WindowState
from evalharness.drift.states import compare_states
from evalharness.drift.table import Table
from evalharness.stats.monte_carlo import sequential_p

LEVEL = 0.05
Rng = np.random.Generator
Column = np.ndarray
# The standard deviation of a lognormal column.
SD = math.sqrt(math.e * (math.e - 1))
# Rows of the reference and of the current window: alike, and a window against a longer reference as monitors have it.
SIZES = {"numeric": ((200, 200), (2_000, 200), (2_000, 2_000)), "text": ((200, 200), (1_000, 200))}
SIZES["category"] = SIZES["numeric"]
LEVELS = np.array([f"level {i}" for i in range(9)])


def normal(rng: Rng, n: int, change: str, size: float) -> Column:
    values = rng.normal(size=n)
    if change == "mean shift":
        return values + 0.2 * size
    if change == "scale":
        return values * (1 + 0.17 * size)
    if change == "contamination":
        return np.where(rng.random(n) < 0.032 * size, rng.normal(5, 1, n), values)
    return values


def lognormal(rng: Rng, n: int, change: str, size: float) -> Column:
    values = np.exp(rng.normal(size=n))
    if change == "mean shift":
        return values + 0.12 * size
    if change == "scale":
        return values * (1 + 0.2 * size)
    if change == "contamination":
        return np.where(rng.random(n) < 0.032 * size, rng.normal(5 * SD, SD, n), values)
    if change == "tenfold rows":
        return np.where(rng.random(n) < 0.032 * size, 10 * values, values)
    return values


def rate(rng: Rng, n: int, change: str, size: float) -> Column:
    share = 0.1 + (0.055 * size if change else 0.0)
    return np.where(rng.random(n) < share, "yes", "no")


def levels(rng: Rng, n: int, change: str, size: float) -> Column:
    """Eight levels of 1/rank, and one more."""
    shares = 1 / np.arange(1, 9)
    new = 0.019 * size if change == "new category" else 0.0
    if change == "a level's share":
        shares[3] *= 1 + 0.6 * size
    return LEVELS[rng.choice(9, n, p=[*(shares / shares.sum() * (1 - new)), new])]


def texts(rng: Rng, n: int, change: str, size: float) -> Column:
    """Texts of twelve words by 1/rank: of two topics that share their 30 most frequent words, or of two languages."""
    language = change.startswith("language")
    moved = change.endswith("mix")
    share = (0.05 + 0.06 * size * moved) if language else (0.3 + 0.2 * size * moved)
    other = rng.random(n) < share
    ranks = np.arange(1, 2_001)
    words = rng.choice(ranks, (n, 12), p=(1 / ranks) / (1 / ranks).sum())
    apart = other[:, None] & ((words > 30) | language)
    return np.array([" ".join(row) for row in np.char.add(np.where(apart, "b", "a"), words.astype(str))])


KINDS: dict[str, tuple[str, Callable[[Rng, int, str, float], Column], tuple[str, ...], str]] = {
    # stream: kind, draw, changes, what it is called without any
    "normal": ("numeric", normal, ("mean shift", "scale", "contamination"), ""),
    "lognormal": ("numeric", lognormal, ("mean shift", "scale", "contamination", "tenfold rows"), ""),
    "yes and no": ("category", rate, ("rate change",), ""),
    "levels": ("category", levels, ("new category", "a level's share"), ""),
    "topics": ("text", texts, ("topic mix",), "topic"),
    "languages": ("text", texts, ("language mix",), "language"),
}


def pairs(stream: str, sizes: tuple[int, int], change: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, n) of the reference and (count, m) of the current window."""
    _, draw, _, still = KINDS[stream]
    n, m = sizes
    rng = np.random.default_rng([n, m, len(change), len(stream)])
    size = math.sqrt(250 * (1 / n + 1 / m))
    both = [(draw(rng, n, still, size), draw(rng, m, change or still, size)) for _ in range(count)]
    return np.stack([one[0] for one in both]), np.stack([one[1] for one in both])


def ours(stream: str, before: np.ndarray, now: np.ndarray) -> dict[str, tuple[list[float], list[bool]]]:
    """Scores (larger: more drift) and whether the default rings, by rows and, of numbers, by states."""
    kind = KINDS[stream][0]
    found: dict[str, tuple[list[float], list[bool]]] = {"ours": ([], [])}
    if kind == "numeric":
        found["ours, states"] = ([], [])
    for first, second in zip(before, now, strict=True):
        sides = [{"x": side if kind == "numeric" else side.tolist()} for side in (first, second)]
        report = drift(*sides, Policy(alpha=LEVEL), kinds={"x": kind})
        told = {"ours": report.findings}
        if kind == "numeric":
            tables = [Table.of(side, kinds={"x": kind}) for side in sides]
            states = [WindowState(freeze(tables[0])) for _ in tables]
            for state, table in zip(states, tables, strict=True):
                state.update(table)
            told["ours, states"] = compare_states(*states, Policy(alpha=LEVEL))
        for name, findings in told.items():
            found[name][0].append(-math.log(findings[0].p_value))
            found[name][1].append(findings[0].p_value <= LEVEL)
    return found


# What DataDriftPreset asks for each column, without the pictures that it draws of each.
EVIDENTLY = """
import sys, json, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.utils.data_drift_utils import calculate_text_drift_score
KINDS = {"numeric": ColumnType.Numerical, "category": ColumnType.Categorical, "text": ColumnType.Text}
told = {}
for kind, path in zip(sys.argv[1::2], sys.argv[2::2]):
    data = np.load(path)
    scores, rings = [], []
    for a, b in zip(data["before"], data["now"]):
        a, b = pd.Series(a), pd.Series(b)
        test = get_stattest(a, b, KINDS[kind], None)
        if kind == "text":
            # The same score without the thousand random classifiers behind its threshold.
            scores.append(calculate_text_drift_score(a, b, bootstrap=False)[0])
            rings.append(float("nan"))
            continue
        found = test(a, b, KINDS[kind], None)
        score = float(found.drift_score)
        scores.append(-score if "p_value" in test.display_name else score)
        rings.append(bool(found.drifted))
    told[path] = {"Evidently (" + test.display_name + ")": [scores, rings]}
print(json.dumps(told))
"""

NANNYML = """
import sys, json, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
import nannyml as nml
METHODS = {"numeric": ["jensen_shannon", "kolmogorov_smirnov", "wasserstein", "hellinger"],
           "category": ["jensen_shannon", "chi2", "l_infinity", "hellinger"]}
told = {}
for kind, path in zip(sys.argv[1::2], sys.argv[2::2]):
    if kind == "text":
        continue
    data = np.load(path)
    names = [f"c{i}" for i in range(len(data["before"]))]
    a, b = (pd.DataFrame(dict(zip(names, data[s]))) for s in ("before", "now"))
    methods = METHODS[kind]
    more = {"continuous_methods": methods} if kind == "numeric" else {
        "categorical_methods": methods, "treat_as_categorical": names}
    calc = nml.UnivariateDriftCalculator(column_names=names, chunk_size=len(b), **more)
    calc.fit(a)
    r = calc.calculate(b).filter(period="analysis").to_df()
    told[path] = {
        "NannyML (" + m + ")": [[float(r[(n, m, "value")].iloc[0]) for n in names],
                                [bool(r[(n, m, "alert")].iloc[0]) for n in names]] for m in methods}
print(json.dumps(told))
"""


def asked(python: str, code: str, files: list[tuple[str, str]]) -> dict[str, dict[str, tuple[list[float], list[bool]]]]:
    """What a peer says of the windows in `files` (kind, path)."""
    given = [part for one in files for part in one]
    done = subprocess.run([python, "-W", "ignore", "-c", code, *given], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr[-800:]}")
    found: dict[str, dict[str, tuple[list[float], list[bool]]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def power(still: list[float], moved: list[float]) -> float:
    """The share of `moved` beyond the value that 5 % of `still` exceed, ties shared out so that exactly 5 % ring."""
    limit = float(np.quantile(still, 1 - LEVEL, method="higher"))
    over, even = np.mean(np.array(still) > limit), np.mean(np.array(still) == limit)
    part = min(max((LEVEL - over) / even, 0.0), 1.0)
    return float(np.mean(np.array(moved) > limit) + part * np.mean(np.array(moved) == limit))


def compared(powers: dict[str, float], n_still: int, n_moved: int) -> tuple[str, float, str]:
    """The best peer, its power, and whether ours is "best", "tied" (two standard errors of the difference) or "lost".

    The noise of a threshold counts as that of 5 % of the windows without drift: at most as much as that of the power.
    """
    peers = {name: value for name, value in powers.items() if not name.startswith("ours")}
    if not peers:
        return "", math.nan, ""
    best = max(peers, key=lambda name: peers[name])
    gap = powers["ours"] - peers[best]
    noise = math.sqrt(sum(p * (1 - p) for p in (powers["ours"], peers[best])) * (1 / n_moved + 1 / n_still) / 1.0)
    return best, peers[best], "best" if gap >= 0 else "tied" if -gap <= 2 * noise else "lost"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the windows")
    parser.add_argument("--evidently", metavar="PYTHON", help="the Python of an environment that has evidently")
    parser.add_argument("--nannyml", metavar="PYTHON", help="the Python of an environment that has nannyml")
    parser.add_argument("--only", nargs="+", metavar="STREAM", help="some of the streams, printed: normal, …, rows")
    parser.add_argument("--write", action="store_true", help="write the tables into RESULTS.md")
    args = parser.parse_args()
    # At a level of 5 % nothing hangs on how far below 1/400 a p-value lies.
    evidence.sequential_p = partial(sequential_p, most=399)
    n_still, n_moved = (40, 20) if args.quick else (150, 100)
    verdicts: list[str] = []
    rows, nominal = [], []
    wanted = args.only or [*KINDS, "rows"]
    if args.only and args.write:
        parser.error("--write writes whole tables: leave out --only")
    for stream, (kind, _, changes, _) in KINDS.items():
        if stream not in wanted:
            continue
        for sizes in SIZES[kind]:
            shown = f"{sizes[0]:,} and {sizes[1]:,}"
            began = time.process_time()
            counts = {"": n_still, **dict.fromkeys(changes, n_moved)}
            if kind == "text":
                counts = {name: count // 2 for name, count in counts.items()}
            scores: dict[str, dict[str, tuple[list[float], list[bool]]]] = {}
            with tempfile.TemporaryDirectory() as folder:
                files = []
                for change, count in counts.items():
                    before, now = pairs(stream, sizes, change, count)
                    path = str(Path(folder) / f"{change or 'none'}.npz")
                    np.savez(path, before=before, now=now)
                    files.append((kind, path))
                    scores[change] = ours(stream, before, now)
                for python, code in ((args.evidently, EVIDENTLY), (args.nannyml, NANNYML)):
                    if python:
                        found = asked(python, code, files)
                        for change, (_, path) in zip(counts, files, strict=True):
                            scores[change] |= found.get(path, {})
            for change in changes:
                powers = {name: power(scores[""][name][0], one[0]) for name, one in scores[change].items()}
                best, its, verdict = compared(powers, counts[""], counts[change])
                verdicts.append(verdict)
                states = f"{powers['ours, states']:.2f}" if "ours, states" in powers else ""
                rows.append(
                    [f"{stream}: {change}", shown, f"{powers['ours']:.2f}", states, f"{its:.2f}", best, verdict]
                )
                print(*rows[-1], {k: round(v, 2) for k, v in powers.items()}, flush=True)
            told = {name: float(np.mean(rung)) for name, (_, rung) in scores[""].items()}
            # NannyML's thresholds come from the spread over chunks of the reference: of one chunk they are 0.
            asked_of = ("ours", "Evidently", "NannyML" if sizes[0] > sizes[1] else "-")
            nominal.append([stream, shown, *(_of(told, who) for who in asked_of)])
            print(f"  without drift: {told}; {time.process_time() - began:.0f} CPU s", flush=True)
    streams = []
    for change in STREAM_CHANGES if "rows" in wanted else ():
        found = delays(change, *((10, 5) if args.quick else (24, 20)))
        mean = {name: float(np.mean(of)) for name, of in found.items()}
        error = {name: float(np.std(of)) / math.sqrt(len(of)) for name, of in found.items()}
        best = min((name for name in mean if name != "ours"), key=lambda name: mean[name])
        gap = mean["ours"] - mean[best]
        verdict = "best" if gap <= 0 else "tied" if gap <= 2 * math.hypot(error["ours"], error[best]) else "lost"
        verdicts.append(verdict)
        streams.append([change, *(f"{mean[name]:.0f} ± {error[name]:.0f}" for name in mean), verdict])
        print(*streams[-1], flush=True)
    won = sum(verdict in ("best", "tied") for verdict in verdicts)
    said = (
        f"Ours is best or tied (within two standard errors of the difference) in {won} of {len(verdicts)} cells "
        f"({won / len(verdicts):.0%}), best in {verdicts.count('best')}."
    )
    print(said)
    if args.write:
        detectors = ["ours", "ADWIN", "PageHinkley", "KSWIN"]
        text = [
            "## Drift: power at the same rate of false alarms",
            "",
            f"`python benchmarks/drift_power.py`, {machine()}. Each threshold where 5 % of {n_still} windows without "
            f"drift ring (of texts {n_still // 2}), power from {n_moved} with drift (of texts {n_moved // 2}).",
            "",
            markdown_table(["change", "rows", "ours", "ours, states", "best peer", "which", "ours is"], rows),
            "",
            "How often each rings without drift by its own default (ours: p ≤ 0.05):",
            "",
            markdown_table(["stream", "rows", "ours", "Evidently", "NannyML"], nominal),
            "",
            "Delay in rows over windows of 50, where one in ten streams without drift rings within 3,000 rows:",
            "",
            markdown_table(["change", *detectors, "ours is"], streams),
            "",
            said,
        ]
        replace_section("drift_power", "\n".join(text))


def _of(told: dict[str, float], who: str) -> str:
    """How often one contender rings by default: of NannyML's methods the first is its default."""
    mine = (value for name, value in told.items() if name == who or name.startswith(f"{who} ("))
    mine = (value for value in mine if not math.isnan(value))
    return next((f"{value:.2f}" for value in mine), "")


if __name__ == "__main__":
    main()
