"""Attribution drift: rank correlations, mass on identity terms and words that changed, over the same texts."""

import numpy as np
import pytest
from scipy import stats as reference

from evalharness.compare.attributions import _Text, drift_of, word_changes
from evalharness.metrics.identity import terms_pattern

NAMES = ("new", "why", "m", "m")
TERMS = terms_pattern(("she", "he"))


def text(words, values, *, explained="pos", cluster=None, outputs=("pos",)):
    tokens, at = [], 0
    for word in words:
        tokens.append([word, at, at + len(word)])
        at += len(word) + 1
    return _Text(
        {
            "text": " ".join(words),
            "tokens": tokens,
            "outputs": list(outputs),
            "explained": explained,
            "values": [[value] * len(outputs) for value in values],
        },
        cluster,
    )


def drift(pairs, **more):
    return drift_of(pairs, NAMES, terms=TERMS, confidence=0.95, seed=1, **more)


def test_rank_correlations_are_the_means_of_each_texts_own():
    rng = np.random.default_rng(3)
    words = list("abcdefgh")
    pairs = [(rng.normal(size=8), rng.normal(size=8)) for _ in range(20)]
    found = drift([(text(words, new.tolist()), text(words, old.tolist())) for new, old in pairs])
    spearmans = [reference.spearmanr(new, old).statistic for new, old in pairs]
    kendalls = [reference.kendalltau(new, old).statistic for new, old in pairs]
    assert found.n == 20
    assert found.spearman == pytest.approx(np.mean(spearmans), abs=1e-12)
    assert found.kendall == pytest.approx(np.mean(kendalls), abs=1e-12)
    low, high = reference.t.interval(0.95, 19, loc=np.mean(spearmans), scale=reference.sem(spearmans))
    assert (found.spearman_low, found.spearman_high) == pytest.approx((low, high), abs=1e-9)
    tops = np.mean([np.argmax(abs(new)) == np.argmax(abs(old)) for new, old in pairs])
    assert found.same_top == pytest.approx(tops)


def test_texts_of_another_output_and_other_words_are_left_out():
    words = ["a", "b", "c"]
    same = (text(words, [1, 2, 3]), text(words, [1, 2, 3]))
    flipped = (text(words, [1, 2, 3]), text(words, [3, 2, 1], explained="neg", outputs=("neg",)))
    found = drift([same, flipped, same])
    assert (found.n, found.n_other_output, found.spearman) == (2, 1, 1.0)
    # Words are paired by where they stand, whatever else one side has.
    other = text(["a", "b", "c", "d"], [1, 2, 3, 9])
    assert drift([(text(words, [1, 2, 3]), other)]).spearman == 1.0
    assert np.isnan(drift([(text(["a"], [1]), text(["a"], [1]))]).spearman)


def test_mass_on_identity_terms_with_a_permutation_test():
    words = ["she", "sings", "well"]
    # Once 1 of 4 lies on the term, then 2 of 4, of each of 12 texts.
    pairs = [(text(words, [2.0, 1.0, 1.0]), text(words, [1.0, 2.0, 1.0])) for _ in range(12)]
    found = drift(pairs)
    assert (found.mass, found.mass_baseline, found.n_mass) == (0.5, 0.25, 12)
    assert found.mass_low == found.mass_high == pytest.approx(0.25)
    # Of 2^12 ways to let the runs change places two are as extreme.
    assert found.mass_p == pytest.approx(2 / 4096, abs=6e-4)
    assert drift([(old, old) for _, old in pairs]).mass_p == 1.0
    none = drift([(text(["a", "b"], [1, 2]), text(["a", "b"], [1, 2]))])
    assert none.n_mass == 0
    assert np.isnan(none.mass)


