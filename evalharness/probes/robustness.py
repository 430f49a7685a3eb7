"""Robustness: does the answer stay what it is when the question says the same in other words?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from evalharness.core.types import Json, Row

from .base import ORIGINAL, Variant
from .disparity import figure, fits_by_group, unnamed
from .options import LABEL_SETS, label_variants, order_variants
from .perturb import Composed, composed_of
from .perturb.base import require
from .prompts import few_shot_variants, prompt_variants
from .written import written_variants

__all__ = ["DEFAULT_PERTURBATIONS", "Robustness"]

DEFAULT_PERTURBATIONS: tuple[str | dict[str, Any], ...] = (
    "typos",
    {"case": "lower"},
    {"case": "upper"},
    "punctuation",
    "whitespace",
    "homoglyphs",
    "diacritics",
    "contractions",
    "fillers",
    "numbers",
)
_MOST = 9


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Ask each question of a task in other words too, and see what the answers lose and how often they change.

    Each row is asked as it is and once for each variant, in one cluster. The figures are those of the other task, the
    loss from the original to the variants with its interval (the worst variant, and each), and the flip rate.

    Options:
        perturbations: rewritings of the text: a name (typos), {name: option} ({case: upper}), {name: {option: value}}
            ({typos: {rate: 0.3, as: many_typos}}), or a list of these, which are done one after the other. Without it,
            and without any of the next five, ten common ones.
        prompts: other templates of the prompt: a file, the template itself, or {name: …, prompt: …, choices: …}.
        written: files of rewritings that a model wrote beforehand (`evalharness rewritings`), from the suite's folder.
        few_shot_orders: so many other orders of the worked examples.
        option_orders: multiple choice: so many other orders of the options, each moved on by a place.
        option_labels: multiple choice: other labels than those in the prompt: letters, lower, numbers, roman.
        options: the field of a row with the list of options, or the fields with one option each (default: what
            `choices` reads).
        answer: the field with the gold answer (default: what `target` reads).
        expect: what becomes of the right answer under negation: same (a topic), or change (a sentiment); with change
            negation has a figure of its own, the share of answers that did.
        seed: of all that is drawn; a row's variants depend on the seed and its id alone.
        margin: a loss up to this, in the figure's unit, counts as none.
    """

    perturbations: tuple[str | dict[str, Any] | tuple[str | dict[str, Any], ...], ...] | None = None
    prompts: tuple[str | dict[str, Any], ...] = ()
    written: tuple[str, ...] = ()
    few_shot_orders: int = 0
    option_orders: int = 0
    option_labels: tuple[Literal["letters", "lower", "numbers", "roman"], ...] = ()
    options: str | tuple[str, ...] | None = None
    answer: str | None = None
    expect: Literal["same", "change"] = "same"
    seed: int = 0
    margin: float = 0.0

    name: ClassVar[str] = "robustness"
    question: ClassVar[str] = "robustness"
    description: ClassVar[str] = "The questions of a task in other words: what is lost, and how often answers change."
    column: ClassVar[str] = "perturbation"
    reference: ClassVar[bool] = True
    flagged: ClassVar[str] = "sensitive"
    scoring: ClassVar[frozenset[str]] = frozenset({"margin", "least_n"})

    def __post_init__(self) -> None:
        for key in ("few_shot_orders", "option_orders"):
            require(0 <= getattr(self, key) <= _MOST, f"{key} must be from 0 to {_MOST}; got {getattr(self, key)}")
        require(self.margin >= 0, f"margin must not be negative; got {self.margin}")
        unknown = [name for name in self.option_labels if name not in LABEL_SETS]
        require(not unknown, f"option_labels: {unknown} is none of {', '.join(LABEL_SETS)}")
        names = [found.name for found in self._composed()]
        again = sorted({name for name in names if names.count(name) > 1})
        require(
            not again,
            f"two perturbations are called {', '.join(again)}; name one: {{typos: {{rate: 0.3, as: many_typos}}}}",
        )
        require(
            self.perturbations != () or self._has_others(), "perturbations is empty; name at least one, or leave it out"
        )

    def _has_others(self) -> bool:
        return bool(self.prompts or self.written or self.few_shot_orders or self.option_orders or self.option_labels)

    def _composed(self) -> list[Composed]:
        if self.perturbations is None:
            return [] if self._has_others() else [composed_of(spec) for spec in DEFAULT_PERTURBATIONS]
        return [composed_of(spec) for spec in self.perturbations]

    def variants(self, task: Mapping[str, Json], base: Path) -> Sequence[Variant]:
        """The rewritings of the rows of `task`, and those of its own entry."""
        found = [Variant(composed.name, self._rewrite(composed)) for composed in self._composed()]
        if self.prompts:
            found += prompt_variants(task, self.prompts, base)
        if self.written:
            found += written_variants(self.written, base)
        if self.few_shot_orders:
            found += few_shot_variants(task, self.few_shot_orders)
        if self.option_orders:
            found += order_variants(task, self.option_orders, options=self.options, answer=self.answer)
        if self.option_labels:
            found += label_variants(task, self.option_labels, answer=self.answer, base=base)
        return found

    def _rewrite(self, composed: Composed) -> Any:
        def rewrite(row: Row, fields: tuple[str, ...]) -> Row | None:
            return composed.row(row, fields, seed=self.seed)

        return rewrite

    def metrics(self, metrics: Sequence[Json], levels: Sequence[str]) -> Sequence[Json]:
        """The other task's metrics, their losses, and the flip rates."""
        turned = [found.name for found in self._composed() if not found.keeps_meaning and self.expect == "change"]
        same = [level for level in levels if level != ORIGINAL and level not in turned]
        made: list[Json] = list(metrics)
        for spec in metrics:
            if same and fits_by_group(spec):
                made += self._losses(spec, same)
        if same:
            made.append({"flip_rate": {"column": self.column, **({"levels": same} if turned else {})}})
        if turned:
            made.append(
                {
                    "flip_rate": {
                        "column": self.column,
                        "levels": turned,
                        "expect": "change",
                        "as": "changed_as_expected",
                    }
                }
            )
        return made

    def speaks(self, figure: str) -> bool:
        """The loss to the worst variant allows for having looked at all; each by itself would cry wolf."""
        return figure.endswith("_drop")

    def _losses(self, spec: Json, levels: Sequence[str]) -> list[Json]:
        name = figure(spec)
        common: dict[str, Json] = {
            "metric": unnamed(spec),
            "column": self.column,
            "what": "drop",
            "reference": ORIGINAL,
            "margin": self.margin,
        }
        worst: Json = {"by_group": {**common, "levels": [ORIGINAL, *levels], "as": f"{name}_drop"}}
        if len(levels) == 1:
            return [worst]
        each: list[Json] = [
            {"by_group": {**common, "levels": [ORIGINAL, level], "as": f"{name}_drop_{level}"}} for level in levels
        ]
        return [worst, *each]
