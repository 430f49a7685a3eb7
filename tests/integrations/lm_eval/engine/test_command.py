"""`evalharness lm-eval`: lm-eval's command line, its output and its files, on our engine."""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """lm-eval's command line sets up logging for its process, and Python's warnings are not ours to mend."""
    logger = logging.getLogger("lm_eval")
    before = logger.handlers[:], logger.level, logger.propagate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def command(checkpoint: Any, write_tasks: Any, tmp_path: Path) -> list[str]:
    tasks = write_tasks(tmp_path / "tasks")
    return ["--model_args", f"pretrained={checkpoint('llama')},dtype=float32", "--include_path", str(tasks)]


def results_in(folder: Path) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    (file,) = folder.glob("*/results_*.json")
    samples = {
        path.name.partition("_20")[0]: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*/samples_*.jsonl")
    }
    return json.loads(file.read_text()), samples


@pytest.mark.slow
def test_table_and_files_are_those_of_lm_eval(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval.tasks
    from lm_eval._cli import HarnessCLI

    asked = ["--tasks", "choice,generate", "--limit", "8", "--num_fewshot", "2", "--log_samples", "--seed", "3"]
    outputs = []
    for name in ("ours", "theirs"):
        arguments = ["run", *command, *asked, "--output_path", str(tmp_path / name)]
        if name == "ours":
            assert main(["lm-eval", *arguments]) == 0
        else:
            # Its own tasks take it seconds to find and are not asked for.
            own = functools.partial(lm_eval.tasks.TaskManager, include_defaults=False)
            monkeypatch.setattr(lm_eval.tasks, "TaskManager", own)
            monkeypatch.setattr(sys, "argv", ["lm-eval", *arguments])
            cli = HarnessCLI()
            cli.execute(cli.parse_args())
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "|choice" in outputs[0]
    (ours, our_samples), (theirs, their_samples) = results_in(tmp_path / "ours"), results_in(tmp_path / "theirs")
    for found in (ours, theirs):
        for name in ("date", "total_evaluation_time_seconds", "start_time", "end_time", "pretty_env_info"):
            found.pop(name, None)
    assert ours == theirs
    assert our_samples.keys() == their_samples.keys()
    for task, lines in their_samples.items():
        for expected, found in zip(lines, our_samples[task], strict=True):
            for line in (expected, found):
                line.pop("resps"), line.pop("filtered_resps")
            assert found == expected


def test_the_older_form_needs_no_run(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm-eval", "--model", "hf", *command, "--tasks", "choice", "--limit", "2"]) == 0
    assert "|choice|" in capsys.readouterr().out


def test_chat_turns_and_settings_of_generation(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--tasks", "chat", "--limit", "2", "--apply_chat_template", "--gen_kwargs", "max_gen_toks=3"]
    assert main(["lm-eval", "run", "-M", "huggingface", *command, *asked]) == 0
    assert "gen_kwargs: ({'max_gen_toks': 3})" in capsys.readouterr().out


def test_a_file_may_hold_the_arguments_and_beams_are_lm_evals_on_any_device(
    checkpoint: Any, write_tasks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "model_args": f"pretrained={checkpoint('llama')},dtype=float32",
        "tasks": "generate",
        "include_path": str(write_tasks(tmp_path / "tasks")),
        "limit": 2,
        # No device is named: the model of lm-eval that makes these answers must find one, too.
        "gen_kwargs": "num_beams=2,max_gen_toks=3",
    }
    (tmp_path / "lm_eval.yaml").write_text(json.dumps(settings), encoding="utf-8")
    assert main(["lm-eval", "run", "--config", str(tmp_path / "lm_eval.yaml")]) == 0
    assert "gen_kwargs: ({'num_beams': 2, 'max_gen_toks': 3})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--model", "vllm", "--tasks", "choice"],
            "--model vllm: evalharness' engine runs .* lm_eval run --model vllm",
        ),
        (
            ["--tasks", "choise"],
            "neither lm-eval nor include_path has a task, group or tag 'choise'; did you mean 'choice'",
        ),
        (["--tasks", "choice", "--log_samples"], "lm-eval refuses this: ValueError: Specify --output_path"),
        (["--tasks", "choice", "--config", "nowhere.yaml"], "Config file not found"),
        (["--tasks", "choice", "--fewshot_as_multiturn"], "apply_chat_template"),
        (["--tasks", "choice", "--model_args", "pretraned=x"], "unknown argument 'pretraned'; did you mean"),
        (["--tasks", "choice", "--model_args", "pretrained=./nowhere"], "model folder './nowhere' does not exist"),
        (["--tasks", "choice", "--samples", '{"choice": [9999]}'], "lm-eval refuses this: AssertionError: Elements of"),
        (["--tasks", "choice", "--lmit", "3"], "unrecognized arguments: --lmit"),
        (["--tasks", "choice", "--num_fewshot", "x"], "invalid int value: 'x'"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_what_is_wrong_is_said_without_a_traceback(
    arguments: list[str], message: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lm-eval", "run", *command, *arguments]) == 2
    err = capsys.readouterr().err
    assert re.search(message, err), err
    assert "Traceback" not in err


def test_no_checkpoint_is_named(write_tasks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = str(write_tasks(tmp_path / "tasks"))
    assert main(["lm-eval", "--tasks", "choice", "--include_path", tasks]) == 2
    assert "write --model_args pretrained=PATH" in capsys.readouterr().err


def test_data_that_cannot_be_had_exits_3(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tasks" / "data.jsonl").unlink()
    code = main(["lm-eval", *command, "--tasks", "choice"])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "data.jsonl" in err
    assert code in (2, 3)


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("import no_such_package", 2, "lm-eval refuses this: ModuleNotFoundError: No module named 'no_such_package'"),
        ("undefined", 3, "lm-eval fails: NameError: name 'undefined' is not defined; with EVALHARNESS_DEBUG=1"),
    ],
)
def test_a_fault_of_a_tasks_own_code_is_not_ours(
    fault: str, code: int, message: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tasks"
    (folder / "faulty.py").write_text(f"def question(doc):\n    {fault}\n", encoding="utf-8")
    task = "include: choice.yaml\ntask: faulty\ndoc_to_text: !function faulty.question\n"
    (folder / "faulty.yaml").write_text(task, encoding="utf-8")
    assert main(["lm-eval", *command, "--tasks", "faulty", "--limit", "1"]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "fault of evalharness" not in err


def test_a_fault_of_ours_is_ours() -> None:
    from evalharness.integrations.lm_eval.command import _explained
    from evalharness.integrations.lm_eval.groups import group_figures

    group: Any = None
    with pytest.raises(AttributeError), _explained():
        next(iter(group_figures(group, {})))


def test_lm_eval_is_as_it_was_afterwards(command: list[str]) -> None:
    import lm_eval.api.registry
    import lm_eval.evaluator
    import lm_eval.tasks

    before = (lm_eval.tasks.TaskManager, lm_eval.api.registry.get_model, lm_eval.evaluator.add_env_info, sys.argv)
    assert main(["lm-eval", *command, "--tasks", "nothing-like-it"]) == 2
    after = (lm_eval.tasks.TaskManager, lm_eval.api.registry.get_model, lm_eval.evaluator.add_env_info, sys.argv)
    assert after == before


def test_help_of_lm_eval_is_lm_evals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm-eval", "run", "--help"]) == 0
    assert "--num_fewshot" in capsys.readouterr().out
