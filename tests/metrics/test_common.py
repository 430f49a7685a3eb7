"""What every registered metric must hold. A new metric gets these tests free; it adds only cases of its own."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import math
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from evalharness.core.protocols import Metric
from evalharness.core.registry import registry
from evalharness.core.types import KINDS, LogLikelihood, Response, Sample
from evalharness.metrics import BUILTIN
from evalharness.metrics.base import RowsMetric, check_batch
from evalharness.metrics.interval import sample_values, summarize

ROOM = registry("metrics")


@pytest.fixture(params=ROOM.names())
def cls(request):
    return ROOM.load(request.param)


SCRIPT = """
import datasets
import evaluate


class Exact(evaluate.Metric):
    def _info(self):
        several = datasets.Features(
            {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))}
        )
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=several)

    def _compute(self, predictions, references):
        return {"exact": sum(p in r for p, r in zip(predictions, references, strict=True)) / len(predictions)}
"""


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    """A metric script of huggingface/evaluate."""
    folder = tmp_path_factory.mktemp("scripts") / "exact"
    folder.mkdir()
    (folder / "exact.py").write_text(SCRIPT)
    return str(folder)


OWN = """
from evalharness.metrics.base import MeanMetric, answer_text, golds


class Longer(MeanMetric):
    name = "longer"

    def values(self, samples, responses):
        return [
            None if not golds(s) else float(r.status != "error" and len(answer_text(r)) >= len(golds(s)[0]))
            for s, r in zip(samples, responses, strict=True)
        ]
"""


@pytest.fixture(scope="session")
def own_metric(tmp_path_factory):
    """A metric of a user's own, where Python finds it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "evalharness_test_longer.py").write_text(OWN)
    sys.path.append(str(folder))
    yield "evalharness_test_longer:Longer"
    sys.path.remove(str(folder))


CLASSIFIERS = ("toxicity", "sentiment", "groundedness", "context_recall", "context_precision")
REFUSALS = ("harmful_refusal_rate", "over_refusal_rate", "compliance_rate", "balanced_refusal")
DISPARITIES = ("demographic_parity", "equalized_odds")
RETRIEVAL = ("recall_at_k", "precision_at_k", "mrr", "ndcg_at_k", "map")


@pytest.fixture(scope="session")
def lexicon(tmp_path_factory):
    """A lexicon in HurtLex's format."""
    path = tmp_path_factory.mktemp("lexicon") / "hurtlex_EN.tsv"
    path.write_text("id\tpos\tcategory\tlemma\tlevel\nEN1\tn\tan\tcat\tconservative\n")
    return path


@pytest.fixture
def required(cls, request):
    """The options that a metric cannot be made without."""
    if cls.name in ("semantic_similarity", "bertscore"):
        return {"checkpoint": str(request.getfixturevalue("networks")()), "dtype": "float64"}
    if cls.name in CLASSIFIERS:
        labels = ("toxic", "entailment", "neutral")
        found = {"checkpoint": str(request.getfixturevalue("networks")(labels=labels)), "dtype": "float64"}
        if cls.name == "sentiment":
            return {**found, "label": "toxic"}
        return found if cls.name == "toxicity" else {**found, "context": "prompt", "threshold": 0.3}
    if cls.name == "label_probability":
        return {"label": "positive"}
    if cls.name == "honest_score":
        return {"lexicon": str(request.getfixturevalue("lexicon"))}
    if cls.name == "max_of_repeats":
        return {"of": "exact_match"}
    if cls.name == "python":
        return {"path": request.getfixturevalue("own_metric")}
    if cls.name == "code_execution":
        return {"timeout_s": 30.0}
    script = request.getfixturevalue("script")
    if cls.name == "llm_judge":
        return {"model": "judge", "rubric": "Is it good?", "classes": {"bad": 0.0, "good": 1.0}}
    if cls.name == "json_schema_match":
        pytest.importorskip("jsonschema", reason="needs the json-schema extra")
        return {"schema": {"type": "object"}}
    if cls.name == "meteor":
        return {"match": "stem"}  # synonyms need WordNet's data; its own tests have some
    if cls.name == "language_match":
        return {"language": "en"}
    if cls.name in REFUSALS:
        fields = {field.name for field in dataclasses.fields(cls)}
        return {name: label for name, label in (("refuse", "negative"), ("answer", "positive")) if name in fields}
    if cls.name == "by_group":  # the worst level has the bounds and the direction of the metric behind it
        return {"metric": "accuracy", "column": "half", "levels": ("a", "b"), "least_n": 2, "what": "worst"}
    if cls.name in DISPARITIES:
        return {"column": "half", "levels": ("a", "b"), "least_n": 2}
    if cls.name.startswith("stereoset_"):
        return {"terms": ("negative", "neutral", "positive"), "ties": "half"}
    if cls.name != "evaluate":
        return {}
    pytest.importorskip("evaluate", reason="needs the evaluate extra")
    return {"path": script, "lowest": 0.0, "highest": 1.0, "resamples": 20}


