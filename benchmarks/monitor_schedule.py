"""Ten thousand days of schedules, two daemons on one registry: kills, sleeps, clock jumps, daylight saving, late rows.

    python benchmarks/monitor_schedule.py [--days 10000] [--seed 0] [--write]

Each world (`_monitor_world.py`) has two daemons and one or more monitors. A look at the schedule ends in a kill one
time in ten, at a random one of the moments at which the process looks at its clock, begins a transaction or is about
to commit one; one measurement in twenty sleeps past its lease, so that the other daemon takes over. Clocks of one
machine jump by up to three days, back or ahead, and are set right again. Held at the end of each world:

- every interval of the schedule is recorded, without gap and overlap through clock changes, and none that is not;
- none is recorded twice: its revisions are numbered without a gap, and two in a row never read the same rows;
- the newest revision has all rows that were there when the interval was due;
- each change of an alert is told once, in order; a message that went out again had the key of the first.

It ends with 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from _monitor_world import World, definition
from _table import machine, markdown_table, replace_section

# (what it is, days of 10,000, monitors, values of the world)
WORLDS: list[tuple[str, float, list[dict[str, Any]], dict[str, Any]]] = [
    ("daily 02:30 Berlin, kills", 3000, [{"schedule": "30 2 * * *", "timezone": "Europe/Berlin"}], {}),
    (
        "daily 00:00 New York, clock jumps",
        3000,
        [{"schedule": "0 0 * * *", "timezone": "America/New_York"}],
        {"jumps": 0.03},
    ),
    (
        "every 6 h Lord Howe, late rows",
        1000,
        [{"schedule": "0 */6 * * *", "timezone": "Australia/Lord_Howe", "revise_for_s": 43200.0}],
        {"late": 0.1},
    ),
    (
        "weekly, monthly, weekdays; sources fail",
        2700,
        [
            {"schedule": "0 6 * * MON", "timezone": "Europe/London"},
            {"schedule": "0 0 1 * *"},
            {"schedule": "15 9 * * MON-FRI", "timezone": "America/Chicago", "lateness_s": 600.0},
        ],
        {"failures": 0.1},
    ),
    ("hourly London, kills and jumps", 300, [{"schedule": "0 * * * *", "timezone": "Europe/London"}], {"jumps": 0.01}),
]
STEPS = {"hourly": (20, 60, 150, 400), "every": (60, 300, 400, 900)}


def run(name: str, days: float, monitors: list[dict[str, Any]], values: dict[str, Any], seed: int) -> dict[str, Any]:
    """Live through one world; returns what is wrong and what was counted."""
    dice = random.Random(seed)
    jumps = values.get("jumps", 0.0)
    steps = STEPS.get(name.split()[0], (200, 700, 1500, 2600))
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="world", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        definitions = [definition(f"m{i}", **monitor) for i, monitor in enumerate(monitors)]
        rest = {key: value for key, value in values.items() if key != "jumps"}
        world = World(Path(folder), definitions, seed=seed, kills=0.1, sleeps=0.05, **rest)
        end = world.now + timedelta(days=days)
        right_again: dict[int, Any] = {}
        while world.now < end:
            step = world.now + timedelta(minutes=dice.choice(steps))
            # What a clock that is ahead did shows only to a look before that much has passed.
            world.now = min([step, *right_again.values()])
            for one in [one for one, moment in right_again.items() if world.now >= moment]:
                world.jump(one, timedelta())
                world.counts["jumps"] -= 1
                del right_again[one]
                world.look(one, safe=True)
            if dice.random() < jumps and not right_again:
                one, hours = dice.randrange(2), dice.choice([-30, -2, 2, 26, 70])
                world.jump(one, timedelta(hours=hours))
                right_again[one] = world.now + timedelta(hours=abs(hours) * dice.uniform(0.1, 0.9))
            world.look(dice.randrange(2))
        world.settle()
        wrong = world.check(messages=not values.get("failures"), jumps=bool(jumps))
        world.close()
    return {"wrong": wrong, "counts": world.counts, "cpu_s": time.process_time() - began}


def main() -> int:
    """Run all worlds, print a table, and say whether all of it held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=10_000, help="days of schedules, all worlds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    args = parser.parse_args()
    rows, total, wrong = [], Counter[str](), []
    for i, (name, days, monitors, values) in enumerate(WORLDS):
        days = days * args.days / 10_000
        done = run(name, days, monitors, values, args.seed + i)
        counts: Counter[str] = done["counts"]
        total += counts
        wrong += [f"{name}: {problem}" for problem in done["wrong"]]
        shown = [counts[key] for key in ("intervals", "revisions", "kills", "sleeps", "jumps", "failures", "messages")]
        rows.append([name, f"{days:,.0f}", *(f"{n:,}" for n in shown), len(done["wrong"]), f"{done['cpu_s']:.0f}"])
        print(rows[-1], flush=True)
    header = [
        "world",
        "days",
        "intervals",
        "revisions",
        "kills",
        "sleeps",
        "jumps",
        "failures",
        "messages",
        "wrong",
        "CPU s",
    ]
    extra = total["messages of clocks that were ahead"]
    text = (
        f"{markdown_table(header, rows)}\n\n`python benchmarks/monitor_schedule.py --seed {args.seed}`, {machine()}. "
        f"Of the messages {extra} tell of intervals that a clock which was ahead let be read too early; all others are "
        f"those that plain arithmetic expects, each once. Worlds whose sources fail are not asked for messages, since "
        f"which look comes first is then chance."
    )
    print(text)
    for problem in wrong[:20]:
        print(problem, file=sys.stderr)
    if args.write:
        replace_section("monitor_schedule", f"## Schedules of monitors\n\n{text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
