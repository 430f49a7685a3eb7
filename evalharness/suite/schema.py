"""The suite language, version 1: the authority on every key that a suite may carry.

Unknown keys are refused everywhere. Field descriptions are the reference documentation: `evalharness schema` prints
them as JSON Schema and `docs/suite-reference.md` is generated from them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from evalharness.core.registry import suggestion

from .dataset_entry import Dataset
from .fields import PLAIN_NAME, Generation, Name, Strict, Text, VariantName, only_with
from .model_entries import (
    BACKENDS,
    AnthropicModel,
    FakeModel,
    HfModel,
    HttpModel,
    ModelSpec,
    OpenAIModel,
    PluginModel,
    Price,
    PythonModel,
    ReplayModel,
    class_of_backend,
)
from .monitor_field import MonitorField
from .stop_entry import StopWhenDecided
from .task_entries import (
    AttackTask,
    ClassifyTask,
    DataTask,
    ExplainTask,
    ExplanationQuality,
    FewShot,
    LmEvalTask,
    MessageTemplate,
    MetricSpec,
    PerplexityTask,
    ProbeTask,
    PromptFile,
    PromptTask,
    StudyTask,
    Task,
    class_of_task,
)

__all__ = [
    "BACKENDS",
    "PLAIN_NAME",
    "RULE_KINDS",
    "AnthropicModel",
    "AttackTask",
    "BaselineModel",
    "Batching",
    "ClassifyTask",
    "DataTask",
    "Dataset",
    "Execution",
    "ExplainTask",
    "ExplanationQuality",
    "FakeModel",
    "FewShot",
    "Gates",
    "Generation",
    "HfModel",
    "HttpModel",
    "LmEvalTask",
    "Margin",
    "MessageTemplate",
    "MetricSpec",
    "ModelSpec",
    "OnError",
    "OpenAIModel",
    "PerplexityTask",
    "PluginModel",
    "Price",
    "ProbeTask",
    "PromptFile",
    "PromptTask",
    "PythonModel",
    "ReplayModel",
    "Rule",
    "RuleKind",
    "StopWhenDecided",
    "Strict",
    "StudyTask",
    "Suite",
    "Task",
    "Text",
    "class_of_backend",
    "class_of_task",
]


def _check_version(value: Any) -> Any:
    # Python takes 1.0 and True for 1.
    if isinstance(value, bool | float):
        raise ValueError(f"must be 1, but is {str(value).lower()}")
    return value


def _unless_false(value: Any) -> Any:
    return None if value is False else value


_ON_ERROR = {
    "fail": {"count_as": "failure"},
    "exclude": {"count_as": "excluded", "max_rate": 1.0},
    "count_wrong": {"count_as": "wrong", "max_rate": 1.0},
}


class OnError(Strict):
    """What becomes of samples without a usable answer: fail | exclude | count_wrong, or the keys below."""

    count_as: Literal["failure", "wrong", "excluded"] = Field(
        "failure",
        description="failure: the run ends with exit code 3 and no gate passes; wrong: scored as an empty answer; "
        "excluded: left out.",
    )
    max_rate: float = Field(
        0.0, ge=0, le=1, description="wrong, excluded: above this share it is a failure all the same."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in _ON_ERROR:
            raise ValueError(
                f"{value[:40]!r} is none of {', '.join(_ON_ERROR)}{suggestion(value[:40], _ON_ERROR)}, "
                "nor a mapping with count_as and max_rate"
            )
        return _ON_ERROR[value]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        whole: dict[str, Any] = handler.resolve_ref_schema(handler(core_schema))
        short = {
            "enum": list(_ON_ERROR),
            "description": "fail: {count_as: failure}; exclude: {count_as: excluded, max_rate: 1}; "
            "count_wrong: {count_as: wrong, max_rate: 1}.",
        }
        return {"anyOf": [short, dict(whole)], "title": whole.get("title"), "description": whole.get("description")}


class Batching(Strict):
    """How requests are handed in as batches; see [batches](batch.md)."""

    max_requests: int | None = Field(
        None, ge=1, le=100_000, description="Most requests in one batch (default: as many as the service takes)."
    )
    max_tries: int = Field(
        3, ge=1, le=20, description="Most batches that a request is put in, when it failed for a reason that may pass."
    )
    poll_s: float = Field(
        15.0, gt=0, description="Time from one look at the batches to the next; it grows while nothing changes."
    )
    longest_poll_s: float = Field(300.0, gt=0, description="Longest time from one look at the batches to the next.")
    wait_s: float | None = Field(
        None,
        ge=0,
        description="Longest wait for batches: then the run stops, they go on, and the same command takes their "
        "answers. 0 hands them in and leaves (default: until they have ended, or `deadline_s`).",
    )


class Execution(Strict):
    """How the run is carried out."""

    mode: Literal["online", "batch"] = Field(
        "online",
        description="batch: models of `openai` and `anthropic` are asked through their services' batch interfaces, at "
        "half the price and within a day; models that run here are asked as ever.",
    )
    batch: Batching = Field(default_factory=Batching, description="mode batch: how batches are made and waited for.")
    concurrency: int = Field(16, ge=1, le=10_000, description="Most requests in flight to API models.")
    deadline_s: float | None = Field(
        None, gt=0, description="Longest time of the run: then it stops, and the same command continues it."
    )
    cache: Literal["reuse", "refresh", "off"] = Field(
        "reuse",
        description="Take answers from the response store, ask anew and store, or leave the store alone.",
    )
    on_error: OnError = Field(
        default_factory=OnError, description="fail | exclude | count_wrong, or {count_as, max_rate}."
    )
    detect_refusals: bool = Field(
        True,
        description="Count answers that decline in words (\"I'm sorry, but I can't help with that\") as refusals; "
        "their scores are the same either way.",
    )
    budget_usd: float | None = Field(
        None, gt=0, description="Most that a run may spend, in US dollars; before it would spend more it stops."
    )
    max_requests: int | None = Field(None, ge=1, description="Most requests that a run may send, retries included.")
    max_tokens: int | None = Field(None, ge=1, description="Most tokens that a run may use, of prompts and answers.")
    prices: Text | None = Field(None, description="A price file to use instead of the one that comes with evalharness.")
    stop_when_decided: Annotated[StopWhenDecided | None, BeforeValidator(_unless_false)] = Field(
        None, description="End the run once every blocking rule is decided: true, or {looks, spending, futility}."
    )

    @model_validator(mode="after")
    def _batches_are_kept(self) -> Execution:
        if self.mode == "batch" and self.cache == "off":
            raise ValueError(
                "cache: off does not go with mode: batch: a batch outlives the command, and its answers are taken "
                "into the response store; leave cache out, or set mode: online"
            )
        if self.mode == "batch" and self.stop_when_decided is not None:
            raise ValueError(
                "stop_when_decided does not go with mode: batch: a batch is handed in, and paid, as a whole, and each "
                "look would wait up to a day; remove one of the two"
            )
        if self.mode != "batch":
            only_with(self.model_fields_set, ("batch",), "mode: batch")
        return self


RULE_METRIC = r"^[^.\s]\S*\.[^.\s]+$"


class Margin(Strict):
    """How much a figure may differ from the baseline's, in its own unit."""

    margin: float = Field(ge=0, description="The difference that still counts as none.")


