from dataclasses import replace

import numpy as np
import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.runner.knownbad import KNOWN_BAD, lopsided

BY_NAME = {bad.name: bad for bad in KNOWN_BAD}
TOPICS = ["login", "billing", "billing", "shipping", "billing", "login", "billing", "shipping"]


def samples():
    return [Sample(f"s{i}", f"d{i}", "?", target=topic) for i, topic in enumerate(TOPICS)]


def texts(**more):
    return [
        Response(
            f"k{i}", text=f"it is {topic}", answer=topic, latency_s=0.5, output_tokens=3, meta={"cost_usd": 0.1}, **more
        )
        for i, topic in enumerate(TOPICS)
    ]


def likelihoods(kind):
    n = 1 if kind == "loglikelihood_rolling" else 3
    return [
        Response(f"k{i}", loglikelihoods=tuple(LogLikelihood(-1.0 - (j + i) % n, 2) for j in range(n + (i == 7))))
        for i in range(8)
    ]


def spoilt(name, kind="generate", responses=None, seed=0):
    given = responses if responses is not None else texts() if kind in ("generate", "classify") else likelihoods(kind)
    before = list(given)
    found = BY_NAME[name].spoil(kind, samples(), given, np.random.default_rng(seed))
    assert given == before
    if found is not None:
        assert [r.key for r in found] == [r.key for r in given]
    return found


def test_each_kind_of_answer_is_spoilt_by_some_and_left_by_others():
    able = {
        kind: [bad.name for bad in KNOWN_BAD if spoilt(bad.name, kind) is not None]
        for kind in ("generate", "classify", "loglikelihood", "loglikelihood_rolling")
    }
    assert able == {
        "generate": [bad.name for bad in KNOWN_BAD],
        "classify": ["empty", "shuffled", "constant", "degraded", "failing", "slow"],
        "loglikelihood": ["shuffled", "constant", "degraded", "failing", "slow"],
        "loglikelihood_rolling": ["degraded", "failing", "slow"],
    }


def test_text_is_spoilt_as_said():
    assert {r.text for r in spoilt("empty")} == {""}
    assert next((r.text, r.status) for r in spoilt("truncated")) == ("it", "truncated")
    assert {r.text for r in spoilt("verbose")} >= {" ".join(["it is login"] * 10)}
    assert {r.output_tokens for r in spoilt("verbose")} == {30}
    assert {r.status for r in spoilt("refusing")} == {"refusal"}
    assert sum(r.status == "error" for r in spoilt("failing")) == 4
    slow = spoilt("slow")[0]
    assert (slow.latency_s, slow.output_tokens, slow.meta) == (50.0, 300, {"cost_usd": pytest.approx(10.0)})


@pytest.mark.parametrize("kind", ["generate", "classify"])
def test_the_constant_model_says_the_most_frequent_label(kind):
    assert {r.answer for r in spoilt("constant", kind)} == {"billing"}


def test_without_labels_it_says_what_was_said_most_often():
    said = [Response(f"k{i}", text=t) for i, t in enumerate(["a", "b", "b", "c", "b", "d", "e", "f"])]
    assert {r.text for r in spoilt("constant", responses=said)} == {"b"}
    assert spoilt("constant", responses=[Response("k", status="error", error="lost")]) is None


@pytest.mark.parametrize("name", ["shuffled", "degraded"])
def test_answers_go_to_other_samples(name):
    before = [replace(r, finish_reason=r.key) for r in texts()]
    after = spoilt(name, responses=before)
    moved = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a.finish_reason != b.finish_reason]
    assert sorted(r.text for r in before) == sorted(r.text for r in after)
    assert len(moved) == (8 if name == "shuffled" else 2)
    assert spoilt(name, responses=before) == after
    assert spoilt("shuffled", responses=texts()[:1]) is None


def test_likelihoods_stay_with_as_many_choices():
    for before, after in zip(likelihoods("loglikelihood"), spoilt("shuffled", "loglikelihood"), strict=True):
        assert len(before.loglikelihoods) == len(after.loglikelihoods)
    first = spoilt("constant", "loglikelihood")
    assert all(max(r.loglikelihoods, key=lambda x: x.total) is r.loglikelihoods[0] for r in first)
    assert spoilt("degraded", "loglikelihood_rolling")[0].loglikelihoods[0].total == -1.5


def lopsided_of(kind, given, groups=("de", "de", "de", "de", "en", "en", "fr", None), column="lang"):
    those = [
        replace(sample, groups={} if group is None else {"lang": group})
        for sample, group in zip(samples(), groups, strict=True)
    ]
    return lopsided(column).spoil(kind, those, given, np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["generate", "classify"])
def test_the_lopsided_model_says_what_is_rare_to_all_but_the_first_group(kind):
    given = [replace(r, label_probabilities={"login": 0.9, "shipping": 0.1}) for r in texts()]
    found = lopsided_of(kind, given)
    assert (found[:4], found[7]) == (given[:4], given[7])
    assert {r.answer for r in found[4:7]} == {"shipping"}
    assert [r.key for r in found] == [r.key for r in given]
    if kind == "classify":
        assert found[4].label_probabilities == {"login": 0.0, "shipping": 1.0}


def test_the_lopsided_model_finds_another_answer_where_all_were_alike():
    alike = [Response(f"k{i}", text="login", label_probabilities={"login": 0.9, "other": 0.1}) for i in range(8)]
    assert [r.text for r in lopsided_of("generate", alike)] == ["login"] * 4 + ["other"] * 3 + ["login"]
    targets = [replace(r, label_probabilities={}) for r in alike]
    assert {r.text for r in lopsided_of("generate", targets)[4:7]} == {"billing"}
    lost = [*alike[:5], Response("k5", status="error", error="lost"), *alike[6:]]
    assert lopsided_of("generate", lost)[5] is lost[5]


def test_the_lopsided_model_of_likelihoods():
    given = likelihoods("loglikelihood")
    first = [max(range(3), key=lambda j: r.loglikelihoods[j].total) for r in given[4:7]]
    assert sorted(first) == [0, 1, 2]
    found = lopsided_of("loglikelihood", given)
    assert found[:4] == given[:4]
    assert len({max(range(3), key=lambda j: r.loglikelihoods[j].total) for r in found[4:7]}) == 1
    rolling = lopsided_of("loglikelihood_rolling", likelihoods("loglikelihood_rolling"))
    assert [r.loglikelihoods[0].total for r in rolling] == [-1.0] * 4 + [-1.5] * 3 + [-1.0]
    assert lopsided_of("generate", texts(), groups=["de"] * 8) is None
    assert lopsided_of("generate", texts(), column="age") is None