@pytest.fixture
def metric(cls, labels, required):
    options = {"positive": labels[-1]} if "positive" in {f.name for f in dataclasses.fields(cls)} else {}
    made = doubled(cls)(**options, **required).for_task(labels)
    return made.for_run(base=Path(), allow_code=True) if hasattr(made, "for_run") else made


@pytest.fixture
def batch(cls, batch):
    """The answers of every kind; for a metric of pairs every other one is to a question in other words."""
    if cls.name != "flip_rate":
        return batch
    levels = ("original", "typos")
    samples = [
        dataclasses.replace(s, id=f"{s.id[0]}{i // 2}#{levels[i % 2]}", groups={"perturbation": levels[i % 2]})
        for i, s in enumerate(batch[0])
    ]
    return samples, batch[1]


def doubled(cls):
    """A metric that compares the answers to one sample gets two of each here: every other time they are the same."""
    if not hasattr(cls, "repeat_stats") or cls().least_repeats == 1:
        return cls

    def sample_stats(self, samples, responses):
        check_batch(samples, responses)
        others = [
            dataclasses.replace(r, answer="x") if r.key.startswith("k") and r.key[-1] in "38" else r for r in responses
        ]
        return self.repeat_stats(samples, list(zip(responses, others, strict=True)))

    name = f"Doubled{cls.__name__}"
    made = type(name, (cls,), {"sample_stats": sample_stats, "__module__": __name__})
    globals()[name] = dataclasses.dataclass(frozen=True)(made)
    return globals()[name]


@pytest.fixture
def stats(metric, batch):
    found = metric.sample_stats(*batch)
    found.setflags(write=False)  # a metric that writes into its arguments fails loudly
    return found


def value_of(metric, rows):
    if isinstance(metric, RowsMetric):
        return float(metric.finalize_rows(rows))
    return float(metric.finalize(rows.sum(axis=0)))


def worthless(metric, rows):
    """No better than an answer in which nothing is right; error rates can be worse still."""
    value = value_of(metric, rows)
    return value <= 0.0 if metric.higher_is_better else value >= 1.0


def same(first, second):
    return np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12, equal_nan=True)


# ── what it says of itself ────────────────────────────────────────────────────────────────────────────────────────


def test_holds_the_protocol(metric, cls):
    assert isinstance(metric, Metric)
    assert BUILTIN.get(metric.name, "").endswith(f":{cls.__name__}") or metric.name not in BUILTIN
    assert metric.kinds
    assert metric.kinds <= set(KINDS)
    assert metric.needs <= {"references", "target"}
    assert metric.interval in ("proportion", "mean", "bootstrap")
    low, high = metric.bounds
    assert low < high
    for flag in ("higher_is_better", "scores_blank", "counts_states"):
        assert isinstance(getattr(metric, flag), bool)


def test_name_is_the_registered_one():
    for name in BUILTIN:
        assert ROOM.load(name).name == name


def test_a_suite_has_its_figure(metric):
    from evalharness.suite.metric_specs import figures_of_metric

    named = metric.for_figure("shown") if hasattr(metric, "for_figure") else metric
    assert "shown" in dict(figures_of_metric("shown", named))


def test_columns(metric):
    assert len(set(metric.columns)) == len(metric.columns)
    assert metric.columns[0] == "n"


def test_docstring(cls):
    text = cls.__doc__
    first = text.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 120
    assert re.search(r"^ {8}\S", text, re.MULTILINE), "a formula stands indented in the docstring"
    assert "Source: " in text
    documented = re.findall(r"^ {8}(\w+): ", text.partition("Options:")[2].partition("Source:")[0], re.MULTILINE)
    assert documented == [f.name for f in dataclasses.fields(cls)]


def test_is_a_frozen_value(metric, cls):
    assert dataclasses.is_dataclass(cls)
    assert metric == copy.deepcopy(metric) == pickle.loads(pickle.dumps(metric))
    assert hash(metric) == hash(copy.deepcopy(metric))
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
        metric.anything = 1


