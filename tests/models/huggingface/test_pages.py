"""Memory that is taken as it is written."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from evalharness.models.huggingface.memory import trim_memory
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


def test_nothing_takes_nothing() -> None:
    import torch

    pages = Pages((3, 0, 2), torch.float32)
    pages.release(0)
    assert pages.tensor.shape == (3, 0, 2)


def test_no_room_is_out_of_memory() -> None:
    import torch

    from evalharness.models.huggingface.memory import is_out_of_memory

    with pytest.raises(MemoryError) as caught:
        Pages((2**46,), torch.float32)
    assert is_out_of_memory(caught.value)


def test_trimming_is_harmless() -> None:
    trim_memory()
