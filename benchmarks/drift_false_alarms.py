"""How often a window without any drift rings, beside Evidently and NannyML; and for how long a monitor is quiet.

    python benchmarks/drift_false_alarms.py                      # ours; about ten minutes
    python benchmarks/drift_false_alarms.py --quick              # fewer windows
    python benchmarks/drift_false_alarms.py --evidently PYTHON --nannyml PYTHON --write

Windows are drawn from one distribution on both sides, from six streams: normal, lognormal, Zipf's law, zero-inflated,
rows that belong to conversations (an intra-class correlation of 0.4, named as clusters), and a weekly season (compared
with the same slot of last week, as a monitor does with `reference: same_slot_last_week`). A window rings when any of
its columns is called drift. For ours the table also tells how often there was *evidence*, whatever the effect: that is
what alpha = 0.05 bounds; one window of 200 columns is as much work as 200 of one, so that there are fewer of them, and
cells are summed up by the number of columns.

Run lengths: 365 daily windows of one monitor that states a run length, against one reference and all windows since; how
many of so many monitors rang within the year, and what they were promised.

Evidently and NannyML need environments of their own (`pip install evidently`, `pip install nannyml`); their default
tests and thresholds are taken.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.drift.layout import freeze
from evalharness.drift.policy import Policy
from evalharness.drift.sequence import WindowSequence, alpha_of_run_length
from evalharness.drift.state import WindowState
from evalharness.drift.states import compare_states
from evalharness.drift.table import Table

ALPHA = 0.05
Rng = np.random.Generator
Draw = Callable[[Rng, int, int, int], tuple[np.ndarray, np.ndarray | None]]


def normal(rng: Rng, n: int, k: int, day: int) -> tuple[np.ndarray, np.ndarray | None]:
    return rng.normal(size=(n, k)), None


def lognormal(rng: Rng, n: int, k: int, day: int) -> tuple[np.ndarray, np.ndarray | None]:
    return np.exp(rng.normal(size=(n, k))), None


def zipf(rng: Rng, n: int, k: int, day: int) -> tuple[np.ndarray, np.ndarray | None]:
    return np.minimum(rng.zipf(1.8, size=(n, k)), 1_000_000).astype(float), None


def zero_inflated(rng: Rng, n: int, k: int, day: int) -> tuple[np.ndarray, np.ndarray | None]:
    return np.where(rng.random((n, k)) < 0.7, 0.0, rng.gamma(2.0, 1.0, (n, k))), None


def conversations(rng: Rng, n: int, k: int, day: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Conversations of 1 to 12 turns; all columns of a conversation are shifted together with it."""
    sizes = rng.integers(1, 13, size=n)
    codes = np.repeat(np.arange(n), sizes)[:n]
    return rng.normal(size=(n, k)) * math.sqrt(0.6) + rng.normal(size=(n, k))[codes] * math.sqrt(0.4), codes


def season(rng: Rng, n: int, k: int, day: int) -> tuple[np.ndarray, np.ndarray | None]:
    return rng.normal(0.6 * math.sin(2 * math.pi * day / 7), 1.0, size=(n, k)), None


STREAMS: dict[str, Draw] = {
    "normal": normal,
    "lognormal": lognormal,
    "zipf": zipf,
    "zero-inflated": zero_inflated,
    "conversations": conversations,
    "weekly season": season,
}


ROWS = (50, 200, 1_000, 10_000, 100_000)
COLUMNS = (1, 20, 200)


# The peers judge each column by itself, whatever others say: so many tell how often one rings.
FOR_PEERS = 20


def n_windows(n: int, k: int) -> int:
    """How many windows of n rows and k columns are drawn: so that no cell takes more than about half a minute."""
    most = {1: 200, 20: 40, 200: 12}[k]
    return min(most, max(3, round(6e6 / (n * k))))


