from __future__ import annotations

import io

from evalharness.catalog.progress import BarProgress, LineProgress, progress_for


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_at_each_tenth() -> None:
    out = io.StringIO()
    with progress_for(out) as progress:
        assert isinstance(progress, LineProgress)
        progress.say("hello")
        progress.step("fetching")
        progress.advance()
        progress.step("training", 20)
        for _ in range(20):
            progress.advance()
    lines = out.getvalue().splitlines()
    assert lines[:3] == ["hello", "fetching …", "training …"]
    assert lines[3:] == [f"training: {n}/20" for n in range(2, 21, 2)]


def test_a_bar_in_a_terminal() -> None:
    out = _Terminal()
    with progress_for(out) as progress:
        assert isinstance(progress, BarProgress)
        progress.say("[hello]")
        progress.step("fetching")
        progress.step("training", 2)
        progress.advance()
        progress._bar.refresh()
    assert "[hello]" in out.getvalue()
    assert "training" in out.getvalue()
    assert "1/2" in out.getvalue()
