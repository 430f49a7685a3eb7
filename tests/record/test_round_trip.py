"""Whatever samples, requests and responses hold: a record gives them back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.core.types import KINDS, STATUSES, LogLikelihood, Message, Request, Response, Sample, Sampling
from evalharness.record import RunManifest, SampleRow, ScoreRow, StatsRow, seal

text = st.text(st.characters(exclude_categories=()), max_size=12)
maybe = st.none() | text
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
prompts = text | st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), text), max_size=3
).map(tuple)
texts = st.lists(text, max_size=3).map(tuple)
counts = st.integers(0, 2**40)


@st.composite
def sample_rows(draw: st.DrawFn) -> SampleRow:
    prompt = draw(prompts)
    sample = Sample(
        id=draw(text),
        digest=draw(text),
        prompt=prompt,
        references=draw(texts),
        choices=draw(texts),
        target=draw(maybe),
        groups=draw(st.dictionaries(text, text, max_size=2)),
        cluster=draw(maybe),
        fields=draw(st.dictionaries(text, json_values, max_size=2)),
    )
    sampling = Sampling(
        draw(counts), draw(st.floats(0, 2)), draw(st.none() | st.floats(0, 1)), draw(st.none() | counts), draw(texts)
    )
    request = Request(
        key=draw(text),
        model=draw(text),
        kind=draw(st.sampled_from(KINDS)),
        sample_id=sample.id,
        prompt=draw(st.just(prompt) | prompts),
        continuations=draw(texts),
        sampling=sampling,
        repeat=draw(counts),
    )
    response = Response(
        key=request.key,
        status=draw(st.sampled_from(STATUSES)),
        text=draw(maybe),
        answer=draw(maybe),
        loglikelihoods=tuple(draw(st.lists(st.builds(LogLikelihood, st.floats(), counts, st.booleans()), max_size=3))),
        label_probabilities=draw(st.dictionaries(text, st.floats(), max_size=3)),
        error=draw(maybe),
        finish_reason=draw(maybe),
        input_tokens=draw(st.none() | counts),
        output_tokens=draw(st.none() | counts),
        latency_s=draw(st.none() | st.floats()),
        n_retries=draw(counts),
        created_utc=draw(text),
        meta=draw(st.dictionaries(text, json_values, max_size=2)),
    )
    return SampleRow(draw(text), request.model, sample, request, response, draw(st.booleans()))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=st.lists(sample_rows(), max_size=4), numbers=st.lists(st.floats(), min_size=2, max_size=2), word=text)
def test_any_rows_survive(
    make_manifest: Callable[..., RunManifest],
    make_figure: Callable[..., Any],
    rows: list[SampleRow],
    numbers: list[float],
    word: str,
) -> None:
    # The value of a NaN's bits is not kept by anyone, its being NaN is: repr compares so.
    figure = make_figure(task=word, model=word, metric=word, value=numbers[0], totals=tuple(numbers), signature=word)
    manifest = make_manifest(results=(figure,), suite={word: numbers}, notes=(word,))
    scores = [ScoreRow(word, word, word, word, word, numbers[0])]
    stats = [StatsRow(word, word, word, word, word, word, numbers)]
    with tempfile.TemporaryDirectory() as folder:
        record = seal(Path(folder) / "r", manifest, iter(rows), iter(scores), iter(stats))
        assert repr(list(record.iter_samples())) == repr(rows)
        assert repr(record.manifest) == repr(manifest)
        table = record.stats(word, word, word)
        assert repr(table.values.tolist()) == repr([numbers])
        assert (list(table.sample_ids), list(table.digests), list(table.clusters)) == ([word], [word], [word])
        values = record.scores()
        assert values.iloc[0, :5].tolist() == [word] * 5
        assert repr(values["value"].tolist()) == repr(numbers[:1])
        frame = record.samples()
        assert frame["text"].tolist() == [row.response.text for row in rows]
        assert repr(frame["meta"].tolist()) == repr([dict(row.response.meta) for row in rows])
        assert repr(record.to_pandas()["task"].tolist()) == repr([word])
        record.verify()