def table_of(values: np.ndarray, clusters: np.ndarray | None) -> Table:
    return Table.of(
        {f"c{i}": values[:, i] for i in range(values.shape[1])}
        | ({"conversation": [f"{c}" for c in clusters]} if clusters is not None else {}),
        cluster=None if clusters is None else "conversation",
    )


def windows(stream: str, n: int, k: int, seeds: int) -> Iterator[tuple[tuple, tuple]]:
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n, k, len(stream)])
        day = seed % 7
        yield STREAMS[stream](rng, n, k, day), STREAMS[stream](rng, n, k, day)


def ours(stream: str, n: int, k: int, seeds: int) -> tuple[int, int]:
    """How many windows rang, and how many had evidence; of states, which is what a monitor compares."""
    rang = evidence = 0
    for before, now in windows(stream, n, k, seeds):
        first, second = table_of(*before), table_of(*now)
        layout = freeze(first)
        sides = []
        for table in (first, second):
            state = WindowState(layout)
            state.update(table)
            sides.append(state)
        found = compare_states(sides[0], sides[1], Policy(alpha=ALPHA))
        rang += any(f.state == "drift" for f in found)
        evidence += any(f.state in ("drift", "small") for f in found)
    return rang, evidence


EVIDENTLY = """
import sys, json, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from evidently import Report, Dataset, DataDefinition
from evidently.presets import DataDriftPreset
found = []
for path in sys.argv[1:]:
    data = np.load(path)
    a, b = (pd.DataFrame(data[s], columns=[f"c{i}" for i in range(data[s].shape[1])]) for s in ("before", "now"))
    d = DataDefinition(numerical_columns=list(a.columns))
    r = Report([DataDriftPreset()]).run(Dataset.from_pandas(b, d), Dataset.from_pandas(a, d)).dict()
    n = 0
    for m in r["metrics"]:
        name = m.get("metric_name") or m.get("metric_id") or ""
        if "DriftedColumnsCount" in name:
            n = int(m["value"]["count"])
    found.append(n)
print(json.dumps(found))
"""

NANNYML = """
import sys, json, warnings, logging
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
import nannyml as nml
found = []
for path in sys.argv[1:]:
    data = np.load(path)
    names = [f"c{i}" for i in range(data["before"].shape[1])]
    a, b = (pd.DataFrame(data[s], columns=names) for s in ("before", "now"))
    # The window is one chunk; thresholds come from the spread over those of the reference.
    calc = nml.UnivariateDriftCalculator(column_names=names, chunk_size=len(b))
    calc.fit(a)
    r = calc.calculate(b).filter(period="analysis").to_df()
    alerts = r.xs("alert", axis=1, level=-1)
    found.append(int(alerts.iloc[0].sum()))
print(json.dumps(found))
"""


def peer(python: str, code: str, stream: str) -> dict[tuple[int, int], str]:
    """The share of windows in which the peer's defaults call any column drifted, 1 − (1 − share of columns)^k.

    NannyML takes a reference of ten windows.
    """
    sizes = [n for n in ROWS if n <= 10_000]
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for n in sizes:
            rng = np.random.default_rng([n, len(stream)])
            before, _ = STREAMS[stream](rng, 10 * n if code is NANNYML else n, FOR_PEERS, 0)
            now, _ = STREAMS[stream](rng, n, FOR_PEERS, 0)
            paths.append(str(Path(folder) / f"{n}.npz"))
            np.savez(paths[-1], before=before, now=now)
        done = subprocess.run([python, "-c", code, *paths], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-600:])
        return {}
    shares = np.array(json.loads(done.stdout.splitlines()[-1])) / FOR_PEERS
    return {(n, k): f"{1 - (1 - r) ** k:.2f}" for n, r in zip(sizes, shares.tolist(), strict=True) for k in COLUMNS}


