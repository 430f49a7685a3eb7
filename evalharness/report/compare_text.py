"""A comparison in words and rounded figures: what its tables on a terminal, in Markdown and on the page share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..compare.attributions import AttributionDrift, WordChange
from ..compare.compression import CompressionRow
from ..compare.result import CORRECTIONS, ChangedSample, ComparedFigure, Comparison, Section
from .text import MISSING, amount, figure, interval, plural, share, single_line

__all__ = [
    "SECTIONS",
    "Row",
    "attribution_text",
    "changed_by_figure",
    "changes_text",
    "compression_text",
    "differs_text",
    "headline",
    "how_text",
    "p_text",
    "pairs_text",
    "rows_of",
    "signed",
    "summary_text",
    "won_text",
]

SECTIONS: tuple[tuple[Section, str], ...] = (
    ("figures", "Figures"),
    ("groups", "Groups"),
    ("operations", "Time, tokens and states"),
)
_DIFFERS = {"prompt": "prompts", "generation": "decoding settings"}
_SIGNS = {"better": "✓", "worse": "✗", "changed sides": "↔", "no difference shown": "·", "nothing to compare": "–"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, as text; `of` is the figure itself."""

    of: ComparedFigure
    task: str
    metric: str
    candidate: str
    way: str
    baseline: str
    value: str
    difference: str
    interval: str
    p: str
    counts: str
    flips: str
    effect: str
    n: str
    alone: str
    sign: str


def rows_of(comparison: Comparison, section: Section) -> list[Row]:
    """The lines of one table: the figures of all candidates, those of the same figure together."""
    several = len(comparison.candidates) > 1
    models = len({f.model for f in comparison.figures}) > 1 or any(
        f.model != f.baseline_model for f in comparison.figures
    )
    wanted = [f for f in comparison.of(section) if section != "operations" or _is_something(f)]
    order = {key: i for i, key in enumerate(dict.fromkeys(_key(f) for f in wanted))}
    figures = sorted(wanted, key=lambda f: order[_key(f)])
    return [_row(f, several=several, models=models) for f in figures]


def _is_something(one: ComparedFigure) -> bool:
    """Rates that are 0 on both sides, and costs that nobody knows, are not worth a line."""
    return any(v != 0 and not math.isnan(v) for v in (one.value, one.baseline))


def _key(one: ComparedFigure) -> tuple[str, str, str | None]:
    return one.task, one.metric, one.group


def _row(one: ComparedFigure, *, several: bool, models: bool) -> Row:
    candidate = one.candidate if several else ""
    if models and one.model not in candidate:
        candidate = f"{candidate} · {one.model}" if candidate else one.model
    return Row(
        of=one,
        task=one.task,
        metric=one.metric if one.group is None else f"{one.metric} · {one.group}",
        candidate=candidate,
        way="↑" if one.higher_is_better else "↓",
        baseline=figure(one.baseline, like=one.value),
        value=figure(one.value),
        difference=signed(one.difference, like=_scale(one)),
        interval=interval(one.low, one.high, like=_scale(one)),
        p=p_text(one.adjusted_p),
        counts=pairs_text(one),
        flips=""
        if one.right_to_wrong is None
        else f"{amount(one.wrong_to_right)} → ✓ · {amount(one.right_to_wrong)} → ✗",
        effect=""
        if not one.effect_name or math.isnan(one.effect)
        else f"{one.effect_name} {signed(one.effect, like=1)}",
        n=amount(one.n_paired),
        alone=_alone(one),
        sign=_SIGNS[one.finding],
    )


def _scale(one: ComparedFigure) -> float:
    """What decides the decimals of a difference: about those of the figure itself."""
    return max(abs(v) for v in (one.difference, one.value / 3, 1e-9) if math.isfinite(v))


def signed(value: float, *, like: float | None = None) -> str:
    """`value` with its sign: +0.024, −1.20, 0; — where there is none."""
    if math.isnan(value):
        return MISSING
    # What is nothing beside the figure is shown as nothing, not as 1e-09.
    text = figure(0.0 if like is not None and abs(value) < 1e-6 * like else value, like=like)
    return f"+{text}" if value > 0 and any(c in "123456789∞" for c in text) else text


def p_text(p: float) -> str:
    """A p-value with three digits, never 0."""
    if math.isnan(p):
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def pairs_text(one: ComparedFigure) -> str:
    """How many samples got better, worse, and stayed."""
    if not _tells_samples(one):
        return MISSING
    return f"{amount(one.wins)} / {amount(one.losses)} / {amount(one.ties)}"


def won_text(one: ComparedFigure) -> str:
    """How many samples got better, and worse."""
    return f"+{amount(one.wins)} −{amount(one.losses)}" if _tells_samples(one) else MISSING


def _tells_samples(one: ComparedFigure) -> bool:
    """Whether the samples have values of their own: MCC is 0 of each of them, and does not say which changed."""
    return bool(one.n_paired) and (one.wins + one.losses > 0 or one.difference == 0)


def _alone(one: ComparedFigure) -> str:
    parts = [
        f"{amount(count)} {where}"
        for count, where in (
            (one.n_only_candidate, "only here"),
            (one.n_only_baseline, "only in the baseline"),
            (one.n_missing, "without an answer here"),
            (one.n_missing_baseline, "without one in the baseline"),
        )
        if count
    ]
    return ", ".join(parts)


def headline(comparison: Comparison) -> str:
    """What is compared with what."""
    names = [side.label for side in comparison.candidates]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} against {comparison.baseline.label}"