class BaselineModel(Strict):
    """Another model of the same run is the baseline; tasks that name no model run on both."""

    model: Text = Field(description="Name of that model.")


RuleKind = Literal[
    "at_least", "at_most", "non_inferior", "superior", "equivalent", "max_regression", "max_relative_drop"
]
RULE_KINDS: tuple[RuleKind, ...] = (
    "at_least",
    "at_most",
    "non_inferior",
    "superior",
    "equivalent",
    "max_regression",
    "max_relative_drop",
)


class Rule(Strict):
    """One condition of a release: exactly one of the keys `at_least` to `max_relative_drop`."""

    metric: str = Field(pattern=RULE_METRIC, description="`task.metric`, as the summary table names them.")
    at_least: float | None = Field(None, description="The figure must not be lower.")
    at_most: float | None = Field(None, description="The figure must not be higher.")
    non_inferior: Margin | None = Field(None, description="Not worse than the baseline by more than the margin.")
    superior: Literal[True] | Margin | None = Field(
        None, description="Better than the baseline: `true`, or by more than a margin."
    )
    equivalent: Margin | None = Field(
        None, description="Neither worse nor better than the baseline by more than the margin."
    )
    max_regression: float | None = Field(
        None,
        ge=0,
        description="The figure may be worse than the baseline's by no more than this, in its own unit: "
        "`non_inferior` in short.",
    )
    max_relative_drop: float | None = Field(
        None,
        ge=0,
        description="The figure may be worse than the baseline's by no more than this share of it: 0.02 is 2 %.",
    )
    model: str | None = Field(None, description="Only for this model (default: each model of the task).")
    group: str | None = Field(None, pattern=r"^[^=]+=[\s\S]*$", description="Only for this group: language=de.")
    tier: Literal["block", "warn", "info"] = Field("block", description="Only `block` rules decide the exit code.")
    decide_on: Literal["point", "interval"] | None = Field(
        None, description="As `gates.decide_on`, for this rule: point for facts of this run, such as no error at all."
    )

    @model_validator(mode="after")
    def _one_condition(self) -> Rule:
        given = [k for k in RULE_KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(RULE_KINDS[:-1])} and {RULE_KINDS[-1]}; "
                f"given: {', '.join(given) or 'none'}"
            )
        if self.equivalent is not None and self.equivalent.margin == 0:
            raise ValueError("equivalent within a margin of 0 can never be shown; give a margin above 0")
        return self

    @property
    def kind(self) -> RuleKind:
        """Which condition it is."""
        return next(k for k in RULE_KINDS if getattr(self, k) is not None)

    @property
    def is_paired(self) -> bool:
        """Whether it compares with a baseline."""
        return self.kind not in ("at_least", "at_most")

    @property
    def number(self) -> float:
        """Its limit, margin or share; 0 for `superior: true`."""
        given = getattr(self, self.kind)
        if isinstance(given, Margin):
            return given.margin
        return 0.0 if given is True else float(given)


