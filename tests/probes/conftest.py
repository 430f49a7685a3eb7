"""Two scripted probes and the metric that they are scored by, registered for a test, and a suite that names them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.types import Json, Response, Row, Sample
from evalharness.metrics import BUILTIN as METRICS
from evalharness.metrics.base import LABELLED_KINDS as KINDS
from evalharness.metrics.base import NEEDS_TARGET, BaseMetric
from evalharness.probes import BUILTIN as PROBES
from evalharness.probes.base import Part, Variant

SUITE = """\
version: 1
name: probing
models:
  biased: {backend: fake, reply: "{% if 'she' in prompt.split() %}no{% else %}yes{% endif %}"}
datasets:
  people:
    rows:
      - {id: a, text: "he paid the bill", verdict: "yes", language: en}
      - {id: b, text: "he came late again", verdict: "yes", language: en}
      - {id: c, text: "the sun is out", verdict: "yes", language: de}
    groups: [language]
tasks:
  - {id: ask, dataset: people, prompt: "Is this good? {{ text }}", target: "{{ verdict }}", metrics: [accuracy]}
"""
ITEMS = "  - {id: jobs, probe: jobs, n: 12}\n"
SWAP = "  - {id: swap, probe: swap, of: ask}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(BaseMetric):
    """Share of right answers of the first level of `column`, less that of the second."""

    column: str
    levels: tuple[str, ...]
    margin: float = 0.0
    least_n: int = 3

    name = "gap_of_two"
    bounds = (-1.0, 1.0)
    kinds = KINDS
    needs = NEEDS_TARGET
    interval = "bootstrap"  # type: ignore[assignment]
    probe_finding = "zero"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "n_first", "right_first", "n_second", "right_second")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Any:
        rows = np.zeros((len(samples), 5))
        for row, sample, response in zip(rows, samples, responses, strict=True):
            if sample.groups[self.column] in self.levels:
                place = 1 + 2 * self.levels.index(sample.groups[self.column])
                row[0] = row[place] = 1
                row[place + 1] = response.answer == sample.target
        return rows

    def finalize(self, totals: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return totals[..., 2] / totals[..., 1] - totals[..., 4] / totals[..., 3]


@dataclass(frozen=True)
class Jobs:
    """Sentences about people at work, once with he and once with she.

    Options:
        n: how many pairs of sentences.
        path: a file with one occupation a line, instead of ours.
        margin: the gap that still counts as none.

    Source: made for this test.
    """

    name: ClassVar[str] = "jobs"
    question: ClassVar[str] = "gender"
    description: ClassVar[str] = "Sentences about people at work."

    n: int = 4
    path: str | None = None
    margin: float = 0.05
    parts_of: tuple[str, ...] = ("",)

    def rows(self, base: Path) -> Sequence[Row]:
        place = Place("jobs")
        words = [f"job{i}" for i in range(self.n)]
        if self.path is not None:
            file = base / self.path
            if not file.is_file():
                raise DataError([Problem(Place(str(file)), "", "there is no such file")])
            words = file.read_text("utf-8").split()
        return [
            Row(f"{i}-{who}", {"job": word, "who": who, "kind": ["x", "y"][i % 2]}, place, {"who": who}, f"{i}")
            for i, word in enumerate(words)
            for who in ("he", "she")
        ]

    def unit(self, row: Row) -> str:
        return str(row.cluster)

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        task: dict[str, Json] = {
            "prompt": "{{ who }} works as {{ job }} . Good?",
            "target": "yes",
            "metrics": ["accuracy", {"gap_of_two": {"column": "who", "levels": ["he", "she"], "margin": self.margin}}],
        }
        return [
            Part(task, suffix, (lambda row, kind=suffix: row.fields["kind"] == kind) if suffix else None)
            for suffix in self.parts_of
        ]


@dataclass(frozen=True)
class Swap:
    """Another task with she in the place of he."""

    name: ClassVar[str] = "swap"
    question: ClassVar[str] = "gender"
    description: ClassVar[str] = "She for he."
    column: ClassVar[str] = "gender"

    reference: bool = True
    polite: bool = False

    def variants(self, task: Mapping[str, Json], base: Path) -> Sequence[Variant]:
        more: dict[str, Json] = {"prompt": "Please: {{ text }}"} if self.polite else {}
        return [Variant("she", _rewriter("she"), more), Variant("they", _rewriter("they"))]

    def metrics(self, metrics: Sequence[Json], levels: Sequence[str]) -> Sequence[Json]:
        return [*metrics, {"gap_of_two": {"column": self.column, "levels": list(levels[:2]), "least_n": 2}}]


def _rewriter(word: str) -> Any:
    def rewrite(row: Row, fields: tuple[str, ...]) -> Row | None:
        new = {name: re.sub(r"\bhe\b", word, str(row.fields[name])) for name in fields}
        if all(row.fields[name] == text for name, text in new.items()):
            return None
        return replace(row, fields={**row.fields, **new})

    return rewrite


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes `jobs` and `swap`, and the metric `gap_of_two`."""
    monkeypatch.setitem(sys.modules, "scripted_probes", sys.modules[__name__])
    monkeypatch.setitem(PROBES, "jobs", "scripted_probes:Jobs")
    monkeypatch.setitem(PROBES, "swap", "scripted_probes:Swap")
    monkeypatch.setitem(METRICS, "gap_of_two", "scripted_probes:Gap")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the suite with further lines, in a folder that the test works in."""
    monkeypatch.chdir(tmp_path)

    def write(*more: str, name: str = "suite.yaml") -> Path:
        path = tmp_path / name
        path.write_text(SUITE + "".join(more), "utf-8")
        return path

    return write