def differs_text(comparison: Comparison) -> str:
    """That prompts or decoding settings differ, where they do; "" else."""
    if not comparison.differs:
        return ""
    names = [_DIFFERS.get(name, name) for name in comparison.differs]
    what = " and ".join(names)
    paired = " Samples are paired by their ids; their targets and references agree." if "prompts" in names else ""
    return f"The {what} differ: what follows compares {what}, not models alone.{paired}"


def summary_text(comparison: Comparison) -> str:
    """How many of the figures got better and worse."""
    found = [one.finding for one in comparison.of("figures")]
    parts = [
        f"{found.count(word)} {word}"
        for word in ("better", "worse", "changed sides", "no difference shown", "nothing to compare")
        if word in found
    ]
    return f"{plural(len(found), 'figure')}: {', '.join(parts)}" if found else "no figures"


def how_text(comparison: Comparison) -> str:
    """How the numbers came about, in two sentences."""
    level = f"{100 * comparison.confidence:g} %"
    name = CORRECTIONS[comparison.correction]
    adjusted = "p-values are not adjusted" if name == "none" else f"p-values are adjusted over the table ({name})"
    limit = f"{1 - comparison.confidence:.3g}"
    return (
        f"Figures are those of the samples that both have; intervals are {level} of the paired difference. "
        f"{adjusted[0].upper()}{adjusted[1:]}; a difference counts as shown where p ≤ {limit}."
    )


_ASPECTS = {
    "retained": "",
    "flips": "answers that flipped",
    "kl": "KL(base ‖ candidate), nats a token",
    "same_top": "same likeliest token",
    "perplexity_ratio": "perplexity, candidate / base",
    "size": "weights in memory, candidate / base",
    "speed": "mean time an answer, candidate / base",
}
_COMPRESSION = ("candidate", "task", "what", "value", "interval", "n", "kept")


def attribution_text(comparison: Comparison) -> list[tuple[str, list[tuple[str, str, str, str]], str]]:
    """Of each task that both sides explain: (title, lines of name, figure, interval and n, the words that changed)."""
    several = len(comparison.candidates) > 1
    return [
        (
            f"{one.task} on {one.model}{_against(one)}{f' · {one.candidate}' if several else ''}",
            _drift_lines(one),
            ", ".join(
                f"“{single_line(word.word)}” {figure(word.baseline, like=_larger(word))} → "
                f"{figure(word.value, like=_larger(word))}"
                for word in one.words
            ),
        )
        for one in comparison.attributions
    ]


def _against(one: AttributionDrift) -> str:
    return "" if one.model == one.baseline_model else f" against {one.baseline_model}"


def _larger(word: WordChange) -> float:
    return max(abs(word.value), abs(word.baseline))


def _drift_lines(one: AttributionDrift) -> list[tuple[str, str, str, str]]:
    n = f"{one.n:,}"
    lines = [
        (
            "rank correlation (Spearman)",
            figure(one.spearman),
            _ends(one.spearman_low, one.spearman_high, one.spearman),
            n,
        ),
        ("rank correlation (Kendall)", figure(one.kendall), _ends(one.kendall_low, one.kendall_high, one.kendall), n),
        ("same most important word", share(one.same_top * one.n, one.n) if one.n else MISSING, "", n),
    ]
    if one.n_mass:
        change = one.mass - one.mass_baseline
        said = f"{figure(one.mass_baseline)} → {figure(one.mass)} ({'+' if change > 0 else ''}{figure(change)}"
        ends = _ends(one.mass_low, one.mass_high, change)
        lines.append(("share on identity terms", f"{said}, p {p_text(one.mass_p)})", ends, f"{one.n_mass:,}"))
    if one.n_other_output:
        lines.append(("texts with another output explained", f"{one.n_other_output:,}", "", ""))
    return lines


def _ends(low: float, high: float, like: float) -> str:
    return interval(low, high, like=like)


def compression_text(comparison: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, lines) of the preset `compression`; the candidate is named where there are several."""
    first = 0 if len(comparison.candidates) > 1 else 1
    return _COMPRESSION[first:], [_compression(row)[first:] for row in comparison.compression]


def _compression(row: CompressionRow) -> tuple[str, ...]:
    span = MISSING if math.isnan(row.low) else interval(row.low, row.high, like=row.value)
    if row.aspect == "retained":
        what, value = f"{row.metric}, difference", signed(row.value)
        said = {"kept": "✓ kept", "lost": "✗ lost", "open": "· open"}[row.kept or "open"]
        return row.candidate, row.task, what, value, span, amount(row.n), f"{said} (margin {figure(row.margin or 0)})"
    n = f"{row.n / 2**20:,.0f} MiB" if row.aspect == "size" else amount(row.n)
    what = _ASPECTS[row.aspect] if row.aspect != "flips" else f"{row.metric}, {_ASPECTS['flips']}"
    return row.candidate, row.task, what, figure(row.value), span, n, ""


def changes_text(one: ComparedFigure) -> str:
    """How many samples changed, and which way."""
    if one.right_to_wrong is None or one.wrong_to_right is None:
        return f"{one.losses:,} worse, {one.wins:,} better"
    return f"{one.right_to_wrong:,} right to wrong, {one.wrong_to_right:,} wrong to right"


def changed_by_figure(comparison: Comparison) -> Iterable[tuple[ComparedFigure, Sequence[ChangedSample]]]:
    """The figures that have changed samples, with them."""
    for one in comparison.of("figures"):
        own = [
            c
            for c in comparison.changed
            if (c.task, c.metric, c.model, c.candidate) == (one.task, one.metric, one.model, one.candidate)
        ]
        if own:
            yield one, own
