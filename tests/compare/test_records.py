import dataclasses
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from evalharness.compare.operands import compare
from evalharness.compare.records import _finding, compare_records
from evalharness.compare.subjects import Subject, labels_of
from evalharness.core.errors import NotComparableError, UsageError

from .conftest import GOLD, IDENTITY, texts

RIGHT_BEFORE, RIGHT_NOW = set(range(20)), set(range(5, 30))


@pytest.fixture
def before(make_run):
    return make_run(texts(60, right=RIGHT_BEFORE), run_id="before")


@pytest.fixture
def now(make_run):
    return make_run(texts(60, right=RIGHT_NOW, seed=1), run_id="now")


def row(comparison, metric, group=None, candidate=None):
    (found,) = [
        f for f in comparison.figures if (f.metric, f.group) == (metric, group) and candidate in (None, f.candidate)
    ]
    return found


def test_a_share_is_told_with_flips_tango_and_mcnemar(before, now):
    found = row(compare_records([now], before), "exact_match")
    assert (found.value, found.baseline, found.difference) == (25 / 60, 20 / 60, pytest.approx(5 / 60))
    assert (found.wins, found.losses, found.ties) == (10, 5, 45)
    assert (found.wrong_to_right, found.right_to_wrong) == (10, 5)
    assert found.low < 5 / 60 < found.high
    assert found.interval_method == "Tango score"
    # mid-p is the exact test less the probability of what was seen: Binomial(15, ½) at 5.
    exact = mcnemar([[15, 5], [10, 30]], exact=True).pvalue
    assert found.p_value == pytest.approx(exact - math.comb(15, 5) / 2**15)
    assert found.effect == pytest.approx(2 * (math.asin(math.sqrt(25 / 60)) - math.asin(math.sqrt(20 / 60))))
    assert (found.n_paired, found.n_missing, found.finding) == (60, 0, "no difference shown")


def test_a_mean_is_told_by_the_paired_t(before, now):
    from scipy.stats import ttest_rel

    found = row(compare_records([now], before), "token_f1")
    after, was = (run.scores(metric="token_f1")["value"].to_numpy() for run in (now, before))
    expected = ttest_rel(after, was)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.effect == pytest.approx(np.mean(after - was) / np.std(after - was, ddof=1))
    assert found.right_to_wrong is None


def test_a_corpus_figure_is_told_by_randomisation(before, now):
    found = row(compare_records([now], before), "bleu")
    assert found.test == "approximate randomisation"
    assert 1 / 10_001 <= found.p_value <= 1
    assert found.low < found.difference < found.high
    assert (found.effect_name, found.interval_method) == ("", "paired jackknife")


def test_where_lower_is_better_the_difference_is_still_value_less_baseline(make_run):
    slow = make_run([None if i == 3 else "x" * 500 for i in range(30)])
    fast = make_run(["x"] * 30)
    found = row(compare_records([slow], fast), "latency_p95_s")
    assert found.section == "operations"
    assert found.difference == pytest.approx(0.499)
    assert found.low <= 0.499 + 1e-9
    assert found.high >= 0.499 - 1e-9
    assert found.finding == "worse"
    assert (found.losses, found.wins) == (29, 0)
    assert (found.n_missing, found.n_only_baseline, found.n_paired) == (1, 1, 29)


def test_sides_change_places_and_signs(before, now):
    one, other = compare_records([now], before), compare_records([before], now)
    for metric in ("exact_match", "token_f1"):
        a, b = row(one, metric), row(other, metric)
        assert (a.value, a.baseline, a.wins) == (b.baseline, b.value, b.losses)
        assert a.difference == pytest.approx(-b.difference)
        assert (a.low, a.high) == (pytest.approx(-b.high), pytest.approx(-b.low))
        assert a.p_value == pytest.approx(b.p_value)


@pytest.mark.parametrize(("correction", "name"), [("bh", "fdr_bh"), ("holm", "holm"), ("by", "fdr_by")])
def test_p_values_are_adjusted_table_by_table(before, now, correction, name):
    found = compare_records([now, before], before, correction=correction)
    for section, n in (("figures", 6), ("groups", 12), ("operations", 2)):
        rows = found.of(section)
        known = [f.p_value for f in rows]
        assert len(known) == n
        assert [f.adjusted_p for f in rows] == pytest.approx(multipletests(known, method=name)[1])
    plain = compare_records([now, before], before, correction="none")
    assert [f.adjusted_p for f in plain.figures] == [f.p_value for f in plain.figures]


