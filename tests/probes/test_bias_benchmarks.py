"""A scripted biased model is flagged by each of the bias benchmarks, and a scripted unbiased one is cleared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.metrics.interval import Summary, summarize
from evalharness.probes.bbq import Bbq
from evalharness.probes.crows_pairs import CrowsPairs
from evalharness.probes.stereoset import StereoSet
from evalharness.probes.winobias import OCCUPATIONS, WinoBias
from evalharness.probes.winogender import Winogender
from evalharness.runner.answers import reader_of
from evalharness.suite.metric_specs import build_metric
from evalharness.suite.render import TaskRenderer
from evalharness.suite.schema import PromptTask

Rng = np.random.Generator
Choose = Callable[[Sample, Rng], int]
"""Which of a sample's choices a scripted model finds the likeliest."""


@dataclass(frozen=True)
class Asked:
    """The samples that a probe makes, and how they are read and scored."""

    task: PromptTask
    samples: Sequence[Sample]
    metrics: dict[str, Any]

    @classmethod
    def of(cls, probe: Any, base: Path) -> Asked:
        rows = probe.rows(base)
        assert len({row.id for row in rows}) == len(rows)
        (part,) = probe.parts(rows)
        task = PromptTask.model_validate({"id": "t", "dataset": "d", **part.task})
        renderer = TaskRenderer(task, base=base)
        samples = [renderer.sample(row, task.groups) for row in rows]
        return cls(task, samples, dict(map(build_metric, task.metrics)))

    def figures(self, choose: Choose, seed: int = 0) -> dict[str, Summary]:
        rng, read = np.random.default_rng(seed), reader_of(self.task)
        responses = []
        for sample in self.samples:
            chosen = choose(sample, rng)
            found = tuple(LogLikelihood(-5.0 if i == chosen else -9.0 - i, 4) for i in range(len(sample.choices)))
            responses.append(read(sample, Response(key=sample.id, loglikelihoods=found)))
        clusters = [sample.cluster for sample in self.samples]
        named = None if None in clusters else [str(cluster) for cluster in clusters]
        return {
            name: summarize(metric, metric.sample_stats(self.samples, responses), clusters=named)
            for name, metric in self.metrics.items()
        }


def jsonl(folder: Path, name: str, rows: Sequence[Any]) -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def crows_pairs(base: Path) -> CrowsPairs:
    rows = [
        {
            "bias_type": ("age", "gender")[i % 2],
            "sent_more": f"One of {i} is lazy.",
            "sent_less": f"One of {i} is kind.",
        }
        for i in range(150)
    ]
    return CrowsPairs(path=jsonl(base, "crows.jsonl", rows), form="whole")


def stereoset(base: Path) -> StereoSet:
    kinds = ("intrasentence", "intersentence")
    rows = [
        {"type": kinds[i % 2], "target": f"term {t}", "bias_type": "race", "context": f"{t} {i} BLANK."}
        | {"stereotype": f"{t} {i} s.", "anti-stereotype": f"{t} {i} a.", "unrelated": f"{t} {i} u."}
        for t in range(20)
        for i in range(10)
    ]
    return StereoSet(path=jsonl(base, "stereoset.jsonl", rows))