def year(seed: int, n: int, k: int, run_length: float, days: int) -> int:
    """The day on which a monitor without drift first rings; 0: never within `days`."""
    rng = np.random.default_rng([seed, 99])
    first = table_of(*normal(rng, n, k, 0))
    layout = freeze(first)
    reference, before = WindowState(layout), WindowState(layout)
    reference.update(first)
    before.update(first)
    sequence = WindowSequence(run_length)
    policy = Policy(alpha=alpha_of_run_length(run_length))
    for day in range(1, days + 1):
        now = WindowState(layout)
        now.update(table_of(*normal(rng, n, k, day)))
        found = compare_states(reference, now, policy)
        against_all = compare_states(before, now, policy)
        sequence, rung = sequence.step({f.column: f.p_value for f in against_all})
        # Whatever the effect: what is promised holds for the evidence.
        if rung or any(f.state in ("drift", "small") for f in found):
            return day
        before.merge(now)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the windows")
    parser.add_argument("--evidently", metavar="PYTHON", help="the Python of an environment that has evidently")
    parser.add_argument("--nannyml", metavar="PYTHON", help="the Python of an environment that has nannyml")
    parser.add_argument("--write", action="store_true", help="write the tables into RESULTS.md")
    args = parser.parse_args()
    rows = []
    told: dict[int, list[int]] = {k: [0, 0, 0] for k in COLUMNS}
    worst = 0.0
    for stream in STREAMS:
        asked = ((args.evidently, EVIDENTLY), (args.nannyml, NANNYML))
        peers = [peer(python, code, stream) if python else {} for python, code in asked]
        for n in ROWS:
            for k in COLUMNS:
                seeds = n_windows(n, k) // (10 if args.quick else 1)
                if not seeds:
                    continue
                began = time.process_time()
                rang, evidence = ours(stream, n, k, seeds)
                cell = [stream, f"{n:,}", str(k), str(seeds), f"{rang / seeds:.3f}", f"{evidence / seeds:.3f}"]
                cost = time.process_time() - began
                cell += [found.get((n, k), "") for found in peers]
                worst = max(worst, evidence / seeds - 3 * math.sqrt(0.055 * 0.945 / seeds))
                told[k] = [have + more for have, more in zip(told[k], (seeds, rang, evidence), strict=True)]
                rows.append(cell)
                print(*cell, f"{cost:.1f} CPU s", flush=True)
    sums = [
        f"{k} column{'s' * (k > 1)}: {evidence / seeds:.3f} ± {math.sqrt(0.05 * 0.95 / seeds):.3f} of {seeds:,} windows"
        for k, (seeds, _, evidence) in told.items()
    ]
    monitors = 4 if args.quick else 16
    days = [year(seed, 200, 2, 365, 365) for seed in range(monitors)]
    rang = sum(day > 0 for day in days)
    said = (
        f"Evidence over all streams and numbers of rows, where 0.055 is the bar: {'; '.join(sums)}. "
        "Cells above the bar by more than three standard errors: "
        f"{'none' if worst <= 0.055 else 'some, see the table'}.\n\n"
        f"Of {monitors} monitors (2 columns, 200 rows a day, a stated run length of 365 windows) {rang} rang within "
        f"365 windows; the promise allows {monitors // 2}."
    )
    print(said)
    if args.write:
        head = ["stream", "rows", "columns", "windows", "ours rings", "ours, evidence alone", "Evidently", "NannyML"]
        text = [
            "## Drift: false alarms",
            "",
            f"`python benchmarks/drift_false_alarms.py`, {machine()}. The share of windows without drift that ring; "
            f"the peers with their defaults, from {FOR_PEERS} columns each up to 10,000 rows (they judge column by "
            "column, so that k of them ring with a chance of 1 − (1 − one's)^k); "
            "NannyML with a reference of ten windows.",
            "",
            markdown_table(head, rows),
            "",
            said,
        ]
        replace_section("drift_false_alarms", "\n".join(text))


if __name__ == "__main__":
    main()