def test_no_drift_is_found_in_noise_more_often_than_said():
    rng = np.random.default_rng(11)
    words = ["she", "sings", "well", "again"]
    n_found = 0
    for _ in range(200):
        sides = rng.exponential(size=(2, 15, 4))
        pairs = [(text(words, new.tolist()), text(words, old.tolist())) for new, old in zip(*sides, strict=True)]
        n_found += drift(pairs).mass_p <= 0.05
    assert n_found <= 18  # the 98 % quantile of a binomial of 200 at 5 %


def test_explanations_of_outputs_that_do_not_move_are_not_compared():
    sure = text(["she", "is", "good"], [2e-9, 1e-9, -1e-9])
    sure.explanation.update(base_values=[1.0], full_values=[1.0])
    plain = text(["she", "is", "good"], [0.2, 0.1, 0.3])
    found = drift([(sure, plain), (plain, plain)])
    assert (found.n, found.n_mass) == (2, 1)
    assert found.spearman == pytest.approx(1.0)


def test_texts_of_a_cluster_count_as_one():
    words = ["she", "sings"]
    pairs = [(text(words, [2, 1], cluster="c"), text(words, [1, 1], cluster="c")) for _ in range(12)]
    assert np.isnan(drift(pairs).mass_p)


def test_words_that_changed_most():
    aligned = [
        (["She", "sings", "sings"], np.array([2.0, 1.0, 0.0]), np.array([0.0, 0.5, 0.5])),
        (["she", "left"], np.array([1.0, 9.0]), np.array([0.0, 0.0])),
    ]
    first, second = word_changes(aligned)
    # A word of two texts goes before one of a single text; "sings" has not changed on the whole.
    assert (first.word, first.value, first.baseline, first.n) == ("she", 1.5, 0.0, 2)
    assert (second.word, second.difference, second.n) == ("left", 9.0, 1)


def test_intervals_end_where_correlations_and_shares_do():
    words = ["she", "sings", "well"]
    pairs = [(text(words, [3, 2, 1]), text(words, [3, 2, 1])), (text(words, [3, 2, 1]), text(words, [1, 2, 3]))]
    found = drift(pairs)
    assert (found.spearman_low, found.spearman_high) == (-1.0, 1.0)
    assert -1 <= found.mass_low <= found.mass_high <= 1


def test_the_tables_say_what_drifted(tmp_path, monkeypatch):
    import json

    import yaml

    import evalharness
    from evalharness.compare.records import compare_records
    from evalharness.report.compare_html import compare_html
    from evalharness.report.compare_markdown import compare_markdown

    code = """
def label(prompt, she=0.0):
    p = 0.5 + 0.2 * ("great" in prompt) + she * ("she" in prompt.lower())
    return {"neg": 1 - p, "pos": p}
"""
    (tmp_path / "words.py").write_text(code)
    rows = [{"text": f"She wrote a <b>great</b> film {i}."} for i in range(6)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    records = []
    for she in (0.0, 0.2):
        model = {"backend": "python", "function": "words:label", "kind": "classify", "options": {"she": she}}
        tasks = [
            {"id": "t", "dataset": "d", "classify": "{{ text }}"},
            {"id": "why", "explain": "occlusion", "of": "t", "quality": False, "metrics": ["identity_mass"]},
        ]
        suite = {"version": 1, "name": "n", "models": {"m": model}, "datasets": {"d": {"path": "d.jsonl"}}}
        (tmp_path / "s.yaml").write_text(yaml.safe_dump({**suite, "tasks": tasks}))
        records.append(evalharness.run("s.yaml", allow_code=True))
    found = compare_records([records[1]], records[0])
    (one,) = found.attributions
    assert (one.n, one.n_mass, one.mass_baseline, one.mass) == (6, 6, pytest.approx(0), pytest.approx(0.5))
    text_ = compare_markdown(found)
    assert "## Attributions" in text_
    assert "share on identity terms" in text_
    page = compare_html(found)
    assert 'id="attributions"' in page
    assert "“she” 0.000 → 0.200" in page
    assert "<b>great" not in page
    assert found.to_dict()["attributions"][0]["task"] == "why"