def bbq(base: Path) -> Bbq:
    rows = []
    for i in range(480):
        polarity, clear = ("neg", "nonneg")[i % 2], bool(i // 2 % 2)
        rows.append(
            {"example_id": i, "question_index": str(i // 12), "category": "Age", "question_polarity": polarity}
            | {"context_condition": "disambig" if clear else "ambig", "label": i // 4 % 2 if clear else 2}
            | {"answer_info": {"ans0": ["man", "old"], "ans1": ["boy", "nonOld"], "ans2": ["Unknown", "unknown"]}}
            | {"additional_metadata": {"stereotyped_groups": ["old"]}, "context": f"Two of {i} waited."}
            | {"question": "Who was slow?", "ans0": "The man", "ans1": "The boy", "ans2": "Unknown"}
        )
    return Bbq(path=jsonl(base, "bbq.jsonl", rows))


def winobias(base: Path) -> WinoBias:
    men, women = ([name for name, gender in OCCUPATIONS.items() if gender == each] for each in ("male", "female"))
    sides: dict[str, list[str]] = {"pro": [], "anti": []}
    for i in range(200):
        he, she = men[i % 20], women[(i // 20 + i) % 20]
        for side, pronoun in (("pro", "he"), ("anti", "she")):
            sides[side].append(f"{i + 1} [The {he}] met the {she} when [{pronoun}] went out {i} times.")
    for side, found in sides.items():
        (base / f"{side}_stereotyped_type1.txt.test").write_text("\n".join(found) + "\n")
    return WinoBias(path=".")


def winogender(base: Path) -> Winogender:
    jobs = [f"job{i}" for i in range(60)]
    stats = "".join(f"{job}\t0\t{(i % 2) * 80 + 10}\t2015\n" for i, job in enumerate(jobs))
    (base / "occupations-stats.tsv").write_text(f"occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\n{stats}")
    templates = "".join(
        f"{job}\tguest\t{answer}\tThe $OCCUPATION told the $PARTICIPANT that $NOM_PRONOUN was {answer}.\n"
        for job in jobs
        for answer in (0, 1)
    )
    (base / "templates.tsv").write_text(f"occupation(0)\tother-participant(1)\tanswer\tsentence\n{templates}")
    return Winogender(path="templates.tsv")


# ── scripted models: with `share`, how often they go with the stereotype ──────────────────────────────────────────


def first_of_two(share: float) -> Choose:
    return lambda sample, rng: 0 if rng.random() < share else 1


def biased_answer(share: float) -> Choose:
    def choose(sample: Sample, rng: Rng) -> int:
        if rng.random() < 0.3:
            return 2  # says that it cannot be known
        biased = sample.choices.index(str(sample.fields["biased"]))
        return biased if rng.random() < share else 1 - biased

    return choose


def better_with(pro: float, anti: float) -> Choose:
    def choose(sample: Sample, rng: Rng) -> int:
        right = sample.choices.index(str(sample.target))
        accuracy = {"pro": pro, "anti": anti}.get(sample.groups["stereotype"], 0.5)
        return right if rng.random() < accuracy else 1 - right

    return choose


CASES: list[tuple[str, Callable[[Path], Any], str, float, Choose, Choose]] = [
    ("crows_pairs", crows_pairs, "crows_pairs", 0.5, first_of_two(0.7), first_of_two(0.5)),
    ("stereoset", stereoset, "stereoset_ss", 50.0, first_of_two(0.7), first_of_two(0.5)),
    ("bbq, ambiguous", bbq, "bias_ambiguous", 0.0, biased_answer(0.75), biased_answer(0.5)),
    ("bbq, disambiguated", bbq, "bias_disambiguated", 0.0, biased_answer(0.75), biased_answer(0.5)),
    ("winobias", winobias, "pro_anti_gap", 0.0, better_with(0.8, 0.6), better_with(0.7, 0.7)),
    ("winogender", winogender, "pro_anti_gap", 0.0, better_with(0.8, 0.5), better_with(0.7, 0.7)),
]
case = pytest.mark.parametrize(
    ("make", "figure", "null", "biased", "fair"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)


@case
def test_a_biased_model_is_flagged(
    make: Any, figure: str, null: float, biased: Choose, fair: Choose, tmp_path: Path
) -> None:
    found = Asked.of(make(tmp_path), tmp_path).figures(biased)[figure]
    assert found.low > null
    assert found.method != "none"


@case
def test_a_fair_model_is_rarely_flagged(
    make: Any, figure: str, null: float, biased: Choose, fair: Choose, tmp_path: Path
) -> None:
    """At most 7 % of 200 seeds, where 5 % are to be expected."""
    asked = Asked.of(make(tmp_path), tmp_path)
    alone = Asked(asked.task, asked.samples, {figure: asked.metrics[figure]})
    found = [alone.figures(fair, seed)[figure] for seed in range(200)]
    assert sum(not each.low <= null <= each.high for each in found) <= 14


def test_what_stands_beside_the_bias(tmp_path: Path) -> None:
    beside = {
        crows_pairs: {"crows_pairs_ties"},
        stereoset: {"stereoset_lms", "stereoset_icat"},
        bbq: {"accuracy_ambiguous", "accuracy_disambiguated", "unknown_ambiguous", "unknown_disambiguated"},
        winobias: {"accuracy", "gotcha_accuracy", "pro_accuracy"},
        winogender: {"accuracy", "gotcha_accuracy", "pro_accuracy"},
    }
    for make, names in beside.items():
        assert names <= set(Asked.of(make(tmp_path), tmp_path).metrics)


def test_a_model_that_never_answers_has_no_score_to_praise(tmp_path: Path) -> None:
    found = Asked.of(bbq(tmp_path), tmp_path).figures(lambda sample, rng: 2)
    assert np.isnan(found["bias_ambiguous"].value)
    assert np.isnan(found["bias_disambiguated"].value)
    assert (found["unknown_ambiguous"].value, found["accuracy_disambiguated"].value) == (1.0, 0.0)


def test_a_model_that_likes_nonsense_has_a_low_lms(tmp_path: Path) -> None:
    found = Asked.of(stereoset(tmp_path), tmp_path).figures(lambda sample, rng: 2)
    assert found["stereoset_lms"].value == 0
    assert found["stereoset_icat"].value == 0


def test_forms_of_crows_pairs(tmp_path: Path) -> None:
    base = crows_pairs(tmp_path)
    for form, score, normalize in (
        ("shared", "shared", "none"),
        ("whole", "all", "none"),
        ("per_token", "all", "tokens"),
    ):
        asked = Asked.of(CrowsPairs(path=base.path, form=form), tmp_path)  # type: ignore[arg-type]
        assert asked.task.score == score
        assert asked.metrics["crows_pairs"].normalize == normalize
    (first, *_) = Asked.of(base, tmp_path).samples
    assert (first.prompt, first.choices) == ("", ("One of 0 is lazy.", "One of 0 is kind."))


def test_either_pronoun(tmp_path: Path) -> None:
    winobias(tmp_path)
    asked = Asked.of(WinoBias(path=".", ask="pronoun"), tmp_path)
    assert asked.samples[0].choices == (
        "The driver met the attendant when he went out 0 times.",
        "The driver met the attendant when she went out 0 times.",
    )
    assert asked.figures(first_of_two(0.7))["pro_preference"].low > 0.5
    winogender(tmp_path)
    asked = Asked.of(Winogender(path="templates.tsv", ask="pronoun"), tmp_path)
    assert len(asked.samples) == 240
    assert asked.figures(first_of_two(0.7))["pro_preference"].low > 0.5


def test_the_question_of_coreference(tmp_path: Path) -> None:
    sample = Asked.of(winobias(tmp_path), tmp_path).samples[1]
    assert sample.prompt == "The driver met the attendant when she went out 0 times. ‘She’ refers to the"
    assert (sample.choices, sample.target) == (("driver", "attendant"), "driver")


def test_answers_of_bbq_read_from_text(tmp_path: Path) -> None:
    bbq(tmp_path)
    asked = Asked.of(Bbq(path="bbq.jsonl", ask="generation", chat=True), tmp_path)
    assert asked.task.choice_by == "generation"
    (turn,) = asked.samples[0].prompt
    assert turn.content.endswith("- The man\n- The boy\n- Unknown\nAnswer:")  # type: ignore[union-attr]
    read = reader_of(asked.task)
    assert read(asked.samples[0], Response(key="k", text=" The boy.")).answer == "The boy"
