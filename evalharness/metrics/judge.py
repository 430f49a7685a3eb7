"""What language models say of answers, as a figure: `llm_judge` and the figures beside it.

The judges are asked by the runner, which puts what they said into the response: `response.meta["judged"][FIGURE]`. The
metrics here read it from there, so that a record can be scored again without a call.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.protocols import IntervalKind, Metric, Need
from evalharness.core.types import FAILED_STATES, Response, Sample

from .base import NEEDS_NOTHING, NEEDS_REFERENCES, MeanMetric, distinct, require
from .judge_companions import PositionBias, Spread, WithinSd, verdicts_of
from .judge_verdict import PAIR_VALUES, VerdictForm
from .places import parse_place
from .rubrics import BUILTIN, rubric_words

__all__ = ["LlmJudge", "rubric_file"]

_FILE = re.compile(r"[^\n{}]+\.(?:md|txt|j2|jinja2?)\Z")
_BOUND = re.compile(r"\|judgement:([0-9a-f]+)")
_RATED = re.compile(r"\|ratings:([0-9a-f]+)")
_REFERENCE = "reference"
_MAX_REPEATS = 100
_MOST_POINTS = 1000


def rubric_file(rubric: str | Mapping[str, str]) -> str | None:
    """The path that a rubric names: `{file: PATH}`, or one line that ends as a file of text does; None for a text."""
    if not isinstance(rubric, str):
        return rubric.get("file")
    return rubric if _FILE.match(rubric) else None


@dataclass(frozen=True, slots=True)
class _Bound:
    """What is no option: the name of the figure, what the rubric says, and what the judgement and the ratings are."""

    figure: str = "llm_judge"
    rubric: str | None = None
    judgement: str = "not-bound"
    ratings: str = ""


@dataclass(frozen=True, kw_only=True)
class LlmJudge(MeanMetric):
    """Mean of what one or several language models say of the answers, by a rubric.

        mean_i v_i,  v_i = mean of the verdicts on answer i: judges, repeats, and for pairs both orders

    A verdict is a number of `scale` or one of `classes`; with `against` it says which of two answers is better, is
    asked for in both orders, and counts 1 (win), 0.5 (tie, or orders that disagree) or 0 (loss). An answer on which no
    verdict can be read is left out and counted as failed (`judge_failed`). The judges are models of the suite; those
    that no task names under `model` are judges only. Beside the figure stand FIGURE_within_sd (with `repeats`: the
    standard deviation of a judge's verdicts on the same answer), FIGURE_spread (with several judges: that between
    judges) and FIGURE_position_bias (with `against`: the share of pairs whose verdict changed with their order).

    Options:
        model: the judge, or a list of judges: names of models of the suite.
        rubric: what the judges go by: a text, or the path of a .md, .txt or .j2 file, from the suite's folder; a
            template over the row's fields and answer, question and reference. Or one of ours: builtin:groundedness,
            builtin:answer_relevance, builtin:context_relevance.
        scale: the lowest and the highest number that a judge can give (default: 1 to 5); whole numbers, but for
            [0, 1], where any number between counts.
        classes: instead of a scale: labels from the worst to the best, which count from 0 to 1 in equal steps, or
            {label: number}.
        against: judge pairs: this other model of the suite answered the same question; `reference` stands for the
            sample's reference.
        repeats: how often each judge is asked about the same answer; give the judge a temperature then.
        explain: ask for a reason before the verdict.
        structured: hold the judge to a JSON Schema where its backend can; false for servers that know none.
        calibrate: a file with people's ratings (sample_id, value or label, perhaps model, repeat, rater), from the
            suite's folder. The figure is then the mean that people would give, and FIGURE_raw that of the judges.

        context: where the documents of an answer stand, which the judges are shown as a text of their own (in the
            rubric {{ documents }}): meta.docs.text (what the answer brought along), row.column.

    Source: Zheng et al. 2023 (MT-Bench): single answers and pairs in both orders; no tool's figure is claimed.
    """

    model: str | tuple[str, ...]
    rubric: str | dict[str, str]
    scale: tuple[float, ...] | None = None
    classes: tuple[str, ...] | dict[str, float] | None = None
    against: str | None = None
    repeats: int = 1
    explain: bool = True
    structured: bool = True
    calibrate: str | None = None
    context: str | None = None

    name = "llm_judge"
    scores_blank = True

    def __post_init__(self) -> None:
        judges = self.judges
        require(bool(judges) and all(judges), "model: name a model of the suite, or several: [judge, other]")
        require(distinct(judges), "model: no judge may stand twice; ask one several times with `repeats`")
        require(_is_rubric(self.rubric), "rubric: give a text, or the path of a file, or {file: PATH}")
        if self.rubric_path is None:
            try:
                rubric_words(str(self.rubric))
            except UsageError as error:
                require(False, f"rubric: {error}")
        require(self.scale is None or self.classes is None, "give either scale or classes, not both")
        if self.against is not None:
            require(self.scale is None, "scale has no effect with against: a pair is won, lost or a tie; remove it")
            require(self.classes is None, "classes has no effect with against: a pair is won, lost or a tie; remove it")
            require(bool(self.against), "against: name another model of the suite, or write reference")
        if self.scale is not None:
            require(len(self.scale) == 2, "scale: give the lowest and the highest number: [1, 5]")
            low, high = self.scale
            good = math.isfinite(low) and math.isfinite(high) and low < high
            require(good, f"scale: the first number must be the lower one, not [{low:g}, {high:g}]")
        if self.classes is not None:
            require(len(self.classes) > 1, "classes: give two or more")
            labels = tuple(self.classes)
            require(distinct(labels) and all(label.strip() for label in labels), "classes: each must have its own name")
            values = tuple(self.values_of_classes.values())
            require(all(map(math.isfinite, values)), "classes: what they count must be numbers")
            require(len(set(values)) > 1, "classes: they must not all count the same")
        if self.context is not None:
            parse_place(self.context, option="context")
        require(1 <= self.repeats <= _MAX_REPEATS, f"repeats must be from 1 to {_MAX_REPEATS}, not {self.repeats}")
        object.__setattr__(self, "_bound", _Bound())

    def __hash__(self) -> int:
        return hash((self.judges, str(self.rubric), self.scale, str(self.classes), self.against, self.repeats))

    # ── what it is made of ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def judges(self) -> tuple[str, ...]:
        """The names of the judges."""
        return (self.model,) if isinstance(self.model, str) else self.model

    @property
    def values_of_classes(self) -> dict[str, float]:
        """What each class counts."""
        if self.classes is None or isinstance(self.classes, dict):
            return dict(self.classes or {})
        return {label: index / (len(self.classes) - 1) for index, label in enumerate(self.classes)}

    @property
    def form(self) -> VerdictForm:
        """What a verdict must look like."""
        if self.against is not None:
            return VerdictForm("pair", 0.0, 1.0, explain=self.explain)
        if self.classes is not None:
            return VerdictForm("classes", *self.bounds, classes=self.values_of_classes, explain=self.explain)
        return VerdictForm("scale", *self.bounds, explain=self.explain)

    @property
    def against_reference(self) -> bool:
        """Whether the other answer of a pair is the sample's reference."""
        return self.against == _REFERENCE

    @property
    def rubric_path(self) -> str | None:
        """The file that the rubric stands in, None where it stands in the suite."""
        return rubric_file(self.rubric)

    @property
    def rubric_source(self) -> str | dict[str, str]:
        """The rubric as it is written, or the text of the built-in one that it names."""
        return self.rubric if self.rubric_path is not None else rubric_words(str(self.rubric))

    @property
    def names(self) -> frozenset[str]:
        """What the rubric sees beside the names that every rubric sees."""
        ours = isinstance(self.rubric, str) and self.rubric.startswith(BUILTIN)
        return frozenset({"documents"}) if ours or self.context is not None else frozenset()

    @property
    def figure(self) -> str:
        """What the figure is called in the suite."""
        return self._known.figure

    @property
    def rubric_text(self) -> str:
        """The rubric's template.

        Raises:
            UsageError: it stands in a file that was not read yet (`for_run`).
        """
        if self._known.rubric is None:
            raise UsageError(f"the rubric {rubric_file(self.rubric)!r} is not loaded; call for_run(base=…)")
        return self._known.rubric

    @property
    def _known(self) -> _Bound:
        found: _Bound = self._bound  # type: ignore[attr-defined]
        return (
            found
            if found.rubric is not None or rubric_file(self.rubric)
            else _with(found, rubric=str(self.rubric_source))
        )

    @property
    def points(self) -> tuple[float, ...]:
        """The values that a verdict may take; none where it may take any between two."""
        if self.against is not None:
            return tuple(sorted(PAIR_VALUES.values()))
        if self.classes is not None:
            return tuple(sorted(set(self.values_of_classes.values())))
        low, high = self.bounds
        whole = self.form.whole and high - low <= _MOST_POINTS
        return tuple(map(float, range(int(low), int(high) + 1))) if whole else ()

    def figures(self) -> list[tuple[str, Metric]]:
        """(name, metric) of the figure and of those beside it; to be asked of a metric that is bound."""
        name = self.figure
        found: dict[str, Any] = {name: self}
        if self.calibrate is not None:
            from .judge_agreement import judge_figures

            found |= judge_figures(
                name, bounds=self.bounds, points=self.points, calibrated=True, identity=self.signature
            )
            found[f"{name}_raw"] = self
        if self.repeats > 1:
            found[f"{name}_within_sd"] = WithinSd(self)
        if len(self.judges) > 1:
            found[f"{name}_spread"] = Spread(self)
        if self.against is not None:
            found[f"{name}_position_bias"] = PositionBias(self)
        return list(found.items())

    # ── bound to a suite and a run ────────────────────────────────────────────────────────────────────────────────

    def for_figure(self, figure: str) -> LlmJudge:
        """Under the name that the suite gives the figure."""
        return self._changed(figure=figure)

    def for_run(self, *, base: Path, allow_code: bool) -> LlmJudge:
        """With the rubric and the digest of the ratings read; their paths start from `base`.

        Raises:
            UsageError: a file cannot be read.
        """
        path = self.rubric_path
        rubric = str(self.rubric_source) if path is None else _bytes(base / path, path).decode("utf-8-sig")
        rated = "" if self.calibrate is None else sha256(_bytes(base / self.calibrate, self.calibrate)).hexdigest()
        return self._changed(rubric=rubric, ratings=rated[:16])

    def for_judgement(self, judgement: str) -> LlmJudge:
        """With the digest of all that decides the verdicts: rubric, judges, form."""
        return self._changed(judgement=judgement)

    def as_recorded(self, signature: str) -> LlmJudge:
        """As the metric of a record with this signature."""
        judgement, ratings = _BOUND.search(signature), _RATED.search(signature)
        return self._changed(
            judgement=judgement[1] if judgement else "not-bound", ratings=ratings[1] if ratings else ""
        )

    def _changed(self, **changes: Any) -> LlmJudge:
        found = dataclasses.replace(self)
        object.__setattr__(found, "_bound", _with(self._bound, **changes))  # type: ignore[attr-defined]
        return found

    # ── the protocol ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """The lowest and the highest verdict."""
        if self.against is not None:
            return (0.0, 1.0)
        if self.classes is not None:
            values = self.values_of_classes.values()
            return (min(values), max(values))
        return (1.0, 5.0) if self.scale is None else (float(self.scale[0]), float(self.scale[1]))

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """A reference, where answers are judged against it."""
        return NEEDS_REFERENCES if self.against_reference else NEEDS_NOTHING

    @property
    def interval(self) -> IntervalKind:  # type: ignore[override]
        """Shares of a class and of wins are proportions where each sample is 0 or 1."""
        two = self.against is not None or set(self.values_of_classes.values()) == {0.0, 1.0}
        return "proportion" if two else "mean"

    @property
    def signature(self) -> str:
        hidden = ("rubric", "calibrate", "model")
        options = {key: value for key, value in self.options().items() if key not in hidden and value is not None}
        shown = [f"{key}:{_shown(value)}" for key, value in options.items()]
        known = self._known
        rated = [f"ratings:{known.ratings}"] if known.ratings else []
        names = ["judges:" + ",".join(self.judges), *shown, f"judgement:{known.judgement}", *rated]
        return "|".join([self.name, *names, f"version:{self.version}"])

    def failed(self, response: Response) -> bool:
        """Whether the judges were asked about the response, and no verdict of theirs can be read."""
        found = verdicts_of(response, self.figure)
        return found is not None and found.get("value") is None

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [self._value(response) for response in responses]

    def _value(self, response: Response) -> float | None:
        found = verdicts_of(response, self.figure)
        if found is None:
            # Nobody judges what never came; counted as wrong, it is worth the least.
            return self.bounds[0] if response.status in FAILED_STATES else None
        value = found.get("value")
        return float(value) if isinstance(value, int | float) else None


def _with(bound: _Bound, **changes: Any) -> _Bound:
    return dataclasses.replace(bound, **changes)


def _is_rubric(rubric: str | Mapping[str, str]) -> bool:
    if isinstance(rubric, str):
        return bool(rubric.strip())
    return set(rubric) == {"file"} and bool(rubric["file"].strip())


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"the file {name!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ",".join(f"{key}={number:g}" for key, number in value.items())
    if isinstance(value, tuple):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return str(value)
