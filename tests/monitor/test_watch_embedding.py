"""What texts are about, watched by a monitor: one batch at a time, and only beside vectors of the same encoder."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from evalharness.cli.main import main
from evalharness.core.errors import UsageError
from evalharness.core.production import ProductionResponse
from evalharness.metrics.text_encoder import DEFAULT_ENCODER, TextEncoder
from evalharness.monitor.describe import watches_of

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modell": "x"}, "an encoder has no option 'modell'; did you mean 'model'"),
        ({"device": "tpu"}, "device: auto, cpu, mps, cuda or cuda:N, not 'tpu'"),
        ({"pooling": "median"}, "option pooling: .*'mean'.*; got 'median'"),
        ({"max_tokens": 2}, "max_tokens must be 4 or more"),
        ({"model": 3}, "option model: .*string"),
    ],
)
def test_options_of_the_encoder_are_checked(options, message):
    with pytest.raises(UsageError, match=f"the descriptor embedding: .*{message}"):
        watches_of([{"output.embedding": options}])


def test_an_encoder_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UsageError, match=f"{DEFAULT_ENCODER}' is not on this machine.*hf download"):
        watches_of(["output.embedding"], base=tmp_path)


@pytest.mark.model
def test_vectors_have_length_one_and_an_identity(networks, tmp_path):
    encoder = TextEncoder.of({"model": str(networks())}, base=tmp_path)
    texts = ["the film is good", None, "a bad film", " ", "the film is good"]
    vectors = encoder.vectors(texts)
    assert np.isnan(vectors[[1, 3]]).all()
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 2, 4]], axis=1), 1, atol=1e-9)
    np.testing.assert_array_equal(vectors[0], vectors[4])
    assert encoder.vectors([None]).shape == (1, encoder.dimensions) == (1, 32)
    same = TextEncoder.of({"model": networks().name, "device": "cpu"}, base=networks().parent)
    assert same.identity == encoder.identity
    others = [{"model": str(networks(seed=1))}, {"model": str(networks()), "pooling": "cls"}]
    assert len({encoder.identity, *(TextEncoder.of(one, base=tmp_path).identity for one in others)}) == 3


@pytest.mark.model
def test_texts_of_a_batch_are_encoded_together(networks, tmp_path, monkeypatch):
    (watch,) = watches_of([{"output.embedding": {"model": str(networks())}}], base=tmp_path)
    calls = []
    monkeypatch.setattr(TextEncoder, "vectors", lambda self, texts: calls.append(list(texts)) or np.zeros((3, 2)))
    watch.vectors([ProductionResponse(str(i), BEGIN, output=text) for i, text in enumerate(("a", "b", None))])
    assert calls == [["a", "b", None]]


@pytest.mark.model
def test_a_monitor_watches_what_answers_are_about(networks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    monitor = tmp_path / "monitor.yaml"
    monitor.write_text(
        f"""\
version: 1
name: bot
source: {{path: log.jsonl, content: true}}
schedule: "0 * * * *"
columns: [responses]
watch: [{{output.embedding: {{model: {networks()}}}}}]
"""
    )
    dice = random.Random(1)
    with (tmp_path / "log.jsonl").open("w") as file:
        for i in range(360):
            words = ["film", "good", "long", "the"] if i < 240 else ["1", "2", "3", "4"]
            text = " ".join(dice.choices(words, k=9))
            at = (BEGIN + timedelta(seconds=30 * i)).isoformat()
            file.write(json.dumps({"id": f"r{i}", "event_time": at, "input": "?", "output": text}) + "\n")

    def states():
        found = []
        for hour in range(3):
            span = f"{(BEGIN + timedelta(hours=hour)).isoformat()}/{(BEGIN + timedelta(hours=hour + 1)).isoformat()}"
            assert main(["monitor", "run", "monitor.yaml", "--interval", span, "--json"]) == 0, capsys.readouterr().err
            folder = tmp_path / "reports" / "monitors" / "bot"
            (last,) = folder.glob(f"*T0{hour}*_*T0{hour + 1}*")
            about = json.loads((last / "window.json").read_text())
            found.append({f["column"]: f["state"] for f in about["findings"]}.get("output.embedding"))
        return found

    assert states() == [None, "no_drift", "drift"]
    kept = sorted((tmp_path / "reports" / "monitors" / "bot").glob("reference-*"))
    assert len(kept) == 1
    monitor.write_text(monitor.read_text().replace("model:", "modle:"))
    span = f"{BEGIN.isoformat()}/{(BEGIN + timedelta(hours=1)).isoformat()}"
    assert main(["monitor", "run", "monitor.yaml", "--interval", span]) == 2
    err = capsys.readouterr().err
    assert "monitor.yaml:6:" in err
    assert "did you mean 'model'" in err


@pytest.mark.model
def test_other_weights_make_another_reference(networks, tmp_path):
    from types import SimpleNamespace

    from evalharness.monitor.references import _identity
    from evalharness.monitor.state_kit import StateKit
    from evalharness.suite.monitor_entry import DriftSettings

    def identity(*watch):
        monitor = SimpleNamespace(
            drift=DriftSettings(), columns=None, segments=(), reference="previous", watch=watch, scores=()
        )
        definition = SimpleNamespace(
            monitor=monitor, schedule=SimpleNamespace(length_s=None), base=tmp_path, digest="same"
        )
        return _identity(definition, StateKit(definition))

    found = [identity({"output.embedding": {"model": str(networks(seed=seed))}}) for seed in (0, 1)]
    assert len({identity("output.words"), *found}) == 3
