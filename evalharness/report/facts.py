"""The sentences and headline numbers of a report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..core.language import retold, t
from .costs import CostRow, cost_total, spent_text
from .samples import SampleBundle
from .text import amount, duration, level_of, plural, share
from .view import ReportView

if TYPE_CHECKING:
    from ..record import RunManifest

__all__ = ["BANNER", "Fact", "VerdictText", "facts_of", "interval_hint", "repeat_command", "samples_hint", "verdict_of"]


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


BANNER = {"pass": ("✓", "Pass"), "fail": ("✗", "Fail"), "inconclusive": ("?", "Inconclusive")}


def verdict_of(view: ReportView) -> VerdictText:
    """The gate's verdict and why; without a gate, what the page is instead."""
    if view.gate is not None and view.gate.state in BANNER:
        sign, word = BANNER[view.gate.state]
        return VerdictText(view.gate.state, sign, t(word), retold(view.gate.reason))
    reason = t("The suite has no gate, or none was decided: these are figures without a verdict.")
    failed = t(" %(answers)s failed.", answers=plural(view.n_failed, "answer")) if view.n_failed else ""
    return VerdictText("none", "–", t("No verdict"), reason + failed)


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
    note = (
        t("no prefix shared: %(why)s", why=t("; ").join(map(retold, plain)))
        if plain
        else t("of %(n)s without shared prefixes", n=amount(unshared))
    )
    return Fact(t("Tokens computed"), amount(computed), note)


def facts_of(view: ReportView) -> list[Fact]:
    """Samples, answers, failures, time and tokens."""
    manifest, execution = view.manifest, view.manifest.execution

    def count(key: str) -> int | None:
        value = execution.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    n_samples = sum(task.n_samples for task in manifest.tasks)
    stored, asked, requests = count("n_from_store"), count("n_asked"), count("n_requests")
    facts = [
        Fact(t("Tasks × models"), f"{len(view.tasks)} × {len({t.model for t in manifest.tasks})}"),
        Fact(t("Samples"), amount(n_samples)),
        Fact(
            t("Failed answers"),
            amount(view.n_failed),
            t("%(share)s of %(total)s", share=share(view.n_failed, view.n_answers), total=amount(view.n_answers)),
        ),
    ]
    if requests is not None and asked is not None:
        note = t("%(n)s from the response store", n=amount(stored)) if stored else ""
        facts.append(Fact(t("Requests asked"), amount(asked), note))
    seconds = execution.get("seconds")
    if isinstance(seconds, int | float):
        facts.append(Fact(t("Took"), duration(float(seconds))))
    if (computed := _computed(execution.get("work"))) is not None:
        facts.append(computed)
    tokens_in, tokens_out = count("input_tokens"), count("output_tokens")
    total = cost_total(manifest)
    if tokens_in or tokens_out:
        facts.append(Fact(t("Tokens in · out"), f"{amount(tokens_in)} · {amount(tokens_out)}", _token_note(total)))
    if total is not None and total.cost != "none":
        facts.append(Fact(t("Cost"), total.cost_text, spent_text(total)))
    return facts


def _token_note(total: CostRow | None) -> str:
    """How many of the tokens were cached, and how many were spent on reasoning."""
    if total is None:
        return ""
    parts = []
    if total.cached_tokens:
        parts.append(t("%(n)s cached", n=amount(total.cached_tokens)))
    if total.reasoning_tokens:
        parts.append(t("%(n)s of reasoning", n=amount(total.reasoning_tokens)))
    return " · ".join(parts)


def interval_hint(view: ReportView) -> str:
    """At which confidence the intervals stand."""
    levels = {r.confidence for task in view.tasks for r in task.everything}
    if len(levels) == 1:
        return t(
            "Intervals are at %(level)s confidence; their methods stand under Provenance.", level=level_of(levels.pop())
        )
    return t("Their confidence and methods stand under Provenance.")


def samples_hint(bundle: SampleBundle, run_id: str) -> str:
    """How many samples the page holds, which, and what brings the others in."""
    here, total = len(bundle.rows), bundle.total
    against = t(" Beside each stands what %(run)s answered.", run=bundle.baseline) if bundle.baseline else ""
    if here == total:
        said = t("All %(n)s answers. Open one for its prompt, output, reference and scores.", n=amount(total))
        return said + against
    by_count = bundle.cut_by == "samples"
    limit = t("%(n)s answers", n=amount(here)) if by_count else t("the length of their texts")
    said = t(
        "%(here)s of %(total)s answers, failed and wrong ones first: the page stops at %(limit)s to stay quick. For "
        "all of them: %(command)s; they are also in samples.parquet beside this file.",
        here=amount(here),
        total=amount(total),
        limit=limit,
        command=f"evalharness report {run_id} --samples {total}",
    )
    return said + against


def repeat_command(manifest: RunManifest) -> str:
    """The command that makes such a run again: its suite, and all that changed what was asked."""
    execution = manifest.execution
    path = execution.get("suite_path")
    parts = ["evalharness", "run", shlex.quote(str(path)) if isinstance(path, str) else f"{manifest.name}.yaml"]
    overrides = execution.get("overrides")
    for one in overrides if isinstance(overrides, list | tuple) else ():
        parts += ["--set", shlex.quote(str(one))]
    if isinstance(limit := execution.get("limit"), int):
        parts += ["--limit", str(limit)]
    if execution.get("allow_code"):
        parts.append("--allow-code")
    return " ".join(parts)
