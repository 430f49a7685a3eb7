"""The sentences and headline numbers of a report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from .costs import CostRow, cost_total, spent_text
from .samples import SampleBundle
from .text import amount, duration, plural, share
from .view import ReportView

__all__ = ["Fact", "VerdictText", "facts_of", "interval_hint", "repeat_command", "samples_hint", "verdict_of"]


class VerdictText(NamedTuple):
    """The banner on top of the page."""

    css: str
    sign: str
    word: str
    reason: str


class Fact(NamedTuple):
    """One headline number."""

    name: str
    value: str
    note: str = ""


_BANNER = {"pass": ("✓", "Pass"), "fail": ("✗", "Fail"), "inconclusive": ("?", "Inconclusive")}


def verdict_of(view: ReportView) -> VerdictText:
    """The gate's verdict and why; without a gate, what the page is instead."""
    if view.gate is not None and view.gate.state in _BANNER:
        sign, word = _BANNER[view.gate.state]
        return VerdictText(view.gate.state, sign, word, view.gate.reason)
    failed = f" {plural(view.n_failed, 'answer')} failed." if view.n_failed else ""
    reason = "The suite has no gate, or none was decided: these are figures without a verdict."
    return VerdictText("none", "–", "No verdict", reason + failed)


def _computed(work: object) -> Fact | None:
    """Tokens that local models computed, beside those that the rows would have been, each for itself."""
    parts = [
        part
        for model in (work.values() if isinstance(work, Mapping) else ())
        for part in (model.values() if isinstance(model, Mapping) else ())
        if isinstance(part, Mapping)
    ]
    computed = sum(int(part.get("tokens_computed", 0)) for part in parts)
    unshared = sum(int(part.get("tokens_unshared", 0)) for part in parts)
    if not computed:
        return None
    plain = sorted({str(part["why_plain"]) for part in parts if "why_plain" in part})
    note = f"no prefix shared: {'; '.join(plain)}" if plain else f"of {amount(unshared)} without shared prefixes"
    return Fact("Tokens computed", amount(computed), note)


def facts_of(view: ReportView) -> list[Fact]:
    """Samples, answers, failures, time and tokens."""
    manifest, execution = view.manifest, view.manifest.execution

    def count(key: str) -> int | None:
        value = execution.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    n_samples = sum(task.n_samples for task in manifest.tasks)
    stored, asked, requests = count("n_from_store"), count("n_asked"), count("n_requests")
    facts = [
        Fact("Tasks × models", f"{len(view.tasks)} × {len({t.model for t in manifest.tasks})}"),
        Fact("Samples", amount(n_samples)),
        Fact(
            "Failed answers",
            amount(view.n_failed),
            f"{share(view.n_failed, view.n_answers)} of {amount(view.n_answers)}",
        ),
    ]
    if requests is not None and asked is not None:
        note = f"{amount(stored)} from the response store" if stored else ""
        facts.append(Fact("Requests asked", amount(asked), note))
    seconds = execution.get("seconds")
    if isinstance(seconds, int | float):
        facts.append(Fact("Took", duration(float(seconds))))
    if (computed := _computed(execution.get("work"))) is not None:
        facts.append(computed)
    tokens_in, tokens_out = count("input_tokens"), count("output_tokens")
    total = cost_total(manifest)
    if tokens_in or tokens_out:
        facts.append(Fact("Tokens in · out", f"{amount(tokens_in)} · {amount(tokens_out)}", _token_note(total)))
    if total is not None and total.cost != "none":
        facts.append(Fact("Cost", total.cost_text, spent_text(total).removeprefix(", ")))
    return facts


def _token_note(total: CostRow | None) -> str:
    """How many of the tokens were cached, and how many were spent on reasoning."""
    if total is None:
        return ""
    parts = ((total.cached_tokens, "cached"), (total.reasoning_tokens, "of reasoning"))
    return " · ".join(f"{amount(count)} {what}" for count, what in parts if count)


def interval_hint(view: ReportView) -> str:
    """At which confidence the intervals stand."""
    levels = {r.confidence for task in view.tasks for r in task.everything}
    if len(levels) == 1:
        return f"Intervals are at {100 * levels.pop():g} % confidence; their methods stand under Provenance."
    return "Their confidence and methods stand under Provenance."


def samples_hint(bundle: SampleBundle, run_id: str) -> str:
    """How many samples the page holds, which, and what brings the others in."""
    here, total = len(bundle.rows), bundle.total
    against = f" Beside each stands what {bundle.baseline} answered." if bundle.baseline else ""
    if here == total:
        return f"All {amount(total)} answers. Open one for its prompt, output, reference and scores.{against}"
    limit = f"{amount(here)} answers" if bundle.cut_by == "samples" else "the length of their texts"
    return (
        f"{amount(here)} of {amount(total)} answers, failed and wrong ones first: the page stops at {limit} to stay "
        f"quick. For all of them: evalharness report {run_id} --samples {total}; they are also in samples.parquet "
        f"beside this file.{against}"
    )


def repeat_command(view: ReportView) -> str:
    """The command that makes such a run again."""
    execution = view.manifest.execution
    recorded = execution.get("command")
    if isinstance(recorded, str) and recorded:
        return recorded
    limit = execution.get("limit")
    path = execution.get("suite_path")
    suite = shlex.quote(str(path)) if isinstance(path, str) else f"{view.manifest.name}.yaml"
    return f"evalharness run {suite}" + (f" --limit {limit}" if isinstance(limit, int) else "")
