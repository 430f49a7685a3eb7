import importlib
from pathlib import Path

import pytest

from evalharness.cli import main as cli
from evalharness.core.errors import Place, Problem, RunError, SuiteError, UsageError

ROOT = Path(__file__).parents[2]


def scripted(monkeypatch, action):
    class Module:
        """A verb for the test."""

        @staticmethod
        def add_arguments(parser):
            parser.add_argument("word", nargs="?")

        @staticmethod
        def run(args):
            return action()

    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Module)


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: evalharness {verb}")
    module = importlib.import_module(f"evalharness.cli.{cli.VERBS[verb].module}")
    assert module.__doc__.strip().splitlines()[0] in text


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_is_documented(verb):
    docs = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert f"evalharness {verb}" in docs


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["-h"], 0), (["--version"], 0)])
def test_the_bare_command_helps(arguments, code, capsys):
    assert cli.main(arguments) == code
    assert "evalharness" in capsys.readouterr().out


def test_an_unknown_verb_is_answered_with_the_nearest(capsys):
    assert cli.main(["validte"]) == 2
    assert "did you mean 'validate'?" in capsys.readouterr().err


def test_an_unknown_option_exits_2(capsys):
    assert cli.main(["run", "suite.yaml", "--lmit", "3"]) == 2
    assert "--lmit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("bad"), 2), (RunError("stopped"), 3), (KeyboardInterrupt(), 130)]
)
def test_errors_become_messages_and_exit_codes(monkeypatch, capsys, error, code):
    scripted(monkeypatch, raising(error))
    assert cli.main(["run"]) == code
    err = capsys.readouterr().err
    assert err.startswith("evalharness: ")
    assert "Traceback" not in err


def test_the_problems_of_a_suite_stand_one_a_line_at_its_start(monkeypatch, capsys):
    problems = [Problem(Place("s.yaml", 2, 3), "tasks[0]", "b"), Problem(Place("s.yaml", 1, 1), "", "a")]
    scripted(monkeypatch, raising(SuiteError(problems)))
    assert cli.main(["run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "s.yaml:1:1: a"
    assert lines[1] == "s.yaml:2:3 tasks[0]: b"
    assert lines[2] == "evalharness: 2 problems found; nothing was run"


def test_a_fault_of_ours_keeps_its_traceback_in_a_file(monkeypatch, capsys):
    monkeypatch.delenv("EVALHARNESS_DEBUG", raising=False)
    scripted(monkeypatch, raising(ZeroDivisionError("odd")))
    assert cli.main(["run"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" not in err
    log = Path(err.split("the details are in ")[1].split(": please")[0])
    assert "ZeroDivisionError: odd" in log.read_text()
    log.unlink()
