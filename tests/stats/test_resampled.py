from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest
from scipy import stats as scipy_stats

from evalharness.stats import resampled
from evalharness.stats.resampled import approximate_randomisation, paired_bootstrap
from evalharness.stats.tests import paired_t

TESTS = (paired_bootstrap, approximate_randomisation)


def mean(totals):
    return totals[..., 1] / totals[..., 0]


def rows_of(values):
    return np.stack([np.ones(len(values)), np.asarray(values, dtype=float)], axis=1)


def f1(totals):
    return 2 * totals[..., 0] / (2 * totals[..., 0] + totals[..., 1] + totals[..., 2])


def test_randomisation_of_few_samples_is_the_permutation_test():
    rng = np.random.default_rng(0)
    first, second = rng.random(9), rng.random(9) + 0.2
    differences = first - second
    signs = np.array(list(itertools.product((1, -1), repeat=9)))
    exact = np.mean(np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12)
    found = approximate_randomisation(rows_of(first), rows_of(second), mean, n_resamples=100_000)
    assert found.statistic == pytest.approx(differences.mean())
    assert found.p_value == pytest.approx(exact, abs=0.006)
    theirs = scipy_stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="less"
    ).pvalue
    assert approximate_randomisation(
        rows_of(first), rows_of(second), mean, n_resamples=100_000, alternative="less"
    ).p_value == pytest.approx(theirs, abs=0.006)


@pytest.mark.parametrize("shift", [0.0, -0.1, 0.05])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_the_bootstrap_of_a_mean_is_near_the_t_test(shift, alternative):
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.05, 1, 300), rng.normal(0, 1, 300)
    found = paired_bootstrap(
        rows_of(first), rows_of(second), mean, shift=shift, alternative=alternative, n_resamples=20_000
    )
    expected = paired_t(first - second, shift=shift, alternative=alternative).p_value
    assert found.p_value == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("kind", ["bs", "ar"])
def test_agrees_with_sacrebleu(kind):
    """The paired tests of sacrebleu over corpus BLEU, whose statistics are those of its own sentences."""
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(30)]
    references = [" ".join(rng.choice(words, 12)) for _ in range(40)]

    def worse(text, share):
        return " ".join(w if rng.random() > share else str(rng.choice(words)) for w in text.split())

    one, two = ([worse(text, share) for text in references] for share in (0.25, 0.28))
    metric = BLEU()
    theirs = PairedTest(
        [("baseline", two), ("system", one)],
        {"BLEU": BLEU(references=[references])},
        None,
        test_type=kind,
        n_samples=4000,
    )()[1]["BLEU"][1]
    stats = [np.array(metric._extract_corpus_statistics(lines, [references]), dtype=float) for lines in (one, two)]

    def bleu(totals):
        flat = np.asarray(totals).reshape(-1, totals.shape[-1])
        scores = [metric._compute_score_from_stats(row.astype(int).tolist()).score for row in flat]
        return np.array(scores).reshape(np.shape(totals)[:-1])

    if kind == "ar":
        found = approximate_randomisation(*stats, bleu, n_resamples=4000)
    else:
        # |δ*| − mean|δ*| > |δ| is the one side on which δ lies.
        side = "greater" if bleu(stats[0].sum(axis=0)) > bleu(stats[1].sum(axis=0)) else "less"
        found = paired_bootstrap(*stats, bleu, n_resamples=4000, alternative=side)
    assert 0.01 < theirs.p_value < 0.4
    assert found.p_value == pytest.approx(theirs.p_value, abs=0.02)


@pytest.mark.parametrize("test", TESTS)
def test_clusters_make_evidence_weaker(test):
    rng = np.random.default_rng(7)
    codes = np.repeat(np.arange(15), 8)
    effect = rng.normal(0.25, 1, 15)[codes]
    first, second = rng.normal(0, 0.3, 120) + effect, rng.normal(0, 0.3, 120)
    plain = test(rows_of(first), rows_of(second), mean, n_resamples=4000)
    clustered = test(rows_of(first), rows_of(second), mean, n_resamples=4000, codes=codes + 5)
    assert plain.p_value < clustered.p_value
    assert clustered.method.endswith(", clustered")
    expected = paired_t(first - second, codes=codes).p_value
    assert clustered.p_value == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("test", TESTS)
