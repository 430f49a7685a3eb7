"""Runs programs that nobody trusts, each in a process of its own with few rights, several at a time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from evalharness.core.errors import UsageError

__all__ = ["PROTECTIONS", "STATES", "Limits", "Outcome", "protections", "run_program", "run_programs"]

State = Literal[
    "passed", "failed", "raised", "syntax_error", "timed_out", "out_of_memory", "exited", "crashed", "unprotected"
]
STATES: tuple[State, ...] = get_args(State)[:-1]
"""How programs end: all tests passed; an assertion failed; something else was raised; it does not compile; it took too
long; it needed too much memory; it ended itself before the last test; it was killed by a signal."""
PROTECTIONS: tuple[str, ...] = ("network", "files")

_CHILD = Path(__file__).with_name("code_child.py")
_START_S = 10.0  # a machine that is busy may take so long to start Python
_FILE_BYTES = 16 * 2**20
_REPORT_BYTES = 65_536
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may take, and what it must be kept from before it is run at all."""

    timeout_s: float = 5.0
    memory_mb: int = 512
    needs: tuple[str, ...] = PROTECTIONS


class Outcome(NamedTuple):
    """How a program ended, and what it said about it."""

    state: State
    said: str = ""


@lru_cache(maxsize=1)
def protections() -> tuple[str, ...]:
    """What programs can be kept from on this machine: a part of `PROTECTIONS`."""
    return tuple(_report("pass", Limits(needs=())).get("taken", ()))


def run_programs(programs: Sequence[str], limits: Limits) -> list[Outcome]:
    """How each of the programs ended, as many at a time as there are cores; the same program runs once a process."""
    distinct = [program for program in dict.fromkeys(programs) if _remembered.get(program, limits) is None]
    if distinct:
        with ThreadPoolExecutor(min(_cores(), len(distinct)), thread_name_prefix="evalharness-code") as threads:
            for program, outcome in zip(distinct, threads.map(lambda p: run_program(p, limits), distinct), strict=True):
                _remembered.put(program, limits, outcome)
    return [_remembered.get(program, limits) or run_program(program, limits) for program in programs]


class _Remembered:
    """Outcomes of programs: figures of one task often ask about the same ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: OrderedDict[tuple[str, Limits], Outcome] = OrderedDict()

    def get(self, program: str, limits: Limits) -> Outcome | None:
        with self._lock:
            return self._outcomes.get((program, limits))

    def put(self, program: str, limits: Limits, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[program, limits] = outcome
            while len(self._outcomes) > _REMEMBERED:
                self._outcomes.popitem(last=False)


_remembered = _Remembered()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_program(program: str, limits: Limits) -> Outcome:
    """How `program` ended, run in a process of its own.

    Raises:
        UsageError: this system cannot keep it from what `limits.needs` names; nothing was run then.
    """
    report = _report(program, limits)
    if report["state"] == "unprotected":
        raise UsageError(f"this system cannot keep programs from: {report['said']}; nothing was run")
    return Outcome(report["state"], report.get("said", ""))


def _report(program: str, limits: Limits) -> dict[str, Any]:
    """What the child said on its pipe, or how it ended without a word."""
    token = secrets.token_hex(16)
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="evalharness-code-", ignore_cleanup_errors=True) as folder:
        order = {
            "program": program,
            "folder": folder,
            "needs": limits.needs,
            "cpu_s": math.ceil(limits.timeout_s),
            "memory_bytes": limits.memory_mb * 2**20,
            "file_bytes": _FILE_BYTES,
            "descriptor": writing,
            "token": token,
        }
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", "-X", "utf8", str(_CHILD)],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            with contextlib.suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.write(json.dumps(order).encode("ascii"))
                process.stdin.close()
            said, late = _listen(reading, limits.timeout_s)
            # The whole group, also where the leader has ended: on systems without seccomp it may have left children.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            return _read(said, token) or _without_words(code, late)
        finally:
            os.close(reading)


def _listen(reading: int, timeout_s: float) -> tuple[bytes, bool]:
    """What the child says until its end, or until its time is over: it begins with the first byte."""
    said, deadline = b"", time.monotonic() + _START_S
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            break
        new = os.read(reading, _REPORT_BYTES)
        if not new or len(said) > _REPORT_BYTES:
            return said, False
        if not said:
            deadline = time.monotonic() + timeout_s
        said += new
        if said.endswith(b"}"):
            return said, False
    return said, True


def _environment(folder: str) -> dict[str, str]:
    """Nothing of ours: no keys, no tokens; one thread for libraries of linear algebra, whose threads need memory."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", **one}


def _read(said: bytes, token: str) -> dict[str, Any] | None:
    try:
        report = json.loads(said)
    except ValueError:
        return None
    return report if isinstance(report, dict) and report.get("token") == token else None


def _without_words(code: int, late: bool) -> dict[str, Any]:
    if late or code == -signal.SIGXCPU:
        return {"state": "timed_out", "said": ""}
    if code < 0:
        names = {int(number): number.name for number in signal.Signals}
        return {"state": "crashed", "said": names.get(-code, str(code))}
    return {"state": "exited", "said": f"the process ended itself with code {code}"}
