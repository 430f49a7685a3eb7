"""The tasks of a suite: what is asked, and how answers are scored."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    model_validator,
)

from .fields import Generation, Name, Strict, Template, Text, VariantName, only_with

__all__ = [
    "AttackTask",
    "ClassifyTask",
    "DataTask",
    "ExplainTask",
    "ExplanationQuality",
    "FewShot",
    "LmEvalTask",
    "MessageTemplate",
    "MetricSpec",
    "PerplexityTask",
    "ProbeTask",
    "PromptFile",
    "PromptTask",
    "StudyTask",
    "Task",
    "class_of_task",
]


def _check_regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


class PromptFile(Strict):
    """A template in a file beside the suite."""

    file: Text = Field(description="Path of the template, from the suite's folder.")


class MessageTemplate(Strict):
    """One turn of a chat, or a list of turns from the data."""

    role: Literal["system", "user", "assistant"] | None = Field(None, description="Who speaks.")
    content: Template | PromptFile | None = Field(None, description="Template of what is said.")
    history: str | None = Field(
        None,
        description="Instead of role and content: an expression that gives a list of {role, content} turns.",
    )

    @model_validator(mode="after")
    def _turn_or_history(self) -> MessageTemplate:
        turn = self.role is not None and self.content is not None
        if (self.history is not None) == turn or (self.history is not None and (self.role or self.content)):
            raise ValueError("give either role and content, or history")
        return self


class FewShot(Strict):
    """Worked examples put before the question, from a dataset of their own."""

    dataset: Name = Field(description="Dataset that the examples are drawn from.")
    n: int = Field(ge=1, le=1000, description="How many.")
    draw: Literal["first", "once", "per_sample"] = Field(
        "first", description="The first n; n drawn once for all samples; or n drawn anew for each sample."
    )
    seed: int = Field(0, ge=0, description="Seed of the draw.")
    order: int = Field(
        0, ge=0, description="Order of the examples: 0 as they were drawn, 1 reversed, others shuffled by that seed."
    )
    separator: str = Field("\n\n", description="Between examples (prompt text; chat tasks use turns).")
    answer: Template | None = Field(
        None, description="Template of an example's answer (default: the task's reference, or its target)."
    )


_MetricOptions: TypeAlias = dict[str, dict[str, JsonValue] | Text | None]


def _one_metric(spec: _MetricOptions) -> _MetricOptions:
    if len(spec) != 1:
        raise ValueError("must be one name with its options: {bleu: {lowercase: true}}")
    return spec


MetricSpec: TypeAlias = (
    Text
    | Annotated[
        _MetricOptions,
        AfterValidator(_one_metric),
        WithJsonSchema(
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": ["object", "string", "null"]},
            }
        ),
    ]
)


class _AnyTask(Strict):
    id: VariantName = Field(description="Name of the task, unique in the suite.")
    model: VariantName | Annotated[tuple[VariantName, ...], Field(min_length=1)] | None = Field(
        None, description="Which model or models (default: all but those that only judge)."
    )


class _Task(_AnyTask):
    dataset: Name = Field(description="Which dataset it runs on.")
    metrics: tuple[MetricSpec, ...] = Field(
        (),
        description="Names, or {name: {option: value}}; `as` in the options renames the figure. {evaluate: PATH} is "
        "short for {evaluate: {path: PATH}}.",
    )
    groups: tuple[Text, ...] | None = Field(None, description="Group columns (default: the dataset's).")
    limit: int | None = Field(None, ge=1, description="Use only the first samples of the dataset.")


class PromptTask(_Task):
    """Ask a model: free text, or with `choices` one of several answers, by default the likeliest."""

    prompt: Template | PromptFile | None = Field(None, description="Template of the prompt.")
    messages: Annotated[tuple[MessageTemplate, ...], Field(min_length=1)] | None = Field(
        None, description="Chat turns, instead of `prompt`."
    )
    chat: bool | None = Field(
        None, description="Apply the model's chat template (default: yes for messages, no for prompt)."
    )
    choices: Annotated[tuple[Template, ...], Field(min_length=2)] | Template | None = Field(
        None,
        description="The answers to choose from: templates, or one expression that gives a list.",
    )
    choice_by: Literal["likelihood", "generation"] = Field(
        "likelihood",
        description="The likeliest of the choices; or the one that the generated text names, for models that tell no "
        "likelihoods. Figures of the two are never comparable.",
    )
    delimiter: str = Field(
        " ", description="Put between prompt and choice (part of what is scored), and before the answers of examples."
    )
    normalize: Literal["none", "tokens", "bytes"] = Field(
        "none", description="Choose by log-likelihood, or by it per token or per UTF-8 byte of the choice."
    )
    score: Literal["all", "shared"] = Field(
        "all",
        description="Which tokens of a choice count: all; or, of two choices, those that both have (backends hf-masked "
        "and hf-causal): what differs decides only by what it makes of the rest.",
    )
    few_shot: FewShot | None = Field(None, description="Worked examples before the question.")
    generate: Generation | None = Field(None, description="Generation settings.")
    reference: Template | Annotated[tuple[Template, ...], Field(min_length=1)] | None = Field(
        None, description="Gold text: a template, several, or one expression that gives a list."
    )
    target: Template | None = Field(
        None, description="Gold label; with `choices` or `labels`, one of them or its index from 0."
    )
    labels: tuple[Text, ...] | None = Field(None, description="The label set (default: choices, or all targets).")
    extract: Annotated[str, AfterValidator(_check_regex)] | None = Field(
        None,
        description="Regular expression that reads the answer from the output: its first group, else the match.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> PromptTask:
        if self.prompt is None and self.messages is None:
            raise ValueError("a task needs one of prompt, messages, classify and perplexity")
        if self.prompt is not None and self.messages is not None:
            raise ValueError("give either prompt or messages, not both")
        by_likelihood = self.choices is not None and self.choice_by == "likelihood"
        if by_likelihood and (self.generate is not None or self.extract is not None):
            raise ValueError(
                "choices are scored by likelihood: generate and extract have no effect there; remove them, or set "
                "`choice_by: generation`"
            )
        if not by_likelihood and self.normalize != "none":
            needed = "choices" if self.choices is None else "likelihoods (choice_by: likelihood)"
            raise ValueError(f"normalize has no effect without {needed}; remove it")
        if not by_likelihood and self.score != "all":
            needed = "choices" if self.choices is None else "likelihoods (choice_by: likelihood)"
            raise ValueError(f"score has no effect without {needed}; remove it")
        if self.score == "shared" and isinstance(self.choices, tuple) and len(self.choices) != 2:
            raise ValueError(f"score: shared compares two choices, and there are {len(self.choices)}; give two, or all")
        if self.choices is None:
            only_with(self.model_fields_set, ("choice_by",), "choices")
        if self.messages is not None and self.chat is False:
            raise ValueError("messages are chat turns: write the text under prompt to use no chat template")
        few_shot = self.few_shot
        if few_shot is not None and few_shot.answer is None and self.reference is None and self.target is None:
            raise ValueError("few_shot has no answers for its examples; give few_shot.answer, reference or target")
        return self


class ClassifyTask(_Task):
    """Classify a text with a model that gives label probabilities."""

    classify: Template = Field(description="Template of the text.")
    target: Template | None = Field(None, description="Gold label.")
    labels: tuple[Text, ...] | None = Field(None, description="The label set (default: all targets).")


class PerplexityTask(_Task):
    """Likelihood of whole texts."""

    perplexity: Template = Field(description="Template of the text.")
    top_logprobs: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Keep so many of the likeliest tokens at each place, with their log-probabilities: what "
        "`evalharness compare` tells the divergence of two models by (backend hf-causal only).",
    )


class LmEvalTask(_AnyTask):
    """A task, a group or a tag of lm-evaluation-harness, with its own documents, prompts, filters and metrics.

    Needs the extra `lm-eval`. The tasks of a group get figures under `id/name`, and the group's own stand under `id`.
    """

    lm_eval: Text = Field(description="What lm-eval calls it (`evalharness list lm-eval-tasks`), or a YAML file.")
    include_path: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None, description="Folders with further tasks, from the suite's folder; they come before lm-eval's own."
    )
    num_fewshot: int | None = Field(
        None, ge=0, le=1000, description="Worked examples before each question (default: as the task says, else 0)."
    )
    limit: int | None = Field(None, ge=1, description="Use only the first documents of each task.")
    seed: int = Field(1234, ge=0, description="Seed of the draw of examples; the default is lm-eval's.")
    apply_chat_template: bool = Field(False, description="Put questions as chat turns, by the model's chat template.")
    fewshot_as_multiturn: bool | None = Field(
        None, description="With a chat template: examples are turns of their own (default), or part of the question."
    )
    system_instruction: str | None = Field(None, description="Text before everything else.")
    generate: Generation | None = Field(
        None, description="Generation settings that win over the task's own; a model's settings win over both."
    )
    groups: tuple[Text, ...] = Field((), description="Columns of the documents whose values get figures of their own.")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Handed to the task as lm-eval's `--metadata` is."
    )

    @property
    def metrics(self) -> tuple[MetricSpec, ...]:
        """Its metrics are those that lm-eval's task has."""
        return ()

    @property
    def include_paths(self) -> tuple[str, ...]:
        """`include_path` as a list."""
        if self.include_path is None:
            return ()
        return (self.include_path,) if isinstance(self.include_path, str) else self.include_path

    @model_validator(mode="after")
    def _consistent(self) -> LmEvalTask:
        if not self.apply_chat_template:
            only_with(self.model_fields_set, ("fewshot_as_multiturn",), "apply_chat_template: true")
        if self.generate is not None and self.generate.repeats is not None:
            raise ValueError("generate.repeats has no effect here: lm-eval's task says how often it asks; remove it")
        return self


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
    *_EXPLAINED,
)
"""The figures of an explanation whose quality is measured."""
_RANDOMISED: tuple[MetricSpec, ...] = ("randomisation_similarity", "randomisation_similarity_over_random")
"""With the check of a model whose upper layers know nothing."""