def test_a_run_against_itself_shows_no_difference(before):
    found = compare_records([before], before)
    assert {f.finding for f in found.figures} == {"no difference shown"}
    assert {f.p_value for f in found.figures} == {1.0}
    assert found.changed == ()
    assert all(f.low < 0 < f.high for f in found.of("figures"))


def test_groups_are_rows_of_their_own(before, now):
    found = compare_records([now], before)
    german = row(found, "exact_match", "language=de")
    assert german.section == "groups"
    assert german.n_paired == 30
    assert german.value == len([i for i in RIGHT_NOW if i % 2]) / 30


def test_changed_samples_stand_worst_first_with_both_answers(before, now):
    found = compare_records([now], before, n_changed=3)
    flips = [c for c in found.changed if c.metric == "exact_match"]
    assert [c.sample_id for c in flips] == ["s0", "s1", "s2", "s22", "s21", "s20"]
    assert {c.flip for c in flips[:3]} == {"right to wrong"}
    assert {c.flip for c in flips[3:]} == {"wrong to right"}
    first = flips[0]
    assert (first.baseline_answer, first.gold) == (f"{GOLD} 0", (f"{GOLD} 0",))
    assert first.answer == texts(60, right=RIGHT_NOW, seed=1)[0]
    assert (first.prompt, first.baseline_prompt, dict(first.groups)) == ("question 0", None, {"language": "en"})
    worsening = [c.worsening for c in found.changed if c.metric == "token_f1"]
    assert worsening == sorted(worsening, reverse=True)
    assert len(worsening) == 6


def test_only_the_samples_of_both_count(make_run):
    ours = make_run(texts(40, right=set(range(40))))
    theirs = make_run(texts(40, right=set(), first=30), first=30)
    found = row(compare_records([ours], theirs), "exact_match")
    assert (found.n_paired, found.n_only_candidate, found.n_only_baseline) == (10, 30, 30)
    assert (found.value, found.baseline) == (1.0, 0.0)


def test_nothing_in_common_is_no_finding(make_run):
    ours, theirs = make_run(texts(5, right={1})), make_run(texts(5, right={1}, first=9), first=9)
    found = compare_records([ours], theirs)
    assert {f.finding for f in found.figures} == {"nothing to compare"}
    assert all(math.isnan(f.difference) and math.isnan(f.adjusted_p) for f in found.figures)


def test_clusters_make_the_test_one_of_clusters(make_run):
    of = lambda i: f"c{i // 6}"  # noqa: E731
    before = make_run(texts(60, right=RIGHT_BEFORE), clusters=of)
    now = make_run(texts(60, right=RIGHT_NOW, seed=1), clusters=of)
    found = compare_records([now], before)
    assert row(found, "exact_match").test == "paired t, clustered"
    assert row(found, "bleu").test == "approximate randomisation, clustered"
    assert row(found, "latency_p95_s").test == "paired bootstrap, clustered"
    assert row(found, "exact_match").right_to_wrong == 5


@pytest.mark.parametrize("field", ["data", "kind", "prompt", "generation"])
def test_what_must_agree_is_named(make_run, before, field):
    other = make_run(texts(60, right=RIGHT_NOW), identity={**IDENTITY, field: "0" * 64})
    with pytest.raises(NotComparableError, match=rf"tasks\[qa\]\.identity\.{field}: 000000000000 in suite-000, "):
        compare_records([other], before)


def test_a_metric_of_another_signature_is_refused(make_run, before):
    other = make_run(texts(60, right=RIGHT_NOW), signature="other")
    with pytest.raises(NotComparableError, match=r"(?s)qa\.exact_match\.signature: other in .*evalharness score"):
        compare_records([other], before)


