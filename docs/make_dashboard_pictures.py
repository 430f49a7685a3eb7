"""Makes the dashboard's screenshots of the docs, from traffic that is made up here: a chatbot over ten days.

    python docs/make_dashboard_pictures.py [--folder FOLDER]

A suite is run three times, with scripted models that get better; a monitor then reads ten days of its traffic, in which
answers get slower and another topic comes up. Needs Chromium and Playwright; `--folder` keeps what was made.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from make_pictures import Shot, chromium, shoot

SHOTS = (
    Shot("dashboard-overview", 1280, 900, "light"),
    Shot("dashboard-monitor", 1280, 1000, "light"),
    Shot("dashboard-interval-dark", 1280, 1000, "dark"),
    Shot("dashboard-trend", 1280, 760, "light"),
)
DAYS, PER_DAY, SLOWER_FROM = 10, 240, 7
FIRST = datetime(2026, 11, 2, tzinfo=UTC)
TOPICS = ("refund", "delivery", "invoice", "password")
SUITE = """\
version: 1
name: support-bot
models:
  candidate:
    backend: fake
    # Right but for one question in {wrong}.
    reply: "{{{{ prompt.split('about ')[1] if prompt.split()[1] | int % {wrong} else 'I do not know' }}}}"
datasets:
  tickets: {{path: tickets.jsonl, id: id, groups: [language]}}
tasks:
  - {{id: topic, dataset: tickets, prompt: "{{{{ text }}}}", reference: "{{{{ topic }}}}", metrics: [exact_match]}}
gates:
  {baseline}
  rules:
    - {{metric: topic.exact_match, {rule}}}
"""
MONITOR = """\
name: support-bot
source: {path: traffic.jsonl, format: response.v1, content: true, attributes: [language]}
schedule: "0 0 * * *"
segments: [language]
reference: {window: 2026-11-02/2026-11-04}
drift: {alpha: 0.05, least_n: 100}
alerts:
  rules:
    - {figure: latency_s.p95, at_most: 2.0}
"""


def write_world(folder: Path) -> None:
    """Runs of a suite, one of them promoted, and the intervals of a monitor, in `folder`."""
    draw = random.Random(7)
    texts = [
        {
            "id": f"q{i}",
            "text": f"ticket {draw.randrange(10**6)} is about {TOPICS[i % 4]}",
            "topic": TOPICS[i % 4],
            "language": ("en", "de")[i % 2],
        }
        for i in range(400)
    ]
    (folder / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    (folder / "traffic.jsonl").write_text("".join(json.dumps(row) + "\n" for row in traffic(draw)), encoding="utf-8")
    (folder / "monitor.yaml").write_text(MONITOR, encoding="utf-8")
    for number, wrong in enumerate((5, 9, 17)):
        baseline = "baseline: support-bot@production" if number else "decide_on: interval"
        rule = "non_inferior: {margin: 0.02}" if number else "at_least: 0.6"
        (folder / "suite.yaml").write_text(SUITE.format(wrong=wrong, baseline=baseline, rule=rule), encoding="utf-8")
        call(folder, "run", "suite.yaml", "--name", f"release {number + 1}")
        call(folder, "promote", "latest", "--as", "production")
    end = FIRST + timedelta(days=DAYS)
    call(folder, "monitor", "backfill", "monitor.yaml", "--span", f"{FIRST:%Y-%m-%d}/{end:%Y-%m-%d}")
    when = FIRST + timedelta(days=SLOWER_FROM)
    call(folder, "monitor", "mark", "support-bot", "prompt v12", "--at", when.isoformat())


def traffic(draw: random.Random) -> list[dict[str, object]]:
    """Responses of ten days."""
    rows: list[dict[str, object]] = []
    for i in range(DAYS * PER_DAY):
        at = FIRST + timedelta(days=i / PER_DAY)
        late = at >= FIRST + timedelta(days=SLOWER_FROM)
        topic = "voucher" if late and draw.random() < 0.35 else draw.choice(TOPICS)
        rows.append(
            {
                "id": f"r{i}",
                "event_time": at.isoformat(),
                "model": "bot-2",
                "attributes": {"language": draw.choice(("en", "de"))},
                "input": f"I have a question about my {topic}",
                "output": " ".join(["Please look at your", topic, "page."] + ["Thank you."] * draw.randrange(3)),
                "latency_s": round(draw.lognormvariate(-0.5 + 0.6 * late, 0.4), 3),
                "input_tokens": draw.randrange(20, 60),
                "output_tokens": draw.randrange(10, 80),
            }
        )
    return rows


def call(folder: Path, *arguments: str) -> None:
    """Run a command of ours in `folder`; verdicts are not errors here."""
    done = subprocess.run([sys.executable, "-m", "evalharness", *arguments], cwd=folder, check=False)
    assert done.returncode in (0, 1, 4), arguments


def pages(address: str) -> list[str]:
    """The addresses of `SHOTS`."""
    with urllib.request.urlopen(f"{address}/api/v1/monitors/support-bot/intervals?limit=1") as response:
        newest = json.load(response)["items"][0]["id"]
    monitor = f"{address}/monitors/support-bot"
    trend = f"{address}/trend?suite=support-bot&figure=topic.exact_match"
    return [f"{address}/", f"{monitor}?figure=latency_s.p95", f"{monitor}/intervals/{newest}", trend]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The dashboard over `folder`, at the address that is given."""
    command = [sys.executable, "-m", "evalharness", "dashboard", "--port", "0", "--no-login"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\w.:]+", process.stdout.readline())
            assert found, "the dashboard did not say where it listens"
            yield found[0]
        finally:
            process.terminate()


def main() -> int:
    """Make all of them; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="an empty folder, which is kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_world(folder)
        with served(folder) as address, chromium() as browser:
            for shot, path in zip(SHOTS, pages(address), strict=True):
                shoot(browser, shot, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
