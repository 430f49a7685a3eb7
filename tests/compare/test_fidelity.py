"""A candidate against its base, token by token, from two sealed records."""

import dataclasses
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import log_softmax

from evalharness.compare.compression import Compressed, _tokens
from evalharness.compare.fidelity import TokensOf, fidelity, tells_tokens
from evalharness.core.canonical import digest
from evalharness.core.errors import NotComparableError
from evalharness.core.token_scores import TOKEN_SCORES, TokenScores
from evalharness.core.types import LogLikelihood, Request, Response, Sample, Sampling
from evalharness.record import Record, RunManifest, SampleRow, TaskSummary, seal

VOCABULARY = 11


def logs_of(seed, text, noise=0.0):
    """(n, vocabulary) what a model thinks; `noise` is how far another one strays."""
    random = np.random.default_rng([seed, len(text)])
    base = random.normal(size=(len(text), VOCABULARY)) * 2
    return log_softmax(base + noise * np.random.default_rng(len(text)).normal(size=base.shape), axis=1)


def scores(logs, text, k=VOCABULARY):
    ids = np.array([ord(c) % VOCABULARY for c in text], dtype=np.int64)
    top = np.argsort(-logs, axis=1, kind="stable")[:, :k]
    return TokenScores(ids, logs[np.arange(len(ids)), ids], top, np.take_along_axis(logs, top, axis=1))


@pytest.fixture
def make(tmp_path: Path):
    number = count()

    def made(texts, *, noise=0.0, k=VOCABULARY, model="m", edit=lambda row: row, cluster=lambda i: None) -> TokensOf:
        rows = []
        for i, text in enumerate(texts):
            found = scores(logs_of(0, text, noise), text, k)
            sample = Sample(f"s{i}", digest(text), text, cluster=cluster(i))
            request = Request(
                digest([model, i]), model, "loglikelihood_rolling", sample.id, text, (), Sampling(top_logprobs=k)
            )
            total = LogLikelihood(float(found.logprobs.sum()), len(text))
            response = Response(request.key, loglikelihoods=(total,), meta={TOKEN_SCORES: found.to_json()})
            rows.append(edit(SampleRow("texts", model, sample, request, response)))
        run = f"run-{next(number):03d}"
        task = TaskSummary("texts", model, "loglikelihood_rolling", {}, len(rows), len(rows), {"ok": len(rows)})
        manifest = RunManifest(
            id=run,
            name="s",
            suite_name="s",
            suite_digest="5" * 64,
            suite={"version": 1, "name": "s", "models": {model: {"backend": "fake"}}, "tasks": [{"id": "texts"}]},
            created_utc="2026-11-21T10:00:00Z",
            finished_utc="2026-11-21T10:00:42Z",
            evalharness_version="0.1.0",
            models={model: {"backend": "fake"}},
            tasks=(task,),
            results=(),
        )
        return TokensOf(seal(tmp_path / run, manifest, rows, [], []), "texts", model)

    return made


TEXTS = ["a" * n + "bc" for n in range(1, 41)]


def figures(found):
    return {f.name: f for f in found.figures}


def test_equals_what_the_whole_distributions_say(make):
    found = fidelity(make(TEXTS, noise=0.5, model="small"), make(TEXTS, model="big"))
    n = sum(map(len, TEXTS))
    pairs = [(logs_of(0, text), logs_of(0, text, 0.5), text) for text in TEXTS]
    kl = sum(float((np.exp(p) * (p - q)).sum()) for p, q, _ in pairs) / n
    same = sum(int((p.argmax(1) == q.argmax(1)).sum()) for p, q, _ in pairs) / n
    lost = sum(scores(p, t).logprobs.sum() - scores(q, t).logprobs.sum() for p, q, t in pairs) / n
    assert (found.n_texts, found.n_tokens, found.n_only_candidate, found.n_only_base) == (40, n, 0, 0)
    assert (found.model, found.base_model) == ("small", "big")
    assert figures(found)["kl"].value == pytest.approx(kl, abs=1e-5)
    assert figures(found)["same_top"].value == pytest.approx(same)
    assert figures(found)["perplexity_ratio"].value == pytest.approx(np.exp(lost), rel=1e-5)
    assert found.shared == pytest.approx(1.0)
    for figure in found.figures:
        assert figure.low < figure.value < figure.high