class Gates(Strict):
    """What a release must fulfil; see [gates](gates.md)."""

    baseline: Text | BaselineModel | None = Field(
        None, description="A promoted run, `suite@label`, a run id or a folder; or {model: name}, another model here."
    )
    decide_on: Literal["point", "interval"] = Field(
        "interval",
        description="interval: a one-sided confidence bound must fulfil the rule, and a rule that the bounds straddle "
        "is inconclusive (exit code 4); point: the figure itself decides, however few samples it comes from.",
    )
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="interval: the chance that a rule passes whose condition just does not hold."
    )
    correction: Literal["holm", "none"] = Field(
        "holm",
        description="interval: holm keeps the chance that any blocking rule passes wrongly at alpha, none that of "
        "each.",
    )
    missing: Literal["exclude", "worst_case"] = Field(
        "exclude",
        description="interval: samples without a figure, or that only one of two runs has, are left out, or taken at "
        "the worst (and best) that they could have been.",
    )
    rules: tuple[Rule, ...] = Field(min_length=1, description="All of them must hold.")


class Suite(Strict):
    """A whole suite, after `extends`, `vars`, `--set` and `matrix` have been applied."""

    version: Annotated[Literal[1], BeforeValidator(_check_version)] = Field(
        description="Version of the suite language."
    )
    name: Name = Field(description="Name of the suite; runs and baselines are filed under it.")
    description: str = Field("", description="What the suite is for; shown in reports.")
    seed: int = Field(0, ge=0, description="Seed of everything random that has none of its own.")
    models: dict[VariantName, ModelSpec] = Field(
        min_length=1, description="What is evaluated, and what judges, by name."
    )
    datasets: dict[Name, Dataset] = Field(
        default_factory=dict,
        min_length=1,
        description="What it is evaluated on, by name; needed unless all tasks are lm-eval's or probes'.",
    )
    # The tasks that a probe makes say where they come from, which their schema does not: they are written as they are.
    tasks: tuple[SerializeAsAny[Task], ...] = Field(
        min_length=1, description="What is asked and how answers are scored."
    )
    execution: Execution = Field(default_factory=Execution, description="How the run is carried out.")
    gates: Gates | None = Field(None, description="What a release must fulfil.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of all intervals.")
    monitor: MonitorField | None = Field(
        None, description="What of production is watched; see [monitoring](monitoring.md)."
    )

    @cached_property
    def default_models(self) -> tuple[str, ...]:
        """The models that a task runs on which names none: all but those that only judge."""
        from .judgings import judges_of

        judges = judges_of(self)
        named = {
            name
            for task in self.tasks
            if task.model is not None
            for name in ((task.model,) if isinstance(task.model, str) else task.model)
        }
        return tuple(name for name in self.models if name not in judges or name in named)
