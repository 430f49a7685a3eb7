"""What people's ratings say: agreement, means, shares and the ranking, in numbers and in every format."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from evalharness.record import Rating
from evalharness.report import make_console, print_summary, render_html, render_markdown
from evalharness.report.duels import duels_of
from evalharness.report.people import people_view
from evalharness.report.peopletext import people_facts, people_line
from evalharness.stats.agreement import cohen_kappa, krippendorff_alpha, weighted_kappa
from evalharness.stats.bradley_terry import bradley_terry

RUN = "quick-20261121-100000-abcd"


def scale(sample, rater, value, model="small", **more):
    return Rating(RUN, "summarise", model, sample, 0, rater, "scale", value=value, **more)


def label(sample, rater, said, model="small", **more):
    return Rating(RUN, "summarise", model, sample, 0, rater, "label", label=said, **more)


def pair(sample, rater, winner, models=("large", "small"), task="summarise", repeat=0):
    return Rating(RUN, task, models[0], sample, repeat, rater, "pairwise", label=winner, against=models[1])


def table_of(columns, k):
    table = np.zeros((k, k))
    for first, second in columns:
        table[first, second] += 1
    return table


SCORES = {  # sample: (anna, ben), of the model small; large is rated one higher by both
    "s0": (1, 1),
    "s1": (2, 2),
    "s2": (2, 3),
    "s3": (4, 4),
    "s4": (3, 1),
    "s5": (4, 3),
}
SCALE = [
    scale(sample, rater, float(value + (model == "large")), model)
    for model in ("small", "large")
    for sample, values in SCORES.items()
    for rater, value in zip(("anna", "ben"), values, strict=True)
]
UNITS = np.array(
    [
        [value + more for more in (0, 1) for value, _ in SCORES.values()],
        [v + more for more in (0, 1) for _, v in SCORES.values()],
    ],
    dtype=float,
)


def test_agreement_on_a_scale():
    (view,) = people_view(SCALE)
    assert (view.task, view.question, view.n_raters, view.n_rated, view.n_ratings) == ("summarise", "scale", 2, 12, 24)
    a = view.agreement
    assert a.n_shared == 12
    assert a.percent == pytest.approx(np.mean(UNITS[0] == UNITS[1]))
    assert a.alpha == pytest.approx(krippendorff_alpha(UNITS, level="interval"), abs=1e-12)
    columns = [(int(x) - 1, int(y) - 1) for x, y in UNITS.T]
    assert a.kappa == pytest.approx(float(weighted_kappa(table_of(columns, 5), weights="quadratic")), abs=1e-12)
    assert a.alpha_low < a.alpha < a.alpha_high <= 1


def test_steps_that_nobody_chose_count():
    view = people_view(
        [
            scale(f"s{i}", r, v)
            for i, vs in enumerate([(1, 1), (1, 5), (5, 5), (4, 5)])
            for r, v in zip("ab", map(float, vs), strict=True)
        ]
    )[0]
    columns = [(0, 0), (0, 4), (4, 4), (3, 4)]
    assert view.agreement.kappa == pytest.approx(float(weighted_kappa(table_of(columns, 5), weights="quadratic")))


def test_means_by_model():
    (view,) = people_view(SCALE)
    small, large = view.results
    assert (small.model, large.model) == ("small", "large")
    assert small.value == pytest.approx(UNITS[:, :6].mean())
    assert large.value == pytest.approx(small.value + 1)
    assert small.n == 6  # answers, not ratings: two people on one answer are no two answers
    assert small.ci_low < small.value < small.ci_high
    assert small.bounds == (1.0, 5.0)
    assert small.ci_method == "score-t"


def test_repeats_of_a_sample_are_a_cluster():
    ratings = [
        Rating(RUN, "t", "m", f"s{i}", repeat, "anna", "scale", value=float(i % 3))
        for i in range(12)
        for repeat in range(5)
    ]
    (view,) = people_view(ratings)
    (result,) = view.results
    assert (result.n, result.ci_method) == (60, "cluster-score-t")
    once = people_view([r for r in ratings if r.repeat == 0])[0].results[0]
    assert (result.ci_low, result.ci_high) == pytest.approx((once.ci_low, once.ci_high), abs=1e-9)


def test_agreement_on_labels():
    said = {"s0": ("good", "good"), "s1": ("bad", "good"), "s2": ("bad", "bad"), "s3": ("odd", "odd")}
    (view,) = people_view([label(s, r, x) for s, xs in said.items() for r, x in zip("ab", xs, strict=True)])
    numbers = {"good": 0, "bad": 1, "odd": 2}
    columns = [(numbers[x], numbers[y]) for x, y in said.values()]
    a = view.agreement
    assert a.percent == 0.75
    assert a.kappa == pytest.approx(float(cohen_kappa(table_of(columns, 3))))
    assert a.alpha == pytest.approx(krippendorff_alpha(np.array(columns).T, level="nominal"))
    assert [(r.metric, r.value) for r in view.results] == [("good", 0.375), ("bad", 0.375), ("odd", 0.25)]
    assert all(0 <= r.ci_low <= r.value <= r.ci_high <= 1 for r in view.results)


def test_shares_of_one_rater_have_wilsons_interval():
    (view,) = people_view([label(f"s{i}", "a", "good") for i in range(10)])
    (result,) = view.results
    assert (result.value, result.ci_method) == (1.0, "wilson")
    assert 0.7 < result.ci_low < 0.8


def test_three_raters_have_no_kappa():
    ratings = [scale(f"s{i}", rater, float(i % 4)) for i in range(8) for rater in ("a", "b", "c")]
    (view,) = people_view(ratings)
    assert math.isnan(view.agreement.kappa)
    assert view.agreement.alpha == 1
    assert view.agreement.percent == 1


def test_one_rater_agrees_with_nobody():
    (view,) = people_view([scale(f"s{i}", "anna", 3.0) for i in range(4)])
    assert view.agreement.n_shared == 0
    assert math.isnan(view.agreement.percent)
    assert "nothing was rated by two people" in str(people_facts(view))
    assert "α" not in people_line(view)


def test_all_alike_has_no_alpha_and_no_interval():
    """Chance alone agrees here, and four threes do not say that a fifth answer would get one."""
    (view,) = people_view([scale(f"s{i}", r, 3.0) for i in range(4) for r in "ab"])
    assert view.agreement.percent == 1
    assert math.isnan(view.agreement.alpha)
    assert math.isnan(view.agreement.kappa)
    assert math.isnan(view.results[0].ci_low)
    assert "all ratings are alike" in str(people_facts(view))


def test_half_steps_have_no_kappa_but_an_alpha():
    (view,) = people_view([scale(f"s{i}", r, i / 2) for i in range(5) for r in "ab"])
    assert math.isnan(view.agreement.kappa)
    assert view.agreement.alpha == 1


def test_the_last_rating_counts_and_comments_do_not():
    ratings = [
        scale("s0", "anna", 1.0),
        scale("s0", "anna", 5.0),
        scale("s1", "anna", None, comment="what is this?"),
        label("s1", "anna", None),
    ]
    (view,) = people_view(ratings)
    assert (view.n_rated, view.results[0].value) == (1, 5.0)


def test_questions_are_kept_apart():
    ratings = [
        scale("s0", "a", 1.0, asked="Is it true?"),
        scale("s0", "a", 5.0, asked="Is it short?"),
        label("s0", "a", "x"),
    ]
    assert [(v.question, v.asked, v.results[0].value) for v in people_view(ratings)] == [
        ("scale", "Is it true?", 1.0),
        ("scale", "Is it short?", 5.0),
        ("label", "", 1.0),
    ]


def test_alphas_interval_resamples_samples():
    """Ten repeats of a sample that agree alike are no more evidence than one."""
    rng = np.random.default_rng(0)
    values = [(float(rng.integers(1, 6)), float(rng.integers(1, 6))) for _ in range(20)]
    many = [
        Rating(RUN, "t", "m", f"s{i}", repeat, rater, "scale", value=value)
        for i, pair_ in enumerate(values)
        for repeat in range(10)
        for rater, value in zip("ab", pair_, strict=True)
    ]
    few = people_view([r for r in many if r.repeat == 0])[0].agreement
    all_ = people_view(many)[0].agreement
    assert all_.alpha_high - all_.alpha_low == pytest.approx(few.alpha_high - few.alpha_low, rel=0.05)


# ── pairs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def ranked():
    """Three models: large over medium over small, with ties; two raters that agree but for one verdict."""
    ratings = []
    for i in range(30):
        for models, wins in ((("large", "medium"), 0.7), (("medium", "small"), 0.6), (("large", "small"), 0.8)):
            winner = "tie" if i % 10 == 9 else models[0] if (i % 9) / 9 < wins else models[1]
            ratings += [pair(f"s{i}", rater, winner, models) for rater in ("anna", "ben")]
    return [*ratings[:-1], pair("s29", "ben", "large", ("large", "small"))]


def test_the_ranking_is_bradley_terrys():
    (view,) = people_view(ranked())
    assert [r.model for r in view.results] == ["large", "medium", "small"]
    assert view.n_rated == 90
    wins = np.zeros((3, 3))
    names = ["large", "medium", "small"]
    for r in ranked():
        one, other = names.index(r.model), names.index(r.against)
        if r.label == "tie":
            wins[one, other] += 0.5
            wins[other, one] += 0.5
        else:
            winner = names.index(r.label)
            wins[winner, other if winner == one else one] += 1
    fit = bradley_terry(wins)
    assert [r.value for r in view.results] == pytest.approx(fit.elo.tolist(), abs=1e-6)
    # Both raters say nearly the same: the interval is that of 90 verdicts, not of 180.
    width = view.results[0].ci_high - view.results[0].ci_low
    plain = 2 * 1.96 * fit.standard_errors[0] * 400 / math.log(10)
    assert 1.1 * plain < width < 2 * plain
    assert view.duels.score("large") == (
        sum(r.label == "large" for r in ranked()),
        11,
        sum("large" in (r.model, r.against) and r.label not in ("large", "tie") for r in ranked()),
    )
    assert view.agreement.alpha > 0.9
    assert view.notes == ()


def test_the_mean_model_has_no_points_but_zero():
    """Not −1.42e-14."""
    games = [("a", "b", 110, 23), ("b", "c", 110, 23), ("a", "c", 95, 31)]
    verdicts = [
        (f"s{i}", one, other, winner)
        for one, other, won, lost in games
        for i, winner in enumerate([one] * won + [other] * lost)
    ]
    found = duels_of("t", verdicts)
    assert found.results[1].value == 0
    assert str(found.results[1].value) == "0.0"


def test_sides_do_not_matter():
    """Whichever of a pair is called `model`, the two ratings are of the same pair."""
    ratings = [pair("s0", "a", "x", ("x", "y")), pair("s0", "b", "x", ("y", "x")), pair("s1", "a", "y", ("y", "x"))]
    (view,) = people_view(ratings)
    assert view.n_rated == 2
    assert view.agreement.percent == 1


def test_a_model_that_always_wins_has_a_cautious_strength():
    (view,) = people_view([pair(f"s{i}", "a", "large") for i in range(6)])
    assert all(math.isfinite(v) for r in view.results for v in (r.value, r.ci_low, r.ci_high))
    assert view.results[0].model == "large"
    assert "half a win is added" in view.notes[0]


def test_models_that_never_met_are_not_ranked():
    ratings = [pair("s0", "a", "x", ("x", "y")), pair("s0", "a", "v", ("v", "w"))]
    (view,) = people_view(ratings)
    assert view.results == ()
    assert "no ranking" in view.notes[0]
    assert "v, w | x, y" in view.notes[0]
    assert [m for m, _ in view.duels.scores] == ["v", "x", "w", "y"]


def test_a_winner_that_did_not_take_part_is_left_out():
    assert people_view([pair("s0", "a", "nobody"), pair("s0", "a", None), pair("s0", "a", "x", ("x", "x"))]) == ()


def test_no_verdicts():
    assert duels_of("t", []).results == ()


# ── formats ───────────────────────────────────────────────────────────────────────────────────────────────────────

EVERYTHING = [
    *(r for r in SCALE),
    *(label(f"s{i}", r, "good" if i % 3 else "bad", asked="Good?") for i in range(6) for r in "ab"),
    *ranked(),
    pair("s0", "a", "x", ("x", "y"), task="other"),
    pair("s0", "a", "v", ("v", "w"), task="other"),
]
XSS = "<script>window.hacked=1</script>"


def test_html(make_record):
    text = render_html(make_record(), ratings=EVERYTHING)
    for part in (
        'id="people"',
        "Ratings by people",
        "Krippendorff’s α",
        "quadratic weights",
        "Elo",
        "Good?",
        "no ranking",
    ):
        assert part in text, part
    assert 'id="people"' not in render_html(make_record(run_id="other"))


def test_html_escapes(make_record):
    hostile = [
        Rating(RUN, XSS, XSS, "s", 0, XSS, "label", label=XSS, asked=XSS),
        Rating(RUN, XSS, XSS, "s", 0, XSS, "pairwise", label=XSS, against="b", asked=XSS),
    ]
    assert XSS not in render_html(make_record(), ratings=hostile)


def test_markdown(make_record):
    text = render_markdown(make_record(), ratings=EVERYTHING)
    assert "## Ratings by people" in text
    assert "### summarise (scale)" in text
    assert "| mean rating | small | 2.500 |" in text
    assert "### summarise (label): Good?" in text
    assert re.search(r"\| Elo \| large \| \d+ \| \[−?\d+, \d+\] \|", text)
    assert "| v | 1 | 0 | 0 |" in text
    assert "Ratings by people" not in render_markdown(make_record(run_id="other"))
    hostile = [Rating(RUN, "a|b", "*m*", "s", 0, "r", "label", label="<b>")]
    assert "| &lt;b&gt; | \\*m\\* |" in render_markdown(make_record(run_id="third"), ratings=hostile)


def test_console(make_record):
    out = io.StringIO()
    print_summary(make_record(), console=make_console(out, width=400), ratings=EVERYTHING)
    lines = [line.strip() for line in out.getvalue().splitlines() if "people (" in line]
    assert len(lines) == 4
    assert lines[0].startswith("summarise · people (scale): 2 raters, 24 ratings; agreement 50 %, α 0.")
    assert "small 2.500 [" in lines[0]
    assert "no ranking" in lines[3]
    assert people_line(people_view(SCALE)[0]) == lines[0]


def test_without_ratings_nothing_is_loaded_that_reckons_them():
    code = (
        "import sys, evalharness.report.html, evalharness.report.markdown, evalharness.report.console\n"
        "print([m for m in sys.modules if m.startswith('evalharness.report.people')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
