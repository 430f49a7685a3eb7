import gc
import pickle
from array import array

import pytest

from evalharness.core import spool
from evalharness.core.errors import RunError
from evalharness.core.spool import Joined, Picked, Scratch, Spool
from evalharness.core.types import Sample


@pytest.mark.parametrize("n", [0, 1, 7, 300])
@pytest.mark.parametrize("piece", [1, 500, 10**9])
@pytest.mark.parametrize("live", [0, 6, 7, 10**9])
def test_what_is_appended_is_read_in_order_and_at_any_place(n, piece, live, monkeypatch):
    monkeypatch.setattr(spool, "_PIECE_BYTES", piece)
    monkeypatch.setattr(spool, "_LIVE_ITEMS", live)
    items = [Sample(id=str(i), digest="d", prompt="p" * i, groups={"g": "é\ud800"}) for i in range(n)]
    found = Spool(items)
    assert list(found) == items
    assert found == items
    assert [found[i] for i in reversed(range(-n, n))] == [items[i] for i in reversed(range(-n, n))]
    assert found[1:5] == items[1:5]
    assert found[::-1] == items[::-1]
    assert len(found) == n
    for place in (n, -n - 1):
        with pytest.raises(IndexError):
            found[place]


def test_reading_and_writing_may_alternate(monkeypatch):
    monkeypatch.setattr(spool, "_PIECE_BYTES", 100)
    monkeypatch.setattr(spool, "_LIVE_ITEMS", 50)
    one, two = Spool(), Spool()
    for i in range(200):
        one.append(i)
        two.append((i, "x" * i))
        assert one[i // 2] == i // 2
        assert two[-1] == (i, "x" * i)
    assert list(one) == list(range(200))


def test_what_is_added_while_it_is_read_is_not_part_of_that_reading(monkeypatch):
    monkeypatch.setattr(spool, "_PIECE_BYTES", 30)
    for live in (0, 10):
        monkeypatch.setattr(spool, "_LIVE_ITEMS", live)
        found, seen = Spool(range(8)), []
        for item in found:
            seen.append(item)
            found.extend([100, 200, 300])
        assert seen == list(range(8))
        assert len(found) == 8 + 3 * 8
        assert list(found)[8:11] == [100, 200, 300]


def test_all_spools_share_one_file_that_goes_with_the_last_of_them(monkeypatch):
    monkeypatch.setattr(spool, "_PIECE_BYTES", 10)
    monkeypatch.setattr(spool, "_LIVE_ITEMS", 0)
    gc.collect()
    one, two = Spool(["a" * 50]), Spool(["b" * 50])
    file = Scratch.shared()._file
    assert one._scratch is two._scratch is Scratch.shared()
    del one
    gc.collect()
    assert not file.closed
    assert two == ["b" * 50]
    del two
    gc.collect()
    assert file.closed


def test_memory_does_not_grow_with_the_items():
    import tracemalloc

    def peak(n: int) -> int:
        tracemalloc.start()
        found = Spool("x" * 1000 for _ in range(n))
        assert sum(map(len, found)) == 1000 * n
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(20_000) - peak(3_000) < 17_000 * 2  # 16 bytes for each 64 KiB that were written


def test_few_items_that_are_large_are_not_kept_in_memory():
    import tracemalloc

    tracemalloc.start()
    found = Spool(str(i) * 200_000 for i in range(300))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 12_000_000
    assert [text[:2] for text in found[7:9]] == ["77", "88"]


def test_a_full_disk_is_told(monkeypatch):
    class Full:
        def seek(self, place):
            raise OSError(28, "No space left on device")

    scratch = Scratch()
    scratch._file.close()
    scratch._file = Full()
    with pytest.raises(RunError, match=r"No space left on device; make room there, or set TMPDIR"):
        scratch.put(b"x")


def test_picked_and_joined():
    whole = Spool("abcdef")
    assert Picked(whole, array("Q", [4, 4, 0])) == ["e", "e", "a"]
    assert Picked(whole, [5, 1])[1:] == ["b"]
    joined = Joined([whole, [], ["x", "y"]])
    assert list(joined) == [*"abcdef", "x", "y"]
    assert [joined[i] for i in range(-8, 8)] == 2 * [*"abcdef", "x", "y"]
    assert joined[5:7] == ["f", "x"]
    with pytest.raises(IndexError):
        joined[8]
    assert Joined([]) == []
    assert Joined([]) != "abc"


def test_what_cannot_be_pickled_is_a_fault_of_ours_not_silence():
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        Spool([lambda: None])