def test_signature_tells_options_apart(cls, metric, labels):
    assert metric.signature.strip()
    metric = dataclasses.replace(metric)  # as the changed ones: a copy has loaded nothing
    other = {bool: lambda v: not v, int: lambda v: v + 1, tuple: lambda v: (*v, 0.5) if v and v[0] != labels[0] else v}
    for field in dataclasses.fields(metric):
        value = getattr(metric, field.name)
        change = other.get(type(value))
        if change is None or change(value) == value:
            continue
        changed = dataclasses.replace(metric, **{field.name: change(value)})
        assert changed.signature != metric.signature, field.name


def test_literal_options_change_the_signature(cls, metric):
    metric = dataclasses.replace(metric)
    for name, schema in TypeAdapter(cls).json_schema()["properties"].items():
        for choice in schema.get("enum", ()):
            changed = dataclasses.replace(metric, **{name: choice})
            assert (changed.signature == metric.signature) == (choice == getattr(metric, name)), (name, choice)


def test_options_are_typed(cls, required):
    adapter = TypeAdapter(cls)
    assert adapter.validate_python(required) == cls(**required)
    with pytest.raises(ValidationError):
        adapter.validate_python({**required, "no_such_option": 1})
    for field in dataclasses.fields(cls):
        with pytest.raises(ValidationError):
            adapter.validate_python({**required, field.name: object()})


# ── statistics ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_shape_and_type(metric, stats, batch):
    assert stats.shape == (len(batch[0]), len(metric.columns))
    assert stats.dtype == np.float64
    assert np.isfinite(stats).all()
    assert set(np.unique(stats[:, 0])) <= {0.0, 1.0}
    assert not stats[stats[:, 0] == 0].any(), "a row that measures nothing is all zeros"
    assert stats[:, 0].any()


def test_nothing(metric):
    empty = metric.sample_stats([], [])
    assert empty.shape == (0, len(metric.columns))
    assert empty.dtype == np.float64
    assert math.isnan(value_of(metric, empty))
    assert all(map(math.isnan, summarize(metric, empty)[:3]))
    assert sample_values(metric, empty).shape == (0,)


def test_one_sample(metric, batch, stats):
    for i in range(len(batch[0])):
        alone = metric.sample_stats([batch[0][i]], [batch[1][i]])
        same(alone, stats[i : i + 1])
        found = summarize(metric, alone)
        same(found.value, value_of(metric, alone))
        if metric.interval != "proportion" and not getattr(metric, "interval_of_one", False):
            assert math.isnan(found.low)
            assert math.isnan(found.high)
            assert found.method.partition(":")[0] == "none"


def test_shards_merge_to_the_whole(metric, batch, stats):
    samples, responses = batch
    for cut in (1, 7, len(samples) - 1):
        parts = [metric.sample_stats(samples[a:b], responses[a:b]) for a, b in ((0, cut), (cut, None))]
        same(np.concatenate(parts), stats)
        if not isinstance(metric, RowsMetric):
            same(metric.finalize(parts[0].sum(axis=0) + parts[1].sum(axis=0)), metric.finalize(stats.sum(axis=0)))


def test_order_does_not_matter(metric, batch, stats):
    order = np.random.default_rng(0).permutation(len(stats))
    shuffled = metric.sample_stats([batch[0][i] for i in order], [batch[1][i] for i in order])
    same(shuffled, stats[order])
    same(value_of(metric, shuffled), value_of(metric, stats))


def test_groups_are_sums(metric, batch, stats):
    if isinstance(metric, RowsMetric):
        pytest.skip("its figure does not follow from totals")
    member = np.arange(len(stats)) % 3 == np.arange(3)[:, None]
    of_groups = metric.finalize(member.astype(float) @ stats)
    for group, row in zip(of_groups, member, strict=True):
        chosen = np.flatnonzero(row)
        alone = metric.sample_stats([batch[0][i] for i in chosen], [batch[1][i] for i in chosen])
        same(group, value_of(metric, alone))


def test_arguments_stay_as_they_were(metric, batch):
    samples, responses = batch
    before = copy.deepcopy((samples, responses))
    metric.sample_stats(samples, responses)
    assert (samples, responses) == before


def test_accepts_tuples(metric, batch, stats):
    same(metric.sample_stats(tuple(batch[0]), tuple(batch[1])), stats)


def test_the_same_twice(metric, batch, stats):
    assert (metric.sample_stats(*batch) == stats).all()


