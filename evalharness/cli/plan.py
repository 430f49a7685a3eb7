"""Say what a run would ask, use, cost and take; no model is asked and nothing is written.

Tokens of prompts are estimated (four bytes each), or measured where answers of the same task are in the store; answers
may have as many tokens as max_tokens allows, and likely have what stored ones have. A cost is a range from the likely
to the highest; "unknown" is a model without a price, which may cost. Retries are not in it.

Where the suite has gates, each of their rules follows: the difference that it can see with the samples there are, the
samples (or repeats) that its margin takes for a power of .8, and a warning where it cannot be won.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .run import add_plan_arguments

if TYPE_CHECKING:
    from evalharness.gate.power_plan import RulePlan
    from evalharness.runner.forecast import Forecast, Work
    from evalharness.runner.prepare import Prepared

__all__ = ["add_arguments", "print_forecast", "run"]

_HEADS = ("task", "model", "requests", "in store", "to ask", "tokens in", "tokens out", "cost", "time")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `plan`."""
    add_plan_arguments(parser)
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of the response store")
    parser.add_argument(
        "--baseline", metavar="RUN", help="plan the gates against this run and not the one that gates.baseline names"
    )
    parser.add_argument("--registry", metavar="URL", help="database of runs (default: SQLite in the reports folder)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the forecast; returns 0."""
    print_forecast(args, as_json=args.json)
    return 0


def print_forecast(args: argparse.Namespace, *, as_json: bool = False) -> None:
    """Print what a run with these arguments would do."""
    from evalharness.runner.forecast import forecast
    from evalharness.runner.prepare import prepare

    from .columns import print_json

    ready = prepare(args.suite, overrides=args.overrides, limit=args.limit, allow_code=args.allow_code)
    found = forecast(args.suite, reports=args.reports, cache=args.cache, ready=ready)
    rules, notes = ([], []) if ready.suite.gates is None else _rules(args, ready, found)
    if as_json:
        print_json({**_fields(found), "rules": rules, "rule_notes": notes})
        return
    print(_table(found))
    if rules or notes:
        from .plan_rules import rule_table

        print(rule_table(rules, notes))


def _fields(found: Forecast) -> dict[str, object]:
    """The forecast as it has always been printed: its fields on the first level."""
    from dataclasses import fields

    return {field.name: getattr(found, field.name) for field in fields(found)}


def _rules(args: argparse.Namespace, ready: Prepared, found: Forecast) -> tuple[list[RulePlan], list[str]]:
    from .plan_rules import planned_rules

    return planned_rules(
        ready,
        found,
        baseline=getattr(args, "baseline", None),
        reports=Path(args.reports),
        registry_url=args.registry,
        allow_code=args.allow_code,
    )


def _table(found: Forecast) -> str:
    from .columns import columns

    lines = [_cells(work) for work in (*found.work, found.total)]
    text = columns(_HEADS, lines, right=_HEADS[2:])
    notes = [f"prices of {model}: {price['from']}" for model, price in found.prices.items() if isinstance(price, dict)]
    if found.batches:
        counts = ", ".join(f"{n:,} of {model}" for model, n in found.batches.items())
        n = sum(found.batches.values())
        notes.append(
            f"mode batch: about {n:,} batch{'' if n == 1 else 'es'} ({counts}), at the price of batches; how long they "
            "take is not known: up to 24 hours"
        )
    if found.n_handed_in:
        notes.append(
            f"{found.n_handed_in:,} requests are in batches that were handed in before: those are taken up again"
        )
    notes += [
        f"{work.task} on {work.model} {'attacks' if work.attacks else 'explains'} {work.n_to_ask:,} texts: up to "
        f"{work.most_calls:,} {'changed' if work.attacks else 'masked'} versions"
        for work in found.work
        if work.most_calls > work.n_to_ask
    ]
    unknown = sorted({work.model for work in found.work if work.cost == "unknown"})
    if unknown:
        notes.append(f"the price of {', '.join(unknown)} is not known; give it as `price` of the model")
    notes += [f"warning: {warning}" for warning in found.warnings]
    return "\n".join([text, *notes])


def _cells(work: Work) -> list[str]:
    from evalharness.report.text import duration

    in_tokens = f"~{work.input_tokens:,}" if work.n_to_ask else "0"
    return [
        work.task,
        work.model,
        f"{work.n_requests:,}",
        f"{work.n_in_store:,}",
        f"{work.n_to_ask:,}",
        in_tokens,
        _range(work.likely_output_tokens, work.most_output_tokens, "{:,}"),
        _cost(work),
        "unknown" if work.seconds is None else "-" if not work.n_to_ask else f"~{duration(work.seconds)}",
    ]


def _cost(work: Work) -> str:
    if work.cost == "none" or not work.n_to_ask:
        return "-"
    return "unknown" if work.most_usd is None else _range(work.likely_usd, work.most_usd, "${:.4f}")


def _range(likely: float | None, most: float, form: str) -> str:
    if not most:
        return "0"
    most_text = form.format(most)
    return f"up to {most_text}" if likely is None else f"~{form.format(likely)}, up to {most_text}"
