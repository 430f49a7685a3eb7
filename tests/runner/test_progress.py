import io
import threading

from evalharness.runner.progress import BarProgress, LineProgress, OnFirstAnswer, SilentProgress, progress_for


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_lines_come_at_the_start_every_ten_seconds_and_at_the_end():
    out, clock = io.StringIO(), Clock()
    progress = LineProgress(out, clock=clock)
    progress.start("m", 100, done=20)
    clock.now = 1.0
    progress.advance(10)
    clock.now = 11.0
    progress.advance(10, failed=2)
    clock.now = 12.0
    progress.advance(60)
    lines = out.getvalue().splitlines()
    assert lines == [
        "m: 100 requests, 20 of them answered already",
        "m: 40/100, 1.8/s, 33 s left, 2 failed",
        "m: 100/100, 6.7/s, 2 failed",
    ]


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    bar = progress_for(terminal)
    assert isinstance(bar, BarProgress)
    with bar:
        bar.start("[bold]m", 2)
        bar.advance(2, failed=1)
        bar.say("[red]said")
    assert "[bold]m" in terminal.getvalue()
    assert "1 failed" in terminal.getvalue()
    assert "[red]said" in terminal.getvalue()
    assert isinstance(progress_for(io.StringIO()), LineProgress)
    assert isinstance(progress_for(io.StringIO(), quiet=True), SilentProgress)


def test_what_follows_is_loaded_once_when_the_first_answer_has_come():
    out, called = io.StringIO(), threading.Semaphore(0)
    progress = OnFirstAnswer(LineProgress(out, clock=Clock()), called.release)
    with progress:
        progress.start("m", 2)
        progress.say("hello")
        assert not called.acquire(timeout=0.05)
        progress.advance(1, failed=1)
        assert called.acquire(timeout=10)
        progress.advance(1)
        assert not called.acquire(timeout=0.05)
    assert out.getvalue().splitlines()[:2] == ["m: 2 requests", "hello"]
    assert out.getvalue().splitlines()[2].endswith("1 failed")
