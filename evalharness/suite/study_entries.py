"""The tasks that study how another task is answered: each sample is asked many times, masked or changed."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue, model_validator

from .fields import Strict, Template, Text, VariantName
from .task_base import AnyTask, MetricSpec

__all__ = ["AttackTask", "ExplainTask", "ExplanationQuality", "StudyTask"]

_EXPLAINED: tuple[MetricSpec, ...] = ("explanation_evaluations", "efficiency_gap")
"""The figures of an explanation without `quality`."""
_EXPLAINED_WELL: tuple[MetricSpec, ...] = (
    "comprehensiveness",
    "comprehensiveness_over_random",
    "sufficiency",
    "sufficiency_over_random",
    "deletion_auc",
    "deletion_auc_over_random",
    "insertion_auc",
    "insertion_auc_over_random",
    "seed_stability",
    "seed_stability_over_random",
    *_EXPLAINED,
)
"""The figures of an explanation whose quality is measured."""
_RANDOMISED: tuple[MetricSpec, ...] = (
    "randomisation_similarity",
    "randomisation_similarity_over_random",
    "randomisation_similarity_absolute",
    "randomisation_similarity_absolute_over_random",
)
"""With the check of a model whose upper layers know nothing."""


class ExplanationQuality(Strict):
    """What is measured of explanations besides the figures that need no more than the model itself."""

    randomisation: bool = Field(
        False,
        description="Explain the same model with its upper half drawn anew, too: an explanation that stays the same "
        "shows the text and not the model. Hugging Face models only; one more explanation a text.",
    )


class ExplainTask(AnyTask):
    """Why a model answers another task of the suite as it does: what each word or token of the prompt contributes.

    See [explanations](explanations.md).
    """

    explain: Literal["shap", "permutation", "exact", "occlusion", "integrated_gradients", "lime", "attention"] = Field(
        description="How. integrated_gradients and attention look into the model, and need one that runs here."
    )
    of: VariantName = Field(description="The task whose prompts are explained: one with classify, choices or prompt.")
    sample: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        50, description="So many of that task's samples, drawn by `seed`; or all."
    )
    limit: int | None = Field(None, ge=1, description="Draw from the first samples of that task only.")
    max_evals: int = Field(500, ge=3, description="Most masked versions of a text that the model is asked about.")
    players: Literal["words", "tokens"] = Field(
        "words", description="What is masked as one: words, or the tokens of a model that runs here."
    )
    output: Text = Field(
        "predicted",
        description="What is explained: predicted, target, all, or the name of a label. Of a prompt with an answer "
        "there is one output, and nothing to choose.",
    )
    answer: Template | None = Field(
        None,
        description="Prompts without choices: the answer whose log-odds are explained (default: the first reference, "
        "or the target).",
    )
    against: Template | None = Field(
        None, description="Another answer: then the difference of the two log-likelihoods is explained."
    )
    mask: str | None = Field(
        None,
        description="What stands in the place of a masked word; an empty text leaves it out (default: the model's own "
        "token for that, and `…` for models that do not run here).",
    )
    quality: bool | ExplanationQuality = Field(
        True,
        description="Measure how faithful each explanation is, beside random ones; costs more evaluations. "
        "{randomisation: true} adds the model-randomisation check.",
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Options of the method, such as {tolerance: 0.03} of shap or {steps: 64} of integrated_gradients; "
        "see [methods of explanation](explain-methods.md#options).",
    )
    seed: int | None = Field(None, ge=0, description="Seed of the draw and the method (default: the suite's seed).")
    metrics: tuple[MetricSpec, ...] = Field(
        _EXPLAINED_WELL, description="Figures of explanations, such as identity_mass; see [metrics](metrics.md)."
    )

    @property
    def randomisation(self) -> bool:
        """Whether the model is explained with random upper layers as well."""
        return isinstance(self.quality, ExplanationQuality) and self.quality.randomisation

    @property
    def groups(self) -> None:
        """Its samples have the groups of the task that it explains."""
        return None

    @model_validator(mode="after")
    def _consistent(self) -> ExplainTask:
        if self.against is not None and self.answer is None:
            raise ValueError("against has no effect without answer: the difference of the two is explained; add answer")
        if not self.quality and "metrics" not in self.model_fields_set:
            # Before anybody has seen the task, which nobody can change afterwards.
            object.__setattr__(self, "metrics", _EXPLAINED)
        if self.randomisation and "metrics" not in self.model_fields_set:
            object.__setattr__(self, "metrics", (*_EXPLAINED_WELL[:-2], *_RANDOMISED, *_EXPLAINED))
        return self


class AttackTask(AnyTask):
    """How easily a classifier is turned round: the fewest words of a text whose substitution changes its answer.

    Texts that it answers wrongly as they are are not attacked. See [robustness](robustness.md).
    """

    attack: Literal["words"] = Field(
        description="How: words, the most important first, in the words of `synonyms` or of an `encoder`."
    )
    of: VariantName = Field(description="The task whose texts are attacked: one with classify and a target.")
    synonyms: Text | None = Field(
        None,
        description="A UTF-8 file, from the suite's folder: a line lists words that may stand for one another, by "
        "commas (`film, movie, picture`).",
    )
    encoder: Text | None = Field(
        None,
        description="A sentence encoder: a folder, catalog:NAME, or a name in the local cache of the hub. Then a "
        "changed text counts only where its meaning stays near the original's, by `min_similarity`.",
    )
    min_similarity: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="With encoder: smallest cosine of the changed text and the original (default: 0.8).",
    )
    neighbours: int | None = Field(
        None,
        ge=1,
        description="With encoder: take as substitutes, beside the `synonyms`, so many words of its own vocabulary "
        "that are nearest to a word; antonyms are often among them.",
    )
    sample: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        50, description="So many of that task's samples, drawn by `seed`; or all."
    )
    limit: int | None = Field(None, ge=1, description="Draw from the first samples of that task only.")
    max_queries: int = Field(200, ge=2, description="Most texts that the model is asked for each text attacked.")
    max_candidates: int = Field(20, ge=1, description="Most substitutes of a word; of more, so many are drawn.")
    max_changed: float = Field(0.4, gt=0, le=1, description="Largest share of a text's words that may be changed.")
    seed: int | None = Field(None, ge=0, description="Seed of what is drawn (default: the suite's seed).")
    metrics: tuple[MetricSpec, ...] = Field(
        ("attack_success_rate", "accuracy_under_attack", "attack_queries", "attack_words_changed"),
        description="Figures of attacks; see [metrics](metrics.md).",
    )

    @property
    def groups(self) -> None:
        """Its samples have the groups of the task that it attacks."""
        return None

    @model_validator(mode="after")
    def _consistent(self) -> AttackTask:
        for key in ("min_similarity", "neighbours"):
            if getattr(self, key) is not None and self.encoder is None:
                raise ValueError(f"{key} has no effect without encoder: name the encoder that tells what is alike")
        return self


StudyTask: TypeAlias = ExplainTask | AttackTask
"""A task that asks a model many times about each sample of another task."""
