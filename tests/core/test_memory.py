import platform
import subprocess
import sys

import pytest

from evalharness.core.memory import map_large_pieces, trim_memory

HELD = """
import sys
import numpy as np
from evalharness.core.memory import map_large_pieces

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) // 1024

if sys.argv[1] == "map":
    map_large_pieces()
del_me = np.ones(24 * 2**20, np.uint8)
del del_me  # by glibc's own rules pieces of up to that size come from its heap from now on
before = resident()
pieces, between = [], []
for _ in range(20):
    pieces.append(np.ones(2 * 2**20, np.uint8))
    between.append(np.ones(2_000, np.uint8))
del pieces
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the C library of Linux")
@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="asks glibc")
def test_large_pieces_go_back_when_they_are_freed() -> None:
    found = {}
    for how in ("map", "not"):
        done = subprocess.run([sys.executable, "-c", HELD, how], capture_output=True, text=True, check=True)
        found[how] = int(done.stdout)
    assert found["map"] < 5
    assert found["not"] > 20


def test_it_is_harmless() -> None:
    map_large_pieces()
    trim_memory()
