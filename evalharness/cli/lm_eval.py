"""Run lm-evaluation-harness's own command line on evalharness' engine: the same tasks, output and figures, sooner.

Everything behind `lm-eval` is lm-eval's: `run --model hf --model_args pretrained=PATH --tasks NAME …`, with or without
the word `run`; `ls` and `validate` are lm-eval's as they are. `evalharness lm-eval run --help` lists the options.
"""

from __future__ import annotations

import argparse

__all__ = ["PASSES_ON", "add_arguments", "run"]

# What stands behind the verb is parsed by lm-eval.
PASSES_ON = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `--help` shows of lm-eval's arguments."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="lm-eval's own arguments")


def run(args: argparse.Namespace) -> int:
    """Hand the arguments to lm-eval, with our engine for its model; returns the exit code."""
    from evalharness.integrations.lm_eval.command import run_command
    from evalharness.models.huggingface.startup import allow_lean_imports, import_leanly

    def lean() -> None:
        allow_lean_imports()
        import_leanly()

    return run_command(args.arguments, before_loading=lean, own_process=args.own_process)
