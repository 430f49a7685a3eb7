"""A gate as Markdown for people who review a change: the verdict first, then why, then each rule and what changed."""

from __future__ import annotations

from typing import Final

from ..compare.pairing import Pairing
from ..core.types import Verdict
from .decide import show
from .marks import SIGNS, code, inline, sign_of
from .outcome import GateOutcome
from .readings import readings
from .strips import strips

__all__ = ["comment_markdown", "gate_markdown", "marker_of"]

# GitHub refuses a comment of more than 65,536 characters.
_LONGEST: Final = 60_000
_RULES: Final = 60
_REASONS: Final = 20


def marker_of(suite: str) -> str:
    """What a comment begins with, unseen, so that the next run finds it and takes its place."""
    kept = "".join(c if c.isalnum() or c in "._-" else f"%{ord(c):X}" for c in suite).replace("--", "-%2D")
    return f"<!-- evalharness gate of {kept} -->"


def comment_markdown(outcome: GateOutcome, *, suite: str, chart: str | None = None, linked: bool = False) -> str:
    """The comment; `chart` is the name of the SVG beside it, or with `linked` the address that shows it."""
    lines = [marker_of(suite), gate_markdown(outcome, suite=suite)]
    if chart and linked:
        lines += [f"![Each rule's figure and interval beside its limit](<{_address(chart)}>)", ""]
    elif chart:
        lines += [f"<sub>The same as a picture: {code(chart)}, kept beside this comment's file.</sub>", ""]
    return "\n".join(lines)


def gate_markdown(outcome: GateOutcome, *, suite: str) -> str:
    """Verdict, reason, table of rules, changes against the baseline and a chart in characters; shortened if need be."""
    rules = _RULES
    text = _markdown(outcome, suite=suite, rules=rules, reasons=_REASONS)
    while len(text) > _LONGEST and rules > 1:
        rules //= 2
        text = _markdown(outcome, suite=suite, rules=rules, reasons=min(rules, _REASONS))
    return text


def _markdown(outcome: GateOutcome, *, suite: str, rules: int, reasons: int) -> str:
    sign, _, word = SIGNS[outcome.state].partition(" ")
    lines = [f"### {sign} Gate of {inline(suite, limit=100)}: {word}", "", inline(outcome.reason), ""]
    against = f" against {code(outcome.baseline_id)}" if outcome.baseline_id else ""
    lines += [f"Run {code(outcome.run_id)}{against}. {_counts(outcome)}", ""]
    if not outcome.verdicts:
        return "\n".join(lines)
    ordered = [reading.verdict for reading in readings(outcome)]
    lines += _rules_table(ordered[:rules], outcome.confidence)
    if len(ordered) > rules:
        lines += [f"… and {len(ordered) - rules:,} more rules; all stand in the report.", ""]
    missed = [v for v in ordered if v.state != "pass" and v.reason != outcome.reason]
    if missed:
        lines += ["**Why**", "", *(f"- {sign_of(v)}: {inline(v.reason)}" for v in missed[:reasons])]
        lines += [f"- … and {len(missed) - reasons:,} more"] if len(missed) > reasons else []
        lines.append("")
    lines += _changes(outcome, rules)
    lines += _chart(outcome, rules)
    return "\n".join(lines)


def _counts(outcome: GateOutcome) -> str:
    n = len(outcome.verdicts)
    if not n:
        return "It has no rules."
    held = sum(v.state == "pass" for v in outcome.verdicts)
    if held == n:
        return "Its one rule holds." if n == 1 else f"All {n:,} rules hold."
    return f"{held:,} of {n:,} rules hold."


def _rules_table(verdicts: list[Verdict], confidence: float) -> list[str]:
    return [
        f"| verdict | rule | value | {100 * confidence:g} % interval | n |",
        "|---|---|--:|:-:|--:|",
        *(
            f"| {sign_of(v)} | {code(v.rule, cell=True)} | {_figure(v.value, v.limit)} "
            f"| {_interval(v.ci_low, v.ci_high)} | {v.n:,} |"
            for v in verdicts
        ),
        "",
    ]


def _figure(value: float, beside: float | None = None) -> str:
    # NaN is the only number that is not itself.
    return show(value, beside) if value == value else "—"


def _interval(low: float, high: float) -> str:
    return "—" if low != low or high != high else f"[{show(low)}, {show(high)}]"


def _changes(outcome: GateOutcome, most: int) -> list[str]:
    # Several rules may ask of one figure.
    compared = {
        _compared_figure(v): (v, p) for v, p in zip(outcome.verdicts, outcome.pairings, strict=True) if p is not None
    }
    if not compared:
        return []
    level = f"{100 * next(iter(compared.values()))[1].confidence:g} %"
    return [
        "**Against the baseline**, on the samples that both runs have; a change above 0 is for the better",
        "",
        f"| figure | baseline | now | change, {level} interval | samples worse / same / better |",
        "|---|--:|--:|--:|:-:|",
        *(_change(name, v, p) for name, (v, p) in list(compared.items())[:most]),
        "",
    ]


def _compared_figure(verdict: Verdict) -> str:
    """The figure with its model and group, which stand behind the rule's condition."""
    behind = verdict.rule.partition(" · ")[2] or verdict.model
    return f"{verdict.task}.{verdict.metric} · {behind}"


def _change(name: str, verdict: Verdict, pairing: Pairing) -> str:
    before = "—" if verdict.baseline_value is None else show(verdict.baseline_value, verdict.value)
    change = 0.0 - pairing.regression  # and not −0
    moved = f"+{show(change)}" if change > 0 else _figure(change)
    if pairing.low == pairing.low and pairing.high == pairing.high:
        moved += f" [{show(0.0 - pairing.high)}, {show(0.0 - pairing.low)}]"
    same = pairing.n_paired - pairing.n_worse - pairing.n_better
    counts = f"{pairing.n_worse:,} / {same:,} / {pairing.n_better:,}" if pairing.tells_samples else "—"
    now = _figure(verdict.value, verdict.baseline_value)
    return f"| {code(name, cell=True)} | {before} | {now} | {moved} | {counts} |"


def _chart(outcome: GateOutcome, most: int) -> list[str]:
    drawn = strips(outcome, most=most)
    # Longer than any run of backticks in it, so that no name ends the block.
    fence = "`" * max(3, 1 + max(map(len, "".join(c if c == "`" else " " for c in drawn).split()), default=0))
    return [
        "<details><summary>Each figure with its interval beside its limit</summary>",
        "",
        f"{fence}text",
        drawn,
        fence,
        "",
        "The line in the middle is the limit; right of it a rule holds. Figures of one metric share a scale.",
        "",
        "</details>",
        "",
    ]


def _address(url: str) -> str:
    return "".join(c for c in url if c.isprintable() and c not in '<> "\\`')
