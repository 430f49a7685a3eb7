"""Real streams that change: how soon each tool rings after the change, and how often before it.

    python benchmarks/drift_streams.py [--evidently PYTHON] [--nannyml PYTHON] [--only NAME] [--write]

Film reviews, tweets and news of the vaderSentiment source (numbers of their texts and the rating that people gave;
shuffled within a source, so that nothing changes there), the SpamAssassin e-mails by their arrival (numbers of their
bodies; changes are where the share of spam moves, which no tool is shown), and river's series with the changes that
annotators agree on. Each episode is a reference, a stretch without an annotated change, and what comes after one.
Real streams are not quiet between two changes: prices have trends and neighbouring e-mails belong together, so that
what counts as false here may be a change nobody annotated; the tools are compared on the same rows.

Tools that compare windows (ours by states, Evidently's DataDriftPreset and NannyML's univariate drift with their
defaults, each in an environment of its own) ring where any column drifts; river's detectors, with their defaults, see
the columns row by row, the reference first, and ring where any does. A window that holds the change counts as after it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _real_streams import Episode, episodes
from _table import machine, markdown_table, replace_section

from evalharness.drift.layout import freeze
from evalharness.drift.policy import Policy
from evalharness.drift.sequence import WindowSequence, alpha_of_run_length
from evalharness.drift.state import WindowState
from evalharness.drift.states import compare_states
from evalharness.drift.table import Table

RUN_LENGTH = 365.0
PEERS = {
    "Evidently": """
from evidently import Report, Dataset, DataDefinition
from evidently.presets import DataDriftPreset
names = [f"c{i}" for i in range(reference.shape[1])]
define = DataDefinition(numerical_columns=names)
frame = lambda rows: Dataset.from_pandas(pd.DataFrame(rows, columns=names), define)
for start in range(0, len(stream) - window + 1, window):
    metrics = Report([DataDriftPreset()]).run(frame(stream[start:start + window]), frame(reference)).dict()["metrics"]
    for m in metrics:
        if "DriftedColumnsCount" in (m.get("metric_name") or m.get("metric_id") or "") and m["value"]["count"] > 0:
            rang.append(start + window)
""",
    "NannyML": """
