"""The verb `annotate`: a whole session of the process, its end, its export, and what is wrong said before it serves."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from evalharness.cli.main import main
from evalharness.record import Rating, RunRegistry

SUITE = """
version: 1
name: rated
models:
  first-secret: {backend: fake, reply: "one says {{ prompt }}"}
  second-secret: {backend: fake, reply: "two says {{ prompt }}"}
datasets:
  rows: {rows: [{q: a}, {q: b}, {q: c}, {q: "=1+1"}]}
tasks:
  - {id: talk, dataset: rows, prompt: "{{ q }}"}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with one run of two models on four samples."""
    import evalharness

    folder = tmp_path_factory.mktemp("annotate")
    (folder / "suite.yaml").write_text(SUITE)
    environ = os.environ.pop("EVALHARNESS_REGISTRY", None)
    evalharness.run(str(folder / "suite.yaml"), reports=folder / "reports")
    if environ is not None:
        os.environ["EVALHARNESS_REGISTRY"] = environ
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    yield home
    with RunRegistry.open(reports=home / "reports") as registry:
        registry.withdraw_ratings(registry.ratings())


def session(*arguments):
    command = [sys.executable, "-m", "evalharness", "annotate", "latest", "--no-browser", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def opened(process):
    """The lines up to the one that says that it serves, and the links in them."""
    lines = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        lines.append(line)
    text = "".join(lines)
    return text, re.findall(r"open (http://\S+)", text)


def asked(link, method, path, body=None):
    address, token = link.split("/?token=")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data=data, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_session_ends_cleanly_and_says_what_is_next(here, capsys, number):
    with session("--rater", "anna", "--rater", "ben", "--scale", "1-3", "--question", "Is it true?") as process:
        try:
            text, (anna, _ben) = opened(process)
            assert "talk: 8 answers to rate, of 2 models on 4 samples: Is it true?" in text
            assert "secret" not in text
            assert re.search(r"open http://127\.0\.0\.1:\d+/\?token=\S{32,} \(anna\)", text)
            for position in range(3):
                asked(anna, "PUT", f"/api/items/{position}", {"choice": "3", "comment": "=cmd"})
            process.send_signal(number)
            out, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, error) == (0, "")
    assert "rated: anna 3 of 8\n" in out
    (line,) = re.findall(r"export: +evalharness (.+)", out)
    assert re.search(r"agreement: evalharness report \S+-rated-\w+\n", out)
    assert main(line.split()) == 0
    assert "wrote 3 ratings to ratings.csv" in capsys.readouterr().err
    with open("ratings.csv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {(r["rater"], r["value"], r["comment"], r["asked"]) for r in rows} == {("anna", "3", "'=cmd", "Is it true?")}


def test_a_killed_session_loses_nothing_and_the_next_one_continues(here):
    for expected, number in ((0, signal.SIGKILL), (2, signal.SIGINT)):
        with session("--rater", "anna") as process:
            try:
                _, (link,) = opened(process)
                marks = asked(link, "GET", "/api/state")["marks"]
                assert marks == "1" * expected + "0" * (8 - expected)
                for position in range(expected, expected + 2):
                    asked(link, "PUT", f"/api/items/{position}", {"choice": "4"})
                process.send_signal(number)
                process.communicate(timeout=30)
            finally:
                process.kill()
    with RunRegistry.open(reports="reports") as registry:
        assert len(registry.ratings()) == 4


def test_what_was_acknowledged_while_the_session_ended_is_kept(here):
    n_stored = 0
    with session("--rater", "anna", "--scale", "1-9", "--question", "Which?") as process:
        try:
            _, (link,) = opened(process)
            for step in range(200):
                if step == 20:
                    process.send_signal(signal.SIGINT)
                try:
                    asked(link, "PUT", f"/api/items/{step % 8}", {"choice": str(1 + step % 9)})
                except OSError:
                    break
                n_stored += 1
            _, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, error) == (0, "")
    assert 20 <= n_stored < 200
    with RunRegistry.open(reports="reports") as registry:
        assert len(registry.ratings(rater="anna", asked="Which?", history=True)) >= n_stored


def test_one_link_for_all_who_say_their_name(here):
    with session("--pairwise", "--sample", "2", "--show-reference") as process:
        try:
            text, (link,) = opened(process)
            assert "talk: 2 pairs to rate, of 2 models on 2 of 4 samples: Which answer is better?" in text
            token = asked(link, "POST", "/api/join", {"name": "cem"})["token"]
            own = link.split("=")[0] + "=" + token
            shown = asked(own, "GET", "/api/items/0")["answers"]
            asked(own, "PUT", "/api/items/0", {"choice": "a"})
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "rated: cem 1 of 2" in out
    with RunRegistry.open(reports="reports") as registry:
        (rating,) = registry.ratings()
    assert rating.label == ("first-secret" if shown[0].startswith("one") else "second-secret")
    assert (rating.model, rating.against) == ("first-secret", "second-secret")


def test_a_session_in_which_nobody_rates(here):
    with session("--labels", "good,bad") as process:
        try:
            opened(process)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert out == "\nnobody rated anything\n"


@pytest.fixture
def rated(here):
    """Ratings of several kinds, questions and raters."""
    with RunRegistry.open(reports="reports") as registry:
        run = registry.get("latest").id
        base = {"run_id": run, "task": "talk", "model": "first-secret", "repeat": 0}
        registry.add_ratings(
            [
                Rating(**base, sample_id="2", rater="anna", question="scale", value=4.0, asked="Good?"),
                Rating(**base, sample_id="1", rater="anna", question="scale", value=2.0, asked="Good?"),
                Rating(**base, sample_id="1", rater="ben", question="scale", value=5.0, asked="True?"),
                Rating(**base, sample_id="1", rater="ben", question="label", label="bad", asked="Which?"),
                Rating(**base, sample_id="3", rater="ben", question="scale", comment="no idea", asked="Good?"),
                Rating(
                    **{**base, "run_id": "older"},
                    sample_id="1",
                    rater="ben",
                    question="pairwise",
                    label="tie",
                    against=f"first-secret@{run}",
                ),
                Rating(**{**base, "run_id": "other"}, sample_id="1", rater="ben", question="scale", value=1.0),
            ]
        )
    return run


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        ([], {"2", "4", "5", "bad", "tie"}),
        (["--scale", "1-5"], {"2", "4", "5"}),
        (["--scale", "1-5", "--question", " Good? "], {"2", "4"}),
        (["--rater", "ben"], {"5", "bad", "tie"}),
        (["--labels", "good,bad"], {"bad"}),
        (["--pairwise"], {"tie"}),
        (["--question", "Good?", "--comments"], {"2", "4", ""}),
        (["--task", "talk", "--rater", "anna"], {"2", "4"}),
    ],
)
def test_exports(rated, capsys, arguments, answers):
    assert main(["annotate", "latest", "--export", "-", *arguments]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["value"] or row["label"] for row in rows} == answers
    assert len(rows) == len(answers)


def test_an_export_is_in_order_and_says_what_it_mixes(rated, capsys):
    assert main(["annotate", "latest", "--export", "-", "--scale", "1-5"]) == 0
    captured = capsys.readouterr()
    assert [row["sample_id"] for row in csv.DictReader(captured.out.splitlines())] == ["1", "1", "2"]
    assert "left out: 1 comment without an answer (--comments takes them in)" in captured.err
    assert "answers to 2 questions; --question TEXT takes one of them: scale 'Good?'; scale 'True?'" in captured.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "there is no run 'nothing'"),
        (["latest", "--task", "talc"], "has no task 'talc'; did you mean 'talk'?"),
        (["latest", "--scale", "five"], "--scale 'five' is no scale"),
        (["latest", "--labels", "good"], "two labels or more"),
        (["latest", "--scale", "1-5", "--pairwise"], "not allowed with argument"),
        (["latest", "--pairwise", "first-secret", "third"], "no model 'third' answered talk"),
        (["latest", "latest"], "named twice"),
        (["latest", "--rater", " "], "is no name of a rater"),
        (["latest", "--sample", "0"], "must be 1 or more"),
        (["latest", "--port", "70000"], "must be from 0 to 65535"),
        (["latest", "--host", "no such host"], "no such address"),
        (["latest", "--export", "x.csv"], "there are no such ratings of"),
        ([], "required: RECORD"),
    ],
)
def test_what_is_wrong_is_said(here, capsys, arguments, words):
    assert main(["annotate", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_a_port_that_is_in_use(here, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["annotate", "latest", "--port", str(taken.getsockname()[1])]) == 2
    assert "name another with --port" in capsys.readouterr().err


def test_another_scale_than_before(rated, capsys):
    assert main(["annotate", "latest", "--scale", "1-3", "--question", "Good?"]) == 2
    assert "anna answered 'Good?' with 4, which is not among 1, 2, 3" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(rated, capsys, here):
    (here / "folder").mkdir(exist_ok=True)
    assert main(["annotate", "latest", "--export", "folder"]) == 3
    assert "folder cannot be written" in capsys.readouterr().err


def test_a_host_that_others_reach_is_said(here):
    with session("--host", "0.0.0.0") as process:
        try:
            _, (link,) = opened(process)
            assert socket.gethostname() in link
            assert asked(link, "POST", "/api/join", {"name": "x"})["token"] if _resolves() else True
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "can be reached from other machines, and what is sent is not encrypted" in error


def _resolves():
    try:
        return bool(socket.gethostbyname(socket.gethostname()))
    except OSError:
        return False


def test_the_verb_loads_no_server_for_an_export(rated):
    code = (
        "import sys\nfrom evalharness.cli.main import main\n"
        "main(['annotate', 'latest', '--export', '-'])\nprint('aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
