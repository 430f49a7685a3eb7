"""Kills runs with SIGKILL at random moments and resumes them: nothing that was kept is asked again, nothing is lost.

    python benchmarks/kill.py [--rounds 200] [--samples 150] [--seed 0] [--write]

Each round starts `evalharness run` in a folder of its own against a server on loopback that logs every request it
gets, kills it at a random moment (of all the time that an undisturbed run takes, of the asking, or of the scoring and
sealing after it, by turns of the dice), often kills what resumes it, too, and then lets it finish. Held after each
round:

- what the store held at a kill is sound, and is not asked again;
- the record has every row once, and equals that of the undisturbed run but for times and ids;
- the record says how many requests were sent again, and the server did not see more;
- no temporary file is left.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from _table import machine, markdown_table, replace_section

from evalharness import Record
from evalharness.runner.store import ResponseStore

CONCURRENCY = 8
SUITE = """\
version: 1
name: killed
models:
  candidate: {{backend: openai, model: local, base_url: "http://127.0.0.1:{port}/v1"}}
datasets:
  lines: {{path: lines.jsonl}}
tasks:
  - id: ask
    dataset: lines
    prompt: "{{{{ q }}}}"
    reference: "{{{{ a }}}}"
    generate: {{max_tokens: 16}}
    metrics: [exact_match, bleu]
execution: {{concurrency: {concurrency}}}
"""
VARYING = ["latency_s", "created_utc", "from_store", "n_retries", "meta"]


class Server(threading.Thread):
    """Answers chat requests after some milliseconds, each prompt always the same, and counts what it is asked."""

    def __init__(self, seed: int) -> None:
        super().__init__(daemon=True)
        self.asked: Counter[str] = Counter()
        self.port = 0
        self._ready = threading.Event()
        self._dice = random.Random(seed)
        self.start()
        self._ready.wait()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=1_000)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                prompt = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
                self.asked[prompt] += 1
                await asyncio.sleep(self._dice.uniform(0.01, 0.06))
                writer.write(_reply(prompt))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client was killed
        finally:
            writer.close()


def answer(prompt: str) -> str:
    """What the server says: right for about half of the prompts."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:8]