class ExplanationQuality(Strict):
    """What is measured of explanations besides the figures that need no more than the model itself."""

    randomisation: bool = Field(
        False,
        description="Explain the same model with its upper half drawn anew, too: an explanation that stays the same "
        "shows the text and not the model. Hugging Face models only; one more explanation a text.",
    )


class ExplainTask(_AnyTask):
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


class AttackTask(_AnyTask):
    """How easily a classifier is turned round: the fewest words of a text whose substitution changes its answer.

    Texts that it answers wrongly as they are are not attacked. See [robustness](robustness.md).
    """

    attack: Literal["words"] = Field(description="How: words, the most important first, in the words of `synonyms`.")
    of: VariantName = Field(description="The task whose texts are attacked: one with classify and a target.")
    synonyms: Text = Field(
        description="A UTF-8 file, from the suite's folder: a line lists words that may stand for one another, by "
        "commas (`film, movie, picture`)."
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


class ProbeTask(_AnyTask):
    """A probe of bias, robustness or privacy; see [probes](probes.md).

    Every other key is an option of the probe: `evalharness list probes NAME` tells which it has. One of several parts
    has its figures under `id/part`.
    """

    # Options of the probe; they are checked against its own fields.
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, defer_build=True)

    probe: Text = Field(description="Which probe (`evalharness list probes`).")
    of: VariantName | None = Field(
        None, description="The task whose rows it rewrites; only for probes that bring no rows of their own."
    )
    limit: int | None = Field(
        None, ge=1, description="Use only the first rows: of the probe, or of the other task before they are rewritten."
    )
    question: Text | None = Field(
        None,
        description="What it asks after: designs of one question stand together in reports (default: its own).",
    )
    least_n: int | None = Field(
        None, ge=1, description="With fewer samples nothing is found (default: the probe's own, or 30)."
    )
    fields: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None,
        description="With `of`: the fields of a row that are rewritten (default: those that the prompt reads, and the "
        "gold answer does not).",
    )

    @property
    def options(self) -> dict[str, JsonValue]:
        """The probe's own options, as given."""
        return dict(self.model_extra or {})

    @property
    def metrics(self) -> tuple[MetricSpec, ...]:
        """Its metrics are those of the tasks that the probe makes."""
        return ()

    @property
    def groups(self) -> None:
        """Its groups are those of the tasks that the probe makes."""
        return None


