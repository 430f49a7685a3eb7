"""A comparison in words and rounded figures: what its tables on a terminal, in Markdown and on the page share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..compare.attributions import AttributionDrift, WordChange
from ..compare.compression import CompressionRow
from ..compare.result import CORRECTIONS, ChangedSample, ComparedFigure, Comparison, Section
from ..core.language import t
from .text import MISSING, amount, figure, interval, level_of, listed, plural, share, single_line

__all__ = [
    "ASPECTS",
    "COMPRESSION_HEADS",
    "DIFFERS",
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
DIFFERS = {"prompt": "prompts", "generation": "decoding settings"}
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
    larger = max((abs(v) for v in (one.value, one.baseline) if math.isfinite(v)), default=0.0)
    return Row(
        of=one,
        task=one.task,
        metric=one.metric if one.group is None else f"{one.metric} · {one.group}",
        candidate=candidate,
        way=f"→ {one.best:g}" if one.best is not None else "↑" if one.higher_is_better else "↓",
        baseline=figure(one.baseline, like=larger),
        value=figure(one.value, like=larger),
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
    """What decides the decimals of a difference: about those of the figure itself, of nothing those of its interval."""
    by_figure = max(
        (abs(v) for v in (one.difference, one.value / 3, one.low / 3, one.high / 3) if math.isfinite(v)), default=0.0
    )
    return by_figure or max((abs(v) for v in (one.low, one.high, 1e-9) if math.isfinite(v)), default=0.0)


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
    said = (
        (one.n_only_candidate, t("%(n)s only here", n=amount(one.n_only_candidate))),
        (one.n_only_baseline, t("%(n)s only in the baseline", n=amount(one.n_only_baseline))),
        (one.n_missing, t("%(n)s without an answer here", n=amount(one.n_missing))),
        (one.n_missing_baseline, t("%(n)s without one in the baseline", n=amount(one.n_missing_baseline))),
    )
    return t(", ").join(text for count, text in said if count)


def headline(comparison: Comparison) -> str:
    """What is compared with what."""
    names = listed([side.label for side in comparison.candidates])
    return t("%(candidates)s against %(baseline)s", candidates=names, baseline=comparison.baseline.label)


def differs_text(comparison: Comparison) -> str:
    """That prompts or decoding settings differ, where they do; "" else."""
    if not comparison.differs:
        return ""
    names = [DIFFERS.get(name, name) for name in comparison.differs]
    what = listed([t(name) for name in names])
    said = t("The %(what)s differ: what follows compares %(what)s, not models alone.", what=what)
    if "prompts" in names:
        said += t(" Samples are paired by their ids; their targets and references agree.")
    return said


def summary_text(comparison: Comparison) -> str:
    """How many of the figures got better and worse."""
    found = [one.finding for one in comparison.of("figures")]
    parts = [
        t("%(n)s %(finding)s", n=found.count(word), finding=t(word))
        for word in ("better", "worse", "changed sides", "no difference shown", "nothing to compare")
        if word in found
    ]
    if not found:
        return t("no figures")
    return t("%(figures)s: %(counts)s", figures=plural(len(found), "figure"), counts=t(", ").join(parts))


def how_text(comparison: Comparison) -> str:
    """How the numbers came about, in two sentences."""
    name = CORRECTIONS[comparison.correction]
    first = t(
        "Figures are those of the samples that both have; intervals are %(level)s of the paired difference.",
        level=level_of(comparison.confidence),
    )
    limit = f"{1 - comparison.confidence:.3g}"
    if name == "none":
        second = t(
            "P-values are not adjusted; a difference counts as shown where p ≤ %(limit)s and "
            "the interval leaves out 0.",
            limit=limit,
        )
    else:
        second = t(
            "P-values are adjusted over the table (%(correction)s); a difference counts as shown where p ≤ %(limit)s "
            "and the interval leaves out 0.",
            correction=name,
            limit=limit,
        )
    return t("%(first)s %(second)s", first=first, second=second)


ASPECTS = {
    "retained": "",
    "flips": "answers that flipped",
    "kl": "KL(base ‖ candidate), nats a token, at least",
    "shared": "share of the base's probability told by both",
    "same_top": "same likeliest token",
    "perplexity_ratio": "perplexity, candidate / base",
    "size": "weights in memory, candidate / base",
    "speed": "mean time an answer, candidate / base",
}
COMPRESSION_HEADS = ("candidate", "task", "what", "value", "interval", "n", "kept")


def attribution_text(comparison: Comparison) -> list[tuple[str, list[tuple[str, str, str, str]], str]]:
    """Of each task that both sides explain: (title, lines of name, figure, interval and n, the words that changed)."""
    several = len(comparison.candidates) > 1
    return [
        (
            f"{_whose(one)}{f' · {one.candidate}' if several else ''}",
            _drift_lines(one),
            ", ".join(
                f"“{single_line(word.word)}” {figure(word.baseline, like=_larger(word))} → "
                f"{figure(word.value, like=_larger(word))}"
                for word in one.words
            ),
        )
        for one in comparison.attributions
    ]


def _whose(one: AttributionDrift) -> str:
    if one.model == one.baseline_model:
        return t("%(task)s on %(model)s", task=one.task, model=one.model)
    return t("%(task)s on %(model)s against %(baseline)s", task=one.task, model=one.model, baseline=one.baseline_model)


def _larger(word: WordChange) -> float:
    return max(abs(word.value), abs(word.baseline))


def _drift_lines(one: AttributionDrift) -> list[tuple[str, str, str, str]]:
    n = f"{one.n:,}"
    lines = [
        (
            t("rank correlation (Spearman)"),
            figure(one.spearman),
            _ends(one.spearman_low, one.spearman_high, one.spearman),
            n,
        ),
        (
            t("rank correlation (Kendall)"),
            figure(one.kendall),
            _ends(one.kendall_low, one.kendall_high, one.kendall),
            n,
        ),
        (t("same most important word"), share(one.same_top * one.n, one.n) if one.n else MISSING, "", n),
    ]
    if one.n_mass:
        change = one.mass - one.mass_baseline
        said = f"{figure(one.mass_baseline)} → {figure(one.mass)} ({'+' if change > 0 else ''}{figure(change)}"
        ends = _ends(one.mass_low, one.mass_high, change)
        lines.append((t("share on identity terms"), f"{said}, p {p_text(one.mass_p)})", ends, f"{one.n_mass:,}"))
    if one.n_other_output:
        lines.append((t("texts with another output explained"), f"{one.n_other_output:,}", "", ""))
    return lines


def _ends(low: float, high: float, like: float) -> str:
    return interval(low, high, like=like)


def compression_text(comparison: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, lines) of the preset `compression`; the candidate is named where there are several."""
    first = 0 if len(comparison.candidates) > 1 else 1
    return COMPRESSION_HEADS[first:], [_compression(row)[first:] for row in comparison.compression]