# ── finalize ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_finalize_is_vectorised(metric, stats):
    totals = np.stack([stats[i : i + 6].sum(axis=0) for i in range(12)]).reshape(3, 4, -1)
    totals.setflags(write=False)
    found = metric.finalize(totals)
    assert found.shape == (3, 4)
    assert found.dtype == np.float64
    same(found, [[float(metric.finalize(cell)) for cell in row] for row in totals])
    assert np.shape(metric.finalize(totals[0, 0])) == ()
    assert metric.finalize(np.zeros((0, totals.shape[-1]))).shape == (0,)


def test_finalize_of_nothing_is_nan(metric):
    assert np.isnan(metric.finalize(np.zeros((2, len(metric.columns))))).all()


def test_finalize_rows_is_vectorised(metric, stats):
    if not isinstance(metric, RowsMetric):
        pytest.skip("its figure follows from totals")
    weights = np.random.default_rng(0).integers(0, 3, size=(2, 5, len(stats))).astype(float)
    weights.setflags(write=False)
    found = metric.finalize_rows(stats, weights)
    assert found.shape == (2, 5)
    for index in np.ndindex(2, 5):
        repeated = np.repeat(stats, weights[index].astype(int), axis=0)
        same(found[index], metric.finalize_rows(repeated))
    assert np.isnan(metric.finalize_rows(stats, np.zeros((1, len(stats))))).all()
    assert np.isnan(metric.finalize(stats.sum(axis=0)))


def test_within_bounds(metric, stats):
    low, high = metric.bounds
    rng = np.random.default_rng(1)
    many = rng.integers(0, 4, size=(200, len(stats))).astype(float) @ stats
    values = np.concatenate([sample_values(metric, stats), metric.finalize(many), [value_of(metric, stats)]])
    known = values[~np.isnan(values)]
    assert known.size
    assert (known >= low).all()
    assert (known <= high).all()


def test_summary(metric, stats):
    found = summarize(metric, stats, seed=3)
    assert found == summarize(metric, stats, seed=3)
    same(found.value, value_of(metric, stats))
    if getattr(metric, "n_resamples", None) == 0:
        assert found.method == "none"
        return
    assert metric.bounds[0] <= found.low <= found.high <= metric.bounds[1]
    narrow = summarize(metric, stats, seed=3, confidence=0.6)
    assert found.low <= narrow.low <= narrow.high <= found.high
    clustered = summarize(metric, stats, clusters=[f"c{i % 9}" for i in range(len(stats))], seed=3)
    same(clustered.value, found.value)
    assert "cluster" in clustered.method or clustered.method == "no-variation"
    assert metric.bounds[0] <= clustered.low <= clustered.high <= metric.bounds[1]


