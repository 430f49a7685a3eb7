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
    model_validator,
)

from .fields import Generation, Name, Strict, Template, Text, VariantName, only_with
from .study_entries import AttackTask, ExplainTask, ExplanationQuality, StudyTask
from .task_base import AnyTask, MetricSpec

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


class _Task(AnyTask):
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


class LmEvalTask(AnyTask):
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


class ProbeTask(AnyTask):
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


def class_of_task(keys: Collection[str]) -> type[AnyTask]:
    """The schema of a task that has these keys."""
    classes: dict[str, type[AnyTask]] = {
        "lm_eval": LmEvalTask,
        "probe": ProbeTask,
        "classify": ClassifyTask,
        "perplexity": PerplexityTask,
        "explain": ExplainTask,
        "attack": AttackTask,
    }
    return classes.get(_task_tag(dict.fromkeys(keys)), PromptTask)
