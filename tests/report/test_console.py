import io

import pytest

from evalharness.report.console import make_console, print_summary, print_verdicts

VERDICT = {
    "rule": "sentiment.accuracy ≥ 0.9 · small",
    "state": "fail",
    "tier": "block",
    "reason": "sentiment.accuracy of small is 0.727 (n = 11): 0.173 below the limit of 0.9.",
    "task": "sentiment",
    "model": "small",
    "metric": "accuracy",
    "value": 0.727,
    "ci_low": 0.5,
    "ci_high": 0.9,
    "limit": 0.9,
    "baseline_value": None,
    "n": 11,
}
GATE = {"state": "fail", "reason": "because", "decide_on": "point", "baseline_id": None, "verdicts": [VERDICT]}


def shown(record, gate=None, *, width=None, **more):
    out = io.StringIO()
    print_summary(record, gate, console=make_console(out, width=width), **more)
    return out.getvalue()


def test_everything_is_said(make_record, tmp_path):
    text = shown(make_record(), GATE, report=tmp_path / "report.html")
    for part in (
        "sentiment",
        "accuracy",
        "0.727",
        "[0.527, 0.927]",
        "95 % interval",
        "27.31",
        "↑",
        "latency_p95_s",
        "ok 23 · error 1",
        "6 from the response store",
        "41.7 s",
        "note: a note",
        "worst de 0.600",
        "✗ fail",
        "0.173 below the limit",
        "gate FAIL",
        str(tmp_path / "report.html"),
    ):
        assert part in text


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(make_record, width):
    record = make_record(models=("a-rather-long-model-name", "b"))
    for line in shown(record, GATE, width=width).splitlines():
        assert len(line) <= width


def test_names_are_whole_where_there_is_room(make_record):
    record = make_record()
    for width in (40, 80):
        assert "confusion_matrix" in shown(record, width=width)


def test_pipes_get_no_escapes_and_room(make_record, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    text = shown(make_record(), GATE)
    assert "\x1b" not in text
    assert any(len(line) > 80 for line in text.splitlines()) or "[0.527, 0.927]" in text


def test_no_color(make_record, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colourful = Terminal()
    print_summary(make_record(), GATE, console=make_console(colourful, width=100))
    assert "\x1b[" in colourful.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    print_summary(make_record(run_id="other"), GATE, console=make_console(plain, width=100))
    assert "\x1b[3" not in plain.getvalue()


def test_text_of_the_record_is_never_obeyed(make_record):
    odd = "\x1b]0;title\x07\x1b[2J[red]markup[/red] :smile: \x9b31m\u202e\ud800"
    text = shown(make_record(odd=odd, metric=f"acc{odd}"), {**GATE, "reason": odd})
    assert not any((ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) <= 0x9F for c in text)
    assert "[red]markup[/red]" in text.replace("\n", "")
    assert ":smile:" in text.replace("\n", "")
    text.encode("utf-8")


def test_small_encodings_do_not_break_it(make_record):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    print_summary(make_record(), GATE, console=make_console(stream, width=100))
    text = raw.getvalue().decode("ascii")
    assert "0.727" in text
    assert "gate FAIL" in text


def test_an_empty_record(make_record):
    text = shown(make_record(n=0, models=(), results=[]))
    assert "0 answers" in text


def test_an_unfinished_run_says_so(make_record):
    assert "not complete" in shown(make_record(manifest={"complete": False}))


@pytest.mark.parametrize(("state", "word"), [("pass", "PASS"), ("fail", "FAIL"), ("inconclusive", "INCONCLUSIVE")])
def test_verdicts_alone(state, word):
    out = io.StringIO()
    print_verdicts({**GATE, "state": state, "baseline_id": "base-1"}, console=make_console(out))
    assert f"gate {word} against base-1" in out.getvalue()