def _task_tag(value: Any) -> str:
    keys = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", ())
    return next(
        (tag for tag in ("lm_eval", "probe", "classify", "perplexity", "explain", "attack") if tag in keys), "prompt"
    )


Task: TypeAlias = Annotated[
    Annotated[PromptTask, Tag("prompt")]
    | Annotated[ClassifyTask, Tag("classify")]
    | Annotated[PerplexityTask, Tag("perplexity")]
    | Annotated[LmEvalTask, Tag("lm_eval")]
    | Annotated[ProbeTask, Tag("probe")]
    | Annotated[ExplainTask, Tag("explain")]
    | Annotated[AttackTask, Tag("attack")],
    Discriminator(_task_tag),
]
DataTask: TypeAlias = PromptTask | ClassifyTask | PerplexityTask
"""A task over a dataset of the suite."""
StudyTask: TypeAlias = ExplainTask | AttackTask
"""A task that asks a model many times about each sample of another task."""


def class_of_task(keys: Collection[str]) -> type[_AnyTask]:
    """The schema of a task that has these keys."""
    classes: dict[str, type[_AnyTask]] = {
        "lm_eval": LmEvalTask,
        "probe": ProbeTask,
        "classify": ClassifyTask,
        "perplexity": PerplexityTask,
        "explain": ExplainTask,
        "attack": AttackTask,
    }
    return classes.get(_task_tag(dict.fromkeys(keys)), PromptTask)
