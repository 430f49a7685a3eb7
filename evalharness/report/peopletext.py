"""What the reports say of people's ratings, in words and numbers."""

from __future__ import annotations

import math

from ..core.language import t
from ..core.types import MetricResult
from .duels import STRENGTH
from .facts import Fact
from .people import PeopleView
from .text import MISSING, amount, figure, interval, plural, share

__all__ = ["ALL_HINT", "KINDS", "figure_cells", "kind_of", "people_facts", "people_line", "ranking_hint"]

ALL_HINT = (
    "What people said of the answers, from the registry at the time of this report. Intervals speak of other samples, "
    "rated by the same people. α of 0.8 and more is commonly relied on, below 0.667 it is not (Krippendorff)."
)
KINDS = {"scale": "scale", "label": "label", "pairwise": "which is better"}


def kind_of(view: PeopleView) -> str:
    """What kind of question it was."""
    return KINDS.get(view.question, view.question)


def people_facts(view: PeopleView) -> list[Fact]:
    """The numbers above the table of a question."""
    a = view.agreement
    facts = [
        Fact(t("raters"), amount(view.n_raters)),
        Fact(
            t("pairs compared") if view.question == "pairwise" else t("answers rated"),
            amount(view.n_rated),
            _ratings(view),
        ),
    ]
    if not a.n_shared:
        return [*facts, Fact(t("agreement"), MISSING, t("nothing was rated by two people"))]
    facts.append(
        Fact(
            t("agreement"),
            share(a.percent, 1),
            t("equal pairs of ratings, over %(n)s rated by two or more", n=amount(a.n_shared)),
        )
    )
    if not math.isnan(a.kappa):
        facts.append(Fact(t("Cohen’s κ"), figure(a.kappa), t("quadratic weights") if view.question == "scale" else ""))
    note = interval(a.alpha_low, a.alpha_high, like=a.alpha)
    undefined = t("all ratings are alike") if math.isnan(a.alpha) else ""
    return [*facts, Fact(t("Krippendorff’s α"), figure(a.alpha), undefined or ("" if note == MISSING else note))]


def figure_cells(result: MetricResult) -> tuple[str, str]:
    """The figure and its interval; points of the Elo scale are whole numbers, whose zero is any other point."""
    like = 1000.0 if result.metric == STRENGTH else result.value
    return figure(result.value, like=like), interval(result.ci_low, result.ci_high, like=like)


def _ratings(view: PeopleView) -> str:
    return plural(view.n_ratings, "rating")


def ranking_hint(view: PeopleView) -> str:
    """How strengths are to be read; empty for other questions."""
    if view.question != "pairwise" or not view.results:
        return ""
    return t(
        "Bradley-Terry strengths in Elo points from the mean model, a tie being half a win: 100 points more win 64 % "
        "of comparisons, 200 points 76 %, 400 points 91 %."
    )


def people_line(view: PeopleView) -> str:
    """The question on one line: who rated how much, how far they agree, and the models."""
    a = view.agreement
    parts = [f"{view.task} · people ({kind_of(view)}): {plural(view.n_raters, 'rater')}, {_ratings(view)}"]
    if a.n_shared:
        bounds = interval(a.alpha_low, a.alpha_high, like=a.alpha)
        alpha = figure(a.alpha) + ("" if bounds == MISSING else f" {bounds}")
        parts.append(f"agreement {share(a.percent, 1)}, α {alpha}")
    if view.results:
        parts.append(" · ".join(_figures(view)))
    return "; ".join([*parts, *view.notes])


def _figures(view: PeopleView) -> list[str]:
    several = len({r.metric for r in view.results}) > 1
    return [
        " ".join([r.model, *([r.metric] if several else []), *(cell for cell in figure_cells(r) if cell != MISSING)])
        for r in view.results
    ]
