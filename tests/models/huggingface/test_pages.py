"""Memory that is taken as it is written."""

from __future__ import annotations

import mmap
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from evalharness.core.memory import trim_memory
from evalharness.models.huggingface.pages import Pages

pytestmark = pytest.mark.model

MB = 2**20


def resident() -> int:
    """Bytes of memory that this process takes and that lie in no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_only_what_is_written_takes_memory_and_a_place_gives_it_back() -> None:
    import torch

    before = resident()
    pages = Pages((64, 2, 1024, 256), torch.float32)  # 128 MiB, 2 MiB a place
    assert not pages.tensor[1, 1, 1000].any()
    assert resident() - before < 4 * MB
    pages.tensor[3] = 1.0
    pages.tensor[4] = 2.0
    assert 3 * MB < resident() - before < 8 * MB
    pages.release(3)
    assert resident() - before < 6 * MB - MB
    assert not pages.tensor[3].any()
    assert bool((pages.tensor[4] == 2.0).all())


@pytest.mark.parametrize("whole_pages", [True, False])
def test_places_that_end_within_a_page_keep_their_neighbours(whole_pages: bool) -> None:
    import torch

    n = mmap.PAGESIZE // 2 if whole_pages else 700
    pages = Pages((5, n, 3), torch.bfloat16)
    pages.tensor[:] = 1.0
    for place in (1, 4):
        pages.release(place)
    assert bool((pages.tensor[[0, 2, 3]] == 1.0).all())
    assert bool(pages.tensor.isfinite().all())


@pytest.mark.skipif(sys.platform != "linux", reason="takes memory ahead of need on Linux only")
def test_a_part_is_taken_before_it_is_written_and_keeps_what_is_there() -> None:
    import torch

    pages = Pages((8, 1024, 2, 256), torch.float32)  # 2 KiB a row, 2 MiB a place
    pages.tensor[3, 10] = 5.0
    before = resident()
    pages.take(3, 0, 512)
    pages.take(7, 1000, 2000)
    taken = resident() - before
    if taken < MB // 2:
        pytest.skip("the system cannot take memory ahead of need (Linux before 5.14)")
    assert MB // 2 < taken < 2 * MB
    assert bool((pages.tensor[3, 10] == 5.0).all())
    assert float(pages.tensor.sum()) == 5.0 * 512


def test_nothing_takes_nothing() -> None:
    import torch

    pages = Pages((3, 0, 2), torch.float32)
    pages.take(0, 0, 0)
    pages.release(0)
    assert pages.tensor.shape == (3, 0, 2)


def test_no_room_is_out_of_memory() -> None:
    import torch

    from evalharness.models.huggingface.memory import is_out_of_memory

    with pytest.raises(MemoryError) as caught:
        Pages((2**46,), torch.float32)
    assert is_out_of_memory(caught.value)


KEEPING = """
import gc, sys
from pathlib import Path
import torch
from evalharness.core.memory import trim_memory
from evalharness.models.huggingface.memory import keep_memory

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) // 1024

if sys.argv[1] == "keep":
    keep_memory()
before = resident()
pieces = [torch.ones(4 * 2**20 // 4) for _ in range(12)]
del pieces
kept = resident() - before
trim_memory()
print(kept, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the C library of Linux")
def test_freed_memory_is_kept_for_the_next_pass_until_it_is_trimmed() -> None:
    found = {}
    for how in ("keep", "not"):
        done = subprocess.run([sys.executable, "-c", KEEPING, how], capture_output=True, text=True, check=True)
        found[how] = tuple(map(int, done.stdout.split()))
    if "glibc" not in platform.libc_ver():
        pytest.skip("not glibc")
    assert found["keep"][0] > 40
    assert found["keep"][1] < 10
    assert found["not"][0] < 10


def test_trimming_is_harmless() -> None:
    trim_memory()