def test_decoding_may_differ_where_it_is_allowed_and_is_said(make_run, before):
    other = make_run(texts(60, right=RIGHT_NOW), identity={**IDENTITY, "generation": "0" * 64})
    found = compare_records([other], before, allow_different=["decoding"])
    assert found.differs == ("generation",)
    assert row(found, "exact_match").differs == ("generation",)
    with pytest.raises(NotComparableError, match="--allow-different decoding"):
        compare_records([other], before, allow_different=["prompts"])


def test_prompts_are_compared_by_the_ids_of_their_samples(make_run, before):
    other = make_run(
        texts(60, right=RIGHT_NOW, seed=1), prompt="Please: question {i}", identity={**IDENTITY, "prompt": "0" * 64}
    )
    found = compare_records([other], before, allow_different=["prompts"])
    exact = row(found, "exact_match")
    assert (exact.n_paired, exact.wins, exact.losses, exact.differs) == (60, 10, 5, ("prompt",))
    changed = found.changed[0]
    assert (changed.prompt, changed.baseline_prompt) == ("Please: question 0", "question 0")


def test_prompts_that_read_other_fields_of_the_same_data_are_comparable(make_run):
    data = {"data": {"digest": "1" * 64}}
    one = make_run(texts(9, right={1}), datasets=data)
    other = make_run(texts(9, right={2}), identity={**IDENTITY, "data": "2" * 64, "prompt": "0" * 64}, datasets=data)
    assert compare_records([other], one, allow_different=["prompts"]).differs == ("prompt",)
    third = make_run(
        texts(9, right={2}),
        identity={**IDENTITY, "data": "2" * 64, "prompt": "0" * 64},
        datasets={"data": {"digest": "3" * 64}},
    )
    with pytest.raises(NotComparableError, match=r"identity\.data"):
        compare_records([third], one, allow_different=["prompts"])


def test_other_gold_is_refused_even_where_prompts_may_differ(make_run, before):
    other = make_run(
        texts(60, right=RIGHT_NOW),
        gold=lambda i: f"{GOLD} {i}" if i else "nothing",
        identity={**IDENTITY, "prompt": "0" * 64},
    )
    with pytest.raises(NotComparableError, match="references differs in 1 of 60 samples"):
        compare_records([other], before, allow_different=["prompts"])


def test_models_of_one_run_and_variants_of_a_task(make_run):
    run = make_run(
        {
            ("qa", "small"): texts(20, right={1, 2}),
            ("qa", "large"): texts(20, right={1, 2, 3, 4, 5, 6}),
            ("more@shots=0", "small"): texts(20, right={1}),
            ("more@shots=5", "small"): texts(20, right={1, 9, 11, 12, 13}),
        },
        run_id="several",
    )
    found = compare(run, models=["small", "large"])
    assert (found.baseline.label, [s.label for s in found.candidates]) == ("small", ["large"])
    assert row(found, "exact_match").wins == 4
    found = compare("several:more@shots=0", "several:more@shots=5", reports=run.folder.parent.parent)
    exact = row(found, "exact_match")
    assert (exact.task, exact.baseline_task, exact.wins) == ("more@shots=5", "more@shots=0", 4)
    with pytest.raises(UsageError, match="no model and no task 'lage'; did you mean 'large'"):
        compare(run, models=["small", "lage"])
    with pytest.raises(UsageError, match="name a second one"):
        compare(run)
    with pytest.raises(NotComparableError, match="several variants of more"):
        compare("several", "several:more@shots=0", reports=run.folder.parent.parent)


def test_models_pair_by_name_and_a_single_one_with_all(make_run):
    two = make_run({("qa", "a"): texts(9, right={1}), ("qa", "b"): texts(9, right={2})}, run_id="two")
    one = make_run({("qa", "old"): texts(9, right={3})}, run_id="one")
    assert [(f.model, f.baseline_model) for f in compare_records([two], two).of("figures")][::3] == [
        ("a", "a"),
        ("b", "b"),
    ]
    assert {f.baseline_model for f in compare_records([two], one).figures} == {"old"}
    with pytest.raises(NotComparableError, match=r"no model in common.*as in two:a"):
        compare_records([one], two)
    found = compare(one, "two:b", reports=one.folder.parent.parent)
    assert {(f.model, f.baseline_model) for f in found.figures} == {("b", "old")}