def test_errors_at_its_level(test):
    """Under H0 a test at 5 % rejects about 5 % of the time: F1 of two equally bad classifiers."""
    rng = np.random.default_rng(11)
    rejected = 0
    for trial in range(400):
        draws = [rng.multinomial(1, (0.4, 0.1, 0.1, 0.4), size=150)[:, :3].astype(float) for _ in range(2)]
        rejected += test(*draws, f1, n_resamples=199, seed=trial).p_value <= 0.05
    assert 0.02 < rejected / 400 < 0.085


@pytest.mark.parametrize("test", TESTS)
def test_identical_systems_are_no_evidence(test):
    rows = rows_of(np.random.default_rng(0).random(20))
    assert test(rows, rows, mean, n_resamples=99).p_value == 1.0


@pytest.mark.parametrize("test", TESTS)
def test_p_is_never_zero_and_the_seed_decides(test):
    rng = np.random.default_rng(0)
    first, second = rows_of(rng.random(50) + 5), rows_of(rng.random(50))
    assert test(first, second, mean, n_resamples=99).p_value == pytest.approx(1 / 100)
    second = rows_of(rng.random(50) + 4.95)
    same = [test(first, second, mean, n_resamples=200, seed=1) for _ in range(2)]
    assert same[0] == same[1]
    assert len({test(first, second, mean, n_resamples=200, seed=s).p_value for s in range(8)}) > 1


@pytest.mark.parametrize("test", TESTS)
def test_nothing_to_say_is_nan(test):
    assert math.isnan(test(rows_of([1.0]), rows_of([2.0]), mean).p_value)
    assert math.isnan(test(rows_of([1.0, math.nan]), rows_of([2.0, 1.0]), mean).p_value)
    one = np.zeros(3, dtype=np.int64)
    assert math.isnan(test(rows_of([1.0, 2, 3]), rows_of([2.0, 1, 1]), mean, codes=one).p_value)


def test_undefined_resamples_speak_against_the_difference():
    """Where the figure of a resample is not defined it counts as an extreme one: p grows, it does not shrink."""
    first = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    second = np.array([[0.0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    with np.errstate(invalid="ignore"):
        found = paired_bootstrap(first, second, f1, n_resamples=2000, alternative="greater")
    assert found.p_value > 0.05


def test_chunks_do_not_repeat(monkeypatch):
    rows = list(np.concatenate(list(resampled._coins(20, n_resamples=50, seed=3))))
    assert len(rows) == 50
    assert len({tuple(row) for row in rows}) > 45
    monkeypatch.setattr(resampled, "_CHUNK_CELLS", 100)
    chunks = list(resampled._coins(20, n_resamples=12, seed=3))
    assert [len(c) for c in chunks] == [5, 5, 2]
    assert len(np.unique(np.concatenate(chunks), axis=0)) == 12
    many = np.concatenate(list(resampled._coins(13, n_resamples=4000, seed=0)))
    assert set(np.unique(many)) == {0.0, 1.0}
    assert many.mean(axis=0) == pytest.approx(np.full(13, 0.5), abs=0.04)


@pytest.mark.parametrize("test", TESTS)
def test_refuses(test):
    rows = rows_of([1.0, 2.0])
    with pytest.raises(ValueError, match="one shape"):
        test(rows, rows_of([1.0]), mean)
    with pytest.raises(ValueError, match="codes"):
        test(rows, rows, mean, codes=np.array([0]))
    with pytest.raises(ValueError, match="at least 1"):
        test(rows, rows_of([2.0, 5.0]), mean, n_resamples=0)
    with pytest.raises(ValueError, match="alternative"):
        test(rows, rows, mean, alternative="more")


@pytest.mark.parametrize("test", TESTS)
def test_arguments_are_left_alone(test):
    first, second = rows_of(np.arange(6.0)), rows_of(np.ones(6))
    for rows in (first, second):
        rows.setflags(write=False)
    test(first, second, mean, n_resamples=10, codes=np.arange(6) // 2)
