"""lm-eval's command line on our engine: its own parser, its own `run`, its own output.

While `run` runs, four things of lm-eval are ours: the model that `hf` means, the `TaskManager` (from our index, which
spares seconds), what describes the machine in the results (asked while the model works), and that each template is
compiled once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from traceback import walk_tb
from typing import Any

from evalharness.core.errors import EvalHarnessError, RunError, UsageError
from evalharness.core.imports import importing

from .index import require_lm_eval, task_manager
from .lean import put_off_unused
from .quiet import compiled_templates
from .register import NAME

__all__ = ["run_command"]

_OURS = ("hf", "hf-auto", "huggingface", NAME)
# Raised by `datasets` and the hub client where data cannot be had; told by name, so that neither is imported for it.
_NO_DATA = frozenset(
    {"ConnectionError", "DatasetNotFoundError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "HfHubHTTPError"}
    | {"DatasetGenerationError", "DataFilesNotFoundError", "ConnectError", "ReadTimeout"}
)


def run_command(
    arguments: Sequence[str], *, before_loading: Callable[[], None] = lambda: None, own_process: bool = False
) -> int:
    """Do what lm-eval's command line does with `arguments`; returns the exit code.

    In a process of our own (`own_process`) imports may be put off, and there `before_loading` is called, before
    anything imports torch, when it is certain that a checkpoint is needed, and no other packages to load it.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UsageError: the model is not one for our engine, or lm-eval refuses an argument.
        RunError: the tasks' data cannot be had, or a request could not be answered.
    """
    require_lm_eval("evalharness lm-eval")
    if own_process:
        put_off_unused()
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    setup_logging()
    with _argv(arguments):
        cli = HarnessCLI()
        try:
            parsed = cli.parse_args()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 2
    if getattr(parsed, "command", None) != "run":
        with _explained():
            cli.execute(parsed)
        return 0
    with _explained():
        settings = _settings(parsed)
        _check_model(settings.get("model") or "hf")
        with importing():
            if own_process and _is_plain({**settings, **(settings.get("model_args") or {})}):
                before_loading()
            import lm_eval.evaluator
            import lm_eval.tasks  # noqa: F401
        with _ours(parsed, settings):
            cli.execute(parsed)
    return 0


@contextlib.contextmanager
def _argv(arguments: Sequence[str]) -> Iterator[None]:
    """lm-eval's parser reads the process's own arguments, to put in the word `run` where it is left out."""
    before = sys.argv
    sys.argv = ["lm-eval", *arguments]
    try:
        yield
    finally:
        sys.argv = before


def _settings(parsed: Namespace) -> dict[str, Any]:
    """What the YAML file of `--config` says, under what the command line says."""
    from lm_eval.config.evaluate_config import EvaluatorConfig
    from lm_eval.utils import simple_parse_args_string

    file = EvaluatorConfig.load_yaml_config(parsed.config) if parsed.config else {}
    found = {**file, **{name: value for name, value in vars(parsed).items() if value is not None}}
    # A file may write them as the command line does: pretrained=PATH,dtype=float32.
    if isinstance(found.get("model_args"), str):
        found["model_args"] = simple_parse_args_string(found["model_args"])
    return found


def _check_model(name: str) -> None:
    if name not in _OURS:
        raise UsageError(
            f"--model {name}: evalharness' engine runs Hugging Face checkpoints, --model hf (or hf-auto, huggingface); "
            f"run this one with lm-eval itself: lm_eval run --model {name} …"
        )


def _is_plain(settings: Mapping[str, Any]) -> bool:
    """Whether the model has no adapter, is not quantised and brings no code of its own."""
    return not any(
        value and (name in ("peft", "trust_remote_code", "autogptq") or name.startswith(("load_in_", "bnb_")))
        for name, value in settings.items()
    )


class _Model:
    """What lm-eval takes for the class of the model."""

    def __init__(self, *, device_given: bool, at_answer: Callable[[], None]) -> None:
        self._device_given = device_given
        self._at_answer = at_answer

    def create_from_arg_obj(self, arguments: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> Any:
        """The model; lm-eval says `cuda:0` where nobody has named a device, and means the best there is."""
        from .model import EvalHarnessLM

        given = {**arguments, **{name: value for name, value in (more or {}).items() if value is not None}}
        if not self._device_given:
            given.pop("device", None)
        if "pretrained" not in given:
            raise UsageError("--model_args: no checkpoint is named; write --model_args pretrained=PATH")
        made = EvalHarnessLM(**given)
        made.at_answer = self._at_answer
        return made


@contextlib.contextmanager
def _ours(parsed: Namespace, settings: Mapping[str, Any]) -> Iterator[None]:
    """Put what is ours into lm-eval, and take it out again."""
    import lm_eval.api.registry
    import lm_eval.evaluator
    import lm_eval.tasks

    device_given = "device" in settings or "device" in (settings.get("model_args") or {})
    names = _task_names(settings.get("tasks"))
    theirs = lm_eval.tasks.TaskManager

    def manager(include_path: str | None = None, metadata: Mapping[str, Any] | None = None, **more: Any) -> Any:
        # Our own is made of theirs, without their folders.
        return theirs(metadata=metadata, **more) if more else task_manager(names, include_path, metadata=metadata)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="evalharness-environment") as pool:
        asked: list[Any] = []
        # It starts a dozen programs: not while the first answer is waited for.
        model = _Model(
            device_given=device_given, at_answer=lambda: None if asked else asked.append(pool.submit(_environment))
        )

        def add_env_info(results: dict[str, Any]) -> None:
            results.update(asked[0].result() if asked else _environment())

        with (
            _replaced(lm_eval.api.registry, "get_model", lambda name: model),
            _replaced(lm_eval.tasks, "TaskManager", manager),
            _replaced(lm_eval.evaluator, "add_env_info", add_env_info),
            compiled_templates(),
        ):
            yield


def _environment() -> dict[str, Any]:
    from lm_eval.loggers.utils import add_env_info

    found: dict[str, Any] = {}
    add_env_info(found)
    return found


@contextlib.contextmanager
def _replaced(where: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)


def _task_names(tasks: Any) -> list[str]:
    """The names among `tasks`; lm-eval reads files and folders itself."""
    given = tasks.split(",") if isinstance(tasks, str) else [str(name) for name in tasks or ()]
    names = [name for text in given for name in text.split(",") if name]
    return [name for name in names if not name.endswith(".yaml") and not Path(name).is_dir()]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn lm-eval's errors into ours: a setting that it refuses, data that cannot be had."""
    try:
        yield
    except EvalHarnessError:
        raise
    except Exception as error:
        if os.environ.get("EVALHARNESS_DEBUG"):
            raise
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & _NO_DATA:
            raise RunError(f"lm-eval cannot read the data of a task: {_line(error)}") from error
        if isinstance(error, ValueError | KeyError | FileNotFoundError | TypeError | NotImplementedError):
            raise UsageError(f"lm-eval refuses this: {_line(error)}") from error
        if not _by_lm_eval(error):
            raise
        if isinstance(error, AssertionError | ImportError):
            # It asserts what it is given, and what a task or a logger needs may not be installed.
            raise UsageError(f"lm-eval refuses this: {_line(error)}") from error
        raise RunError(f"lm-eval fails: {_line(error)}; with EVALHARNESS_DEBUG=1 it says where") from error


def _by_lm_eval(error: BaseException) -> bool:
    """Whether lm-eval or one of its tasks failed: of its code and ours, its own is nearest to the fault."""
    rooms = (str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__))
    return [room for room in rooms if room in ("lm_eval", "evalharness")][-1:] == ["lm_eval"]


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]