import nannyml as nml
names = [f"c{i}" for i in range(reference.shape[1])]
calculator = nml.UnivariateDriftCalculator(column_names=names, chunk_size=window)
calculator.fit(pd.DataFrame(reference, columns=names))
whole = stream[:len(stream) // window * window]
found = calculator.calculate(pd.DataFrame(whole, columns=names)).filter(period="analysis").to_df()
alerts = found.xs("alert", axis=1, level=-1).any(axis=1).tolist()
rang = [(i + 1) * window for i, alert in enumerate(alerts) if alert]
""",
}
_AROUND = """
import json, sys, warnings, logging
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
data = np.load(sys.argv[1])
reference, stream, window = data["reference"], data["stream"], int(data["window"])
rang = []
{code}
print(json.dumps(rang))
"""


def table(rows: np.ndarray) -> Table:
    columns = {f"c{i}": rows[:, i] for i in range(rows.shape[1])}
    return Table.of(columns, kinds=dict.fromkeys(columns, "numeric"))


def windows(one: Episode) -> list[tuple[int, Table]]:
    ends = range(one.window, len(one.stream) + 1, one.window)
    return [(end, table(one.stream[end - one.window : end])) for end in ends]


def by_windows(one: Episode) -> list[int]:
    """Each window by itself against the reference, alpha = 0.05 over its columns: evidence and effect."""
    first = table(one.reference)
    layout = freeze(first)
    reference = state_of(layout, first)
    rang = []
    for end, now in windows(one):
        found = compare_states(reference, state_of(layout, now), Policy())
        if any(line.drifted for line in found):
            rang.append(end)
    return rang


def by_sequence(one: Episode) -> list[int]:
    """As a monitor with a stated run length: windows at a stricter level, and evidence that adds up (e-detector)."""
    first = table(one.reference)
    layout = freeze(first)
    reference, before = state_of(layout, first), state_of(layout, first)
    sequence, policy = WindowSequence(RUN_LENGTH), Policy(alpha=alpha_of_run_length(RUN_LENGTH))
    rang = []
    for end, given in windows(one):
        now = state_of(layout, given)
        found = compare_states(reference, now, policy)
        sequence, rung = sequence.step({f.column: f.p_value for f in compare_states(before, now, policy)})
        large = {f.column for f in found if abs(f.effect) >= f.effect_threshold}
        if any(f.drifted for f in found) or large & set(rung):
            rang.append(end)
        else:
            before.merge(now)
    return rang


def state_of(layout, given: Table) -> WindowState:
    made = WindowState(layout)
    made.update(given)
    return made


def by_river(name: str) -> Callable[[Episode], list[int]]:
    def ring(one: Episode) -> list[int]:
        from river import drift

        rang: set[int] = set()
        for column in range(one.stream.shape[1]):
            detector = drift.KSWIN(seed=0) if name == "KSWIN" else getattr(drift, name)()
            for value in one.reference[:, column]:
                detector.update(float(value))
            for row, value in enumerate(one.stream[:, column], start=1):
                detector.update(float(value))
                if detector.drift_detected:
                    rang.add(row)
        return sorted(rang)

    return ring


def by_peer(python: str, code: str) -> Callable[[Episode], list[int]]:
    def ring(one: Episode) -> list[int]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "episode.npz"
            np.savez(path, reference=one.reference, stream=one.stream, window=one.window)
            command = [python, "-c", _AROUND.format(code=code), str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{python} failed:\n{done.stderr[-2000:]}")
        found: list[int] = json.loads(done.stdout.splitlines()[-1])
        return found

    return ring


def judged(one: Episode, rang: list[int], *, by_row: bool) -> tuple[int, float, int | None]:
    """(rings before the change, per 1,000 rows before it, rows from the change to the first ring after it)."""
    quiet = one.change if by_row else one.change // one.window * one.window
    early = [end for end in rang if end <= one.change]
    late = [end for end in rang if end > one.change]
    return len(early), 1_000 * len(early) / max(quiet, 1), late[0] - one.change if late else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evidently", metavar="PYTHON", help="the Python of an environment that has evidently")
    parser.add_argument("--nannyml", metavar="PYTHON", help="the Python of an environment that has nannyml")
    parser.add_argument("--only", metavar="NAME", default="", help="only episodes whose name has this in it")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    args = parser.parse_args()
    tools: dict[str, Callable[[Episode], list[int]]] = {
        "ours, each window": by_windows,
        f"ours, run length {RUN_LENGTH:g}": by_sequence,
    }
    for name, python in (("Evidently", args.evidently), ("NannyML", args.nannyml)):
        if python:
            tools[name] = by_peer(python, PEERS[name])
    by_row = {"ADWIN", "PageHinkley", "KSWIN"}
    tools |= {name: by_river(name) for name in ("ADWIN", "PageHinkley", "KSWIN")}
    rows, results = [], {name: [] for name in tools}
    for one in episodes():
        if args.only not in one.name:
            continue
        sizes = (len(one.reference), one.change, len(one.stream) - one.change)
        cells = [one.name, " + ".join(f"{size:,}" for size in sizes), str(one.window)]
        for name, tool in tools.items():
            early, rate, delay = judged(one, tool(one), by_row=name in by_row)
            results[name].append((early, rate, delay))
            cells.append(f"{early} / {'none' if delay is None else f'{delay:,}'}")
        rows.append(cells)
        print(*cells, sep=" | ", flush=True)
    header = ["episode", "rows: reference + before + after", "window", *(f"{name}: early / delay" for name in tools)]
    over = []
    for name, found in results.items():
        delays = [delay for *_, delay in found if delay is not None]
        clean = [delay for early, _, delay in found if delay is not None and not early]
        over.append(
            [
                name,
                f"{len(delays)} of {len(found)}",
                f"{statistics.median(delays):,.0f}" if delays else "",
                str(sum(early for early, *_ in found)),
                f"{statistics.median(rate for _, rate, _ in found):.2f}",
                f"{len(clean)} of {len(found)}",
            ]
        )
    totals = [
        "tool",
        "changes found",
        "median delay, rows",
        "rings before",
        "per 1,000 rows (median)",
        "none before",
    ]
    text = "\n\n".join(
        [
            "## Drift: real streams",
            "`python benchmarks/drift_streams.py --evidently PYTHON --nannyml PYTHON`: rings before the change / rows "
            "from the change to the first ring after it. What real streams do between two annotated changes is not "
            f"always nothing; all tools had the same rows. {machine()}.",
            markdown_table(header, rows),
            markdown_table(totals, over),
        ]
    )
    print(text)
    if args.write:
        replace_section("drift_streams", text)


if __name__ == "__main__":
    main()
