from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalharness.monitor.sources.seen import Seen


@given(st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=20))
def test_a_name_is_new_once(batches: list[list[str]]) -> None:
    seen, plain = Seen(), set[str]()
    for names in batches:
        expected = []
        for name in names:
            expected.append(name not in plain)
            plain.add(name)
        assert seen.add(names) == expected
        assert len(seen) == len(plain)


def test_memory_is_small_and_runs_are_few() -> None:
    seen = Seen()
    for start in range(0, 200_000, 1000):
        assert all(seen.add([str(n) for n in range(start, start + 1000)]))
    assert not any(seen.add([str(n) for n in range(0, 200_000, 997)]))
    assert len(seen._runs) <= 18
    assert sum(run.nbytes for run in seen._runs) == 200_000 * 16