def _compression(row: CompressionRow) -> tuple[str, ...]:
    span = MISSING if math.isnan(row.low) else interval(row.low, row.high, like=row.value)
    if row.aspect == "retained":
        what, value = t("%(metric)s, difference", metric=row.metric), signed(row.value)
        said = {"kept": t("✓ kept"), "lost": t("✗ lost"), "open": t("· open")}[row.kept or "open"]
        said = t("%(finding)s (margin %(margin)s)", finding=said, margin=figure(row.margin or 0))
        return row.candidate, row.task, what, value, span, amount(row.n), said
    n = f"{row.n / 2**20:,.0f} MiB" if row.aspect == "size" else amount(row.n)
    what = t(ASPECTS[row.aspect])
    if row.aspect == "flips":
        what = t("%(metric)s, %(what)s", metric=row.metric, what=what)
    return row.candidate, row.task, what, figure(row.value), span, n, ""


def changes_text(one: ComparedFigure) -> str:
    """How many samples changed, and which way."""
    if one.right_to_wrong is None or one.wrong_to_right is None:
        return t("%(losses)s worse, %(wins)s better", losses=f"{one.losses:,}", wins=f"{one.wins:,}")
    return t(
        "%(lost)s right to wrong, %(won)s wrong to right",
        lost=f"{one.right_to_wrong:,}",
        won=f"{one.wrong_to_right:,}",
    )


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