def _reply(prompt: str) -> bytes:
    body = json.dumps(
        {
            "id": f"chatcmpl-{time.monotonic_ns()}",
            "model": "local-1",
            "choices": [{"message": {"role": "assistant", "content": answer(prompt)}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3},
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@dataclass
class Tally:
    """What happened over all rounds."""

    n_kills: int = 0
    n_too_late: int = 0
    kept: list[int] = field(default_factory=list)
    n_seen_again: int = 0
    n_said_again: int = 0
    n_left_behind: int = 0


def lay_out(folder: Path, port: int, n_samples: int) -> None:
    """A suite and its data."""
    asked = [f"question {i}" for i in range(n_samples)]
    rows = [{"id": f"s{i}", "q": q, "a": answer(q) if i % 2 else "?"} for i, q in enumerate(asked)]
    (folder / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "suite.yaml").write_text(SUITE.format(port=port, concurrency=CONCURRENCY), encoding="utf-8")


def start(folder: Path) -> subprocess.Popen[str]:
    """`evalharness run` in `folder`."""
    command = [sys.executable, "-m", "evalharness", "run", "suite.yaml", "--quiet"]
    root = str(Path(__file__).parent.parent)
    environ = {**os.environ, "PYTHONPATH": root, "NO_PROXY": "127.0.0.1"}
    environ.pop("GITHUB_STEP_SUMMARY", None)
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(folder: Path) -> tuple[Record, str]:
    """The record of a run that is let alone, and what the run said."""
    process = start(folder)
    said = process.communicate(timeout=300)[0]
    check(process.returncode == 0, f"the run ended with {process.returncode}: {said}")
    return Record.open("latest", folder / "reports"), said


def check(holds: bool, otherwise: str) -> None:
    """Ends the script where something does not hold."""
    if not holds:
        raise SystemExit(f"NOT HELD: {otherwise}")


def content(record: Record) -> tuple[str, str]:
    """Rows and figures without times and ids."""
    rows = record.samples().drop(columns=VARYING).to_dict("records")
    figures = [r for r in record.results if "latency" not in r.metric]
    return repr(rows), repr(figures)  # NaN equals itself there


def kept_prompts(folder: Path) -> set[str]:
    """Who is answered in the store, which must be sound."""
    path = folder / "reports" / "responses.sqlite3"
    if not path.exists():
        return set()
    with ResponseStore.open(path) as store:
        texts = {response.text for response in store}
        stats = store.stats()
        check(stats.n_damaged == 0 and len(texts) == stats.n_entries, f"{path} is damaged")
    lines = (folder / "lines.jsonl").read_text(encoding="utf-8").splitlines()
    return {q for q in (json.loads(line)["q"] for line in lines) if answer(q) in texts}


def wait_for_moment(
    process: subprocess.Popen[str], server: Server, dice: random.Random, whole_s: float, n_missing: int
) -> None:
    """Return at a random moment of the run: of all its time, of the asking, or of what comes after the last answer."""
    before, end = server.asked.total(), time.monotonic() + dice.uniform(0, whole_s)
    part, n_first = dice.choice(["all", "asking", "after"]), 0
    if part != "all":
        n_first = dice.randrange(n_missing + 1) if part == "asking" else n_missing
        end = time.monotonic() + 3 * whole_s
    while process.poll() is None and time.monotonic() < end:
        if part != "all" and server.asked.total() - before >= n_first:
            time.sleep(dice.uniform(0, 0.05 * whole_s if part == "asking" else 0.3 * whole_s))
            return
        time.sleep(0.002)


def play(
    server: Server, dice: random.Random, whole_s: float, reference: tuple[str, str], n_samples: int, tally: Tally
) -> None:
    """One round."""
    folder = Path(tempfile.mkdtemp(prefix="evalharness-kill-"))
    lay_out(folder, server.port, n_samples)
    server.asked.clear()
    kept: set[str] = set()
    n_kills = 1 + (dice.random() < 0.4)
    for _ in range(n_kills):
        before = server.asked.copy()
        process = start(folder)
        wait_for_moment(process, server, dice, whole_s, n_samples - len(kept))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            tally.n_kills += 1
        else:
            tally.n_too_late += 1
        process.communicate()
        again = kept & {prompt for prompt, n in (server.asked - before).items() if n}
        check(not again, f"{folder}: asked again though kept: {sorted(again)[:5]}")
        now_kept = kept_prompts(folder)
        check(kept <= now_kept, f"{folder}: lost from the store: {sorted(kept - now_kept)[:5]}")
        kept = now_kept
        tally.kept.append(len(kept))
        tally.n_left_behind += len(list((folder / "reports" / "runs").glob(".*")))
    before = server.asked.copy()
    record, said = finished(folder)
    again = kept & set(server.asked - before)
    check(not again, f"{folder}: asked again though kept: {sorted(again)[:5]}")
    check(content(record) == reference, f"{folder}: the record differs from that of the undisturbed run")
    rows = record.samples()
    check(len(rows) == n_samples and not rows.duplicated(["task", "sample_id", "repeat"]).any(), f"{folder}: rows")
    seen = sum(n - 1 for n in server.asked.values())
    own = record.manifest.execution["n_sent_again"]
    check(not own or f"{own} requests were sent again" in " ".join(said.split()), f"{folder}: not told:\n{said}")
    told = 0
    for path in (folder / "reports" / "runs").iterdir():
        check(not path.name.startswith("."), f"{path} was left behind")
        sealed = Record.open(path)
        sealed.verify()
        # A run that was killed after sealing has disclosed it already.
        told = max(told, int(sealed.manifest.execution["n_sent_again"]))  # type: ignore[arg-type]
    check(seen <= told <= seen + CONCURRENCY * n_kills, f"{folder}: {seen} seen again, {told} disclosed")
    left = [path.name for path in (folder / "reports").iterdir() if path.name.startswith(".")]
    check(not left, f"{folder}: left behind: {left}")
    tally.n_seen_again += seen
    tally.n_said_again += told
    shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--samples", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many minutes")
    parser.add_argument("--write", action="store_true", help="write the figures into RESULTS.md")
    args = parser.parse_args()
    server, dice, tally = Server(args.seed), random.Random(args.seed), Tally()
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name), server.port, args.samples)
        times = []
        for _ in range(3):  # the first one warms the disk's cache
            shutil.rmtree(Path(name) / "reports", ignore_errors=True)
            began = time.monotonic()
            reference = content(finished(Path(name))[0])
            times.append(time.monotonic() - began)
        whole_s = min(times)
    print(f"an undisturbed run takes {whole_s:.2f} s", flush=True)
    began, n_rounds = time.monotonic(), 0
    while n_rounds < args.rounds and time.monotonic() - began < args.minutes * 60:
        play(server, dice, whole_s, reference, args.samples, tally)
        n_rounds += 1
        if n_rounds % 10 == 0:
            print(f"{n_rounds} rounds, {tally.n_kills} kills", flush=True)
    some = sum(0 < n < args.samples for n in tally.kept)
    rows = [
        ("runs killed and resumed", n_rounds),
        ("kills", tally.n_kills),
        ("moments that came after the end of the run", tally.n_too_late),
        ("kills with some, not all answers kept", some),
        ("answers kept at a kill (median)", f"{statistics.median(tally.kept):.0f} of {args.samples}"),
        ("kept answers lost, or asked again", 0),
        ("rows lost or double, records that differ", 0),
        ("requests that the server saw again", tally.n_seen_again),
        ("requests disclosed as sent again", tally.n_said_again),
        ("folders left by kills while sealing, all removed", tally.n_left_behind),
    ]
    table = markdown_table(["", "figure"], rows)
    print(table)
    if args.write:
        title = f"## Killed runs\n\n`python benchmarks/kill.py --rounds {n_rounds}`, {machine()}"
        replace_section("kill", f"{title}\n\n{table}")


if __name__ == "__main__":
    main()