def test_figures_of_one_side_are_said_and_left_out(make_run, before):
    other = make_run(texts(60, right=RIGHT_NOW), metrics=["exact_match", "rouge1"])
    found = compare_records([other], before)
    assert {f.metric for f in found.figures} == {"exact_match"}
    assert found.notes == (f"only in {other.id}: qa.rouge1", "only in before: qa.token_f1, qa.bleu, qa.latency_p95_s")
    with pytest.raises(UsageError, match="neither side has a metric 'exact_mach'; did you mean 'exact_match'"):
        compare_records([other], before, metrics=["exact_mach"])
    with pytest.raises(NotComparableError, match="no figure in common"):
        compare_records([make_run(texts(3, right={1}), metrics=["rouge1"])], before)


def test_choosing_what_is_compared(before, now):
    found = compare_records([now], before, metrics=["bleu"], tasks=["qa"])
    assert {f.metric for f in found.figures} == {"bleu"}


def test_an_incomplete_run_is_said(make_run, before):
    part = make_run(texts(60, right=RIGHT_NOW), complete=False)
    assert compare_records([part], before).notes == (f"{part.id} is not complete: its figures are those of a part",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"correction": "bonferroni"}, "bh, holm, by, none"),
        ({"allow_different": ["data"]}, "prompts or decoding"),
    ],
)
def test_wrong_options_are_explained(before, now, options, said):
    with pytest.raises(UsageError, match=said):
        compare_records([now], before, **options)


def test_frame_and_plain_values(before, now):
    found = compare_records([now], before)
    frame = found.frame()
    assert len(frame) == len(found.figures) == 10
    assert list(frame.columns) == [f.name for f in dataclasses.fields(found.figures[0])]
    assert frame["wins"].dtype == "Int64"
    assert frame.loc[frame["metric"] == "token_f1", "right_to_wrong"].isna().all()
    plain = found.to_dict()
    assert plain["figures"][0]["metric"] == "exact_match"
    assert plain["baseline"]["run"] == "before"


def test_the_room_and_the_function_share_their_name(before, now):
    import evalharness.compare.pairing

    assert evalharness.compare.pairing.pair is not None
    assert evalharness.compare(before, now).candidates[0].run == "now"
    from evalharness import compare as function

    assert function(before, now).baseline.run == "before"


def test_above_50_000_pairs_the_jackknife_agrees_with_resampling(before, now, monkeypatch):
    from evalharness.compare import paired

    drawn = row(compare_records([now], before), "bleu")
    monkeypatch.setattr(paired, "MAX_RESAMPLED", 10)
    left_out = row(compare_records([now], before), "bleu")
    assert (left_out.interval_method, left_out.test) == ("paired jackknife", "paired jackknife z")
    assert left_out.p_value == pytest.approx(drawn.p_value, abs=0.05)
    assert left_out.high - left_out.low == pytest.approx(drawn.high - drawn.low, rel=0.25)


@pytest.mark.parametrize(("low", "high", "finding"), [(-0.3, 0.1, "no difference shown"), (-0.3, -0.1, "worse")])
def test_a_difference_is_shown_only_where_its_interval_leaves_out_none(before, now, low, high, finding):
    (one,) = [f for f in compare_records([now], before, correction="none").of("figures") if f.metric == "bleu"]
    one = replace(one, finding="no difference shown", difference=-0.1, low=low, high=high)
    assert _finding(one, 0.001, 0.05) == finding
    nothing = replace(one, low=math.nan, high=math.nan)
    assert _finding(nothing, 0.001, 0.05) == "no difference shown"


def test_outputs_of_one_model_each_from_elsewhere_are_called_by_their_models():
    def named(run, *models):
        results = [SimpleNamespace(model=model, task="t") for model in models]
        return Subject(SimpleNamespace(id=run, results=results))

    outputs = [named("a/results_1", "/models/base"), named("b/results_2", "/models/pruned")]
    assert labels_of(outputs) == ["/models/base", "/models/pruned"]
    assert labels_of([*outputs, named("c/results_3", "/models/base")]) == ["a/results_1", "b/results_2", "c/results_3"]
    assert labels_of([named("r1", "base"), named("r2", "pruned")]) == ["r1", "r2"]
