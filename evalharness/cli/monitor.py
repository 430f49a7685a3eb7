"""Watch a model in production: read intervals of its responses, compare them with a reference, alert.

MONITOR is a suite that has `monitor:`, or a file of its own with the same keys; see docs/monitoring.md.
"""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from evalharness.monitor.define import Definition

__all__ = ["ACTIONS", "Action", "add_arguments", "add_definition_arguments", "definition_of", "run"]


class Action(NamedTuple):
    """A verb of `monitor`: the module of this folder that does it, and one line of help."""

    module: str
    summary: str


ACTIONS: dict[str, Action] = {
    "run": Action("monitor_run", "run one interval: what any scheduler calls"),
    "serve": Action("monitor_serve", "run monitors when they are due, until told to end"),
    "status": Action("monitor_status", "what monitors have recorded, and what is next"),
    "backfill": Action("monitor_backfill", "run the intervals of a span that are not recorded"),
    "alerts": Action("monitor_alerts", "the alerts that are open, and their history"),
    "silence": Action("monitor_silence", "send nothing of some alerts for a while"),
    "ack": Action("monitor_ack", "say that you look after an alert"),
    "mark": Action("monitor_mark", "note a deployment, which charts then show"),
    "deliver": Action("monitor_deliver", "send the messages that wait in the outbox"),
    "receive": Action("monitor_receive", "receive telemetry over OTLP/HTTP"),
    "metrics": Action("monitor_metrics", "metrics for Prometheus"),
    "export": Action("monitor_export", "write files for cron, systemd, Kubernetes or Airflow"),
}


def _module(action: str) -> ModuleType:
    return importlib.import_module(f"evalharness.cli.{ACTIONS[action].module}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verbs of `monitor`, and the options of each."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, action in ACTIONS.items():
        module = _module(name)
        module.add_arguments(
            actions.add_parser(
                name,
                help=action.summary,
                description=(module.__doc__ or action.summary).strip(),
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )


def run(args: argparse.Namespace) -> int:
    """Do what `args.action` says; returns the exit code."""
    code: int = _module(args.action).run(args)
    return code


def add_definition_arguments(parser: argparse.ArgumentParser) -> None:
    """Which monitor."""
    parser.add_argument("monitor", metavar="MONITOR", help="suite with `monitor:`, or a monitor's own file")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="change a value of the file"
    )


def definition_of(args: argparse.Namespace) -> Definition:
    """The monitor that `args` name, with columns that exist."""
    from evalharness.monitor.define import load_definition
    from evalharness.monitor.measure import check_columns

    definition = load_definition(args.monitor, overrides=args.overrides)
    check_columns(definition)
    return definition
