"""What a command costs, told so that a slow or busy machine tells the same."""

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

# A small launcher measures: a child forked from this process would inherit its peak memory.
_LAUNCHER = """
import json, os, sys
quiet = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ,
                     file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""
# Standard library alone, and always the same work: a little less than importing numpy.
_YARDSTICK = "import ast, inspect\nfor _ in range(2): ast.parse(inspect.getsource(ast) + inspect.getsource(inspect))"


class Cost(NamedTuple):
    """What one command costs."""

    yardsticks: float
    """Its CPU time as a multiple of the yardstick's, a fixed piece of work in a Python process of its own."""
    peak_kib: int


def _measured(*arguments: str) -> tuple[float, int]:
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    cpu_s, peak_kib, code = json.loads(done.stdout)
    assert code == 0, done.stderr
    return cpu_s, peak_kib


@pytest.fixture
def cost():
    """`cost(*arguments, times=5)`: what `python ARGUMENTS` costs, measured in turns with the yardstick.

    CPU time, not what a clock on the wall says: who waits for a core costs nothing. The least of several runs is the
    program's own share, the rest the machine's.
    """

    def of(*arguments: str, times: int = 5) -> Cost:
        pairs = [(_measured("-c", _YARDSTICK)[0], _measured(*arguments)) for _ in range(times)]
        least = min(cpu_s for _, (cpu_s, _) in pairs) / min(yardstick_s for yardstick_s, _ in pairs)
        return Cost(least, max(kib for _, (_, kib) in pairs))

    return of