def test_means_over_repeats_are_rows_too(metric, stats):
    """The scorer hands over the mean of a sample's rows over its repeats: counts are then fractions."""
    rows = (stats[0::2] + stats[1::2]) / 2
    if hasattr(metric, "merge_repeats"):  # whose rows are no numbers to be averaged
        rows = metric.merge_repeats(stats, np.repeat(np.arange(len(stats) // 2), 2))
    values = sample_values(metric, rows)
    known = values[~np.isnan(values)]
    assert (known >= metric.bounds[0]).all()
    assert (known <= metric.bounds[1]).all()
    found = summarize(metric, rows, seed=0)
    if found.method != "none":
        assert metric.bounds[0] <= found.low <= found.high <= metric.bounds[1]


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_blank_answers(metric, batch):
    """`on_error: count_wrong` scores a failure as an empty answer: never better than any other answer."""
    samples = batch[0]
    blank = [Response(key=s.id, status="error", text="") for s in samples]
    stats = metric.sample_stats(samples, blank)
    assert np.isfinite(stats).all()
    if metric.scores_blank:
        by_target = metric.needs == {"target"}
        golds = [s.target is not None if by_target else bool(s.references) or not metric.needs for s in samples]
        assert stats[:, 0].tolist() == golds
        # Where nobody is answered, nobody is treated otherwise.
        assert worthless(metric, stats) or metric.name in DISPARITIES
    if metric.scores_blank and metric.needs == {"references"}:
        empty = [dataclasses.replace(s, references=("", "the")) for s in samples]
        assert worthless(metric, metric.sample_stats(empty, blank)), "an error is not the right empty answer"


def test_unmeasured_samples_are_zero_rows(metric):
    if not metric.needs:
        pytest.skip("it needs nothing of a sample")
    bare = Sample(id="x", digest="", prompt="p")
    stats = metric.sample_stats([bare], [Response(key="x", text="an answer", answer="an answer")])
    assert not stats.any()


def test_a_perfect_answer_is_best(metric, labels):
    others = ("llm_judge", "meteor", "code_execution", "groundedness", "context_recall", "context_precision")
    others += ("label_probability", "sentiment")  # of one label or tone, right or wrong
    others += (*REFUSALS, "needle_found", "effective_length")
    unbounded = metric.bounds[1] == math.inf or metric.kinds == {"study"}
    if unbounded or not metric.higher_is_better or metric.name in (*others, "precision_at_k"):
        pytest.skip("nothing is perfect here")
    if metric.name == "language_match":
        pytest.skip("the answers are in several languages")
    if metric.name.startswith("stereoset_"):
        pytest.skip("its choices have places of their own")
    golds = ["the quick brown fox jumps", "a lazy dog", "naïve", "你好，世界"]
    if metric.name.startswith(("json_", "tool_call")):
        golds = [f'{{"name": "{gold}"}}' for gold in golds]
    samples = [
        Sample(
            id=str(i),
            digest="",
            prompt="",
            references=(gold, "else"),
            target=labels[i % 3],
            choices=labels,
            groups={"half": "ab"[i % 2]},
            fields={"stereotype": "anti"},
        )
        for i, gold in enumerate(golds)
    ]
    by_label = metric.needs == {"target"}
    answers = [s.target if by_label else s.references[0] for s in samples]
    responses = [
        Response(
            key=s.id,
            text=a,
            answer=a,
            loglikelihoods=tuple(LogLikelihood(-1.0 if c == s.target else -99.0, 1) for c in labels),
            label_probabilities={label: float(label == s.target) for label in labels},
            meta={"unconditional": [-50.0] * len(labels)},
        )
        for s, a in zip(samples, answers, strict=True)
    ]
    if metric.name in RETRIEVAL:
        responses = [Response(key=s.id, text=json.dumps(s.references)) for s in samples]
    if metric.name == "regex":
        samples = [dataclasses.replace(s, references=(re.escape(s.references[0]),)) for s in samples]
    if metric.name in ("rouge2", "rouge3", "rougeN", "nltk_bleu"):  # a text of one word has no word pairs
        samples, responses = samples[:1], responses[:1]
    stats = metric.sample_stats(samples, responses)
    assert value_of(metric, stats) == pytest.approx(metric.bounds[1], abs=1e-9)


@pytest.mark.parametrize(
    ("samples", "responses", "error"),
    [
        ("text", [], TypeError),
        ([], "text", TypeError),
        (["text"], [Response(key="")], TypeError),
        ([Sample(id="", digest="", prompt="")], ["text"], TypeError),
        ([Sample(id="", digest="", prompt="")], [], ValueError),
    ],
)
def test_wrong_types_are_refused(metric, samples, responses, error):
    with pytest.raises(error, match=r"samples|responses"):
        metric.sample_stats(samples, responses)


def test_references_as_one_text_are_refused(metric):
    if metric.needs != {"references"} or metric.name == "python":
        pytest.skip("it reads no references, or the user's own code does")
    with pytest.raises(TypeError, match="not a str"):
        metric.sample_stats([Sample(id="x", digest="", prompt="", references="abc")], [Response(key="x", text="abc")])


def test_surrogates_and_control_characters(metric):
    text = "\ud800 a\x00b \u202e \U0001f468\u200d\U0001f469"
    sample = Sample(id="x", digest="", prompt=text, references=("plain", "\udfff"), target="\ud800")
    response = Response(key="x", text=text, loglikelihoods=(LogLikelihood(-1.0, 1),), latency_s=0.0)
    assert np.isfinite(metric.sample_stats([sample], [response])).all()


def test_no_module_of_the_room_imports_anything_heavy_at_its_top():
    import subprocess
    import sys

    modules = sorted({target.partition(":")[0] for target in BUILTIN.values()} | {"evalharness.metrics.interval"})
    heavy = "torch transformers pandas sklearn scipy sacrebleu nltk rouge_score rapidfuzz regex evaluate pydantic"
    code = (
        f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
        f"print([h for h in {heavy.split()!r} if h in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]", out.stdout


def test_all_lists_what_is_public():
    for target in BUILTIN.values():
        module, _, name = target.partition(":")
        assert name in importlib.import_module(module).__all__