def test_fewer_tokens_told_give_no_more(make):
    whole = fidelity(make(TEXTS, noise=0.5), make(TEXTS))
    part = fidelity(make(TEXTS, noise=0.5, k=3), make(TEXTS, k=3))
    assert part.shared < 1
    assert 0 < figures(part)["kl"].value < figures(whole)["kl"].value
    assert figures(part)["perplexity_ratio"].value == pytest.approx(figures(whole)["perplexity_ratio"].value)


def test_the_same_model_is_itself(make):
    found = figures(fidelity(make(TEXTS), make(TEXTS)))
    assert found["kl"].value == pytest.approx(0, abs=1e-6)
    assert found["same_top"].value == 1
    assert found["perplexity_ratio"].value == pytest.approx(1)


def test_texts_are_paired_by_content_in_any_order(make):
    found = fidelity(make(TEXTS[:30], noise=0.5), make(TEXTS[:9:-1]))
    assert (found.n_texts, found.n_only_candidate, found.n_only_base) == (20, 10, 10)
    straight = fidelity(make(TEXTS[10:30], noise=0.5), make(TEXTS[10:30]))
    assert figures(found)["kl"].value == pytest.approx(figures(straight)["kl"].value)


def test_clusters_widen_the_interval(make):
    alone = fidelity(make(TEXTS, noise=0.5), make(TEXTS))
    together = fidelity(make(TEXTS, noise=0.5, cluster=lambda i: f"c{i // 10}"), make(TEXTS))
    assert figures(together)["kl"].method.startswith("cluster")
    assert figures(alone)["kl"].method == "bca-skew-t"


def without_scores(row):
    return dataclasses.replace(row, response=dataclasses.replace(row.response, meta={}))


def test_what_cannot_be_compared_says_why(make):
    base = make(TEXTS)
    assert tells_tokens(*base)
    plain = make(TEXTS, edit=without_scores)
    assert not tells_tokens(*plain)
    with pytest.raises(NotComparableError, match=r"no scores of tokens for sample 's0'.*top_logprobs: 50"):
        fidelity(plain, base)
    with pytest.raises(NotComparableError, match="no text in common"):
        fidelity(make(["zzz"]), base)

    def other_tokens(row):
        found = scores(logs_of(0, row.sample.prompt + "!"), row.sample.prompt + "!")
        return dataclasses.replace(
            row, response=dataclasses.replace(row.response, meta={TOKEN_SCORES: found.to_json()})
        )

    with pytest.raises(
        NotComparableError, match=r"cut the text of sample 's0' into other tokens \(4 and 3\).*bits_per_byte"
    ):
        fidelity(make(TEXTS, edit=other_tokens), base)


def test_failed_answers_are_no_texts(make):
    def fail(row):
        return (
            row
            if row.sample.id != "s3"
            else dataclasses.replace(row, response=Response(row.response.key, "error", error="x"))
        )

    found = fidelity(make(TEXTS, noise=0.5, edit=fail), make(TEXTS))
    assert (found.n_texts, found.n_only_base) == (39, 1)


def test_the_record_keeps_what_was_asked(make):
    where = make(TEXTS[:2], k=4)
    row = next(Record.open(where.record.folder).iter_samples())
    assert row.request.sampling.top_logprobs == 4


def test_the_preset_says_how_much_of_the_base_its_divergence_saw(make):
    candidate, base = make(TEXTS, noise=0.5, k=3, model="small"), make(TEXTS, k=3, model="big")
    pair = SimpleNamespace(
        current=SimpleNamespace(task="texts", model="small"), baseline=SimpleNamespace(task="texts", model="big")
    )
    rows = {
        row.aspect: row for row in _tokens(Compressed("small", candidate.record, base.record, [pair, pair], ()), 0.95)
    }
    found = fidelity(candidate, base)
    assert list(rows) == ["kl", "shared", "same_top", "perplexity_ratio"]
    assert (rows["shared"].value, rows["shared"].n) == (found.shared, found.n_tokens)
    assert np.isnan(rows["shared"].low)
    assert rows["kl"].value == figures(found)["kl"].value
