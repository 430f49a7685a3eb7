"""What a task asks of a model, and what each backend can do."""

from __future__ import annotations

from collections.abc import Mapping

from evalharness.core.types import KINDS, Kind

from .schema import (
    ClassifyTask,
    DataTask,
    FakeModel,
    HttpModel,
    OpenAIModel,
    PerplexityTask,
    PluginModel,
    PythonModel,
    StudyTask,
)

__all__ = ["CAPABILITIES", "blind_to_shared", "capabilities_of", "kind_of", "silent_about_tokens"]

CAPABILITIES: Mapping[str, frozenset[Kind]] = {
    "hf-causal": frozenset({"generate", "loglikelihood", "loglikelihood_rolling"}),
    "hf-seq2seq": frozenset({"generate", "loglikelihood"}),
    "hf-classifier": frozenset({"classify"}),
    "hf-masked": frozenset({"loglikelihood", "loglikelihood_rolling"}),
    "openai": frozenset({"generate", "loglikelihood", "loglikelihood_rolling"}),
    "anthropic": frozenset({"generate"}),
    "http": frozenset({"generate", "classify"}),
    "replay": frozenset({"generate", "classify"}),
    "fake": frozenset(KINDS) - {"study"},
}


def kind_of(task: DataTask | StudyTask) -> Kind:
    """What `task` asks a model to do."""
    if isinstance(task, StudyTask):
        return "study"
    if isinstance(task, ClassifyTask):
        return "classify"
    if isinstance(task, PerplexityTask):
        return "loglikelihood_rolling"
    return "loglikelihood" if task.choices is not None and task.choice_by == "likelihood" else "generate"


def silent_about_tokens(task: DataTask, models: Mapping[str, object]) -> list[str]:
    """Which of `models`, by name, cannot tell the likeliest tokens that `task` asks for."""
    if not isinstance(task, PerplexityTask) or task.top_logprobs is None:
        return []
    # A plug-in may; it says so itself.
    return [
        name
        for name, spec in models.items()
        if getattr(spec, "backend", "") != "hf-causal" and not isinstance(spec, PluginModel)
    ]


def blind_to_shared(task: DataTask, models: Mapping[str, object]) -> list[str]:
    """Which of `models`, by name, cannot score only the tokens that two choices share, as `task` asks."""
    if getattr(task, "score", "all") != "shared":
        return []
    # A plug-in may; and what the fake model says of any tokens means nothing.
    return [
        name
        for name, spec in models.items()
        if getattr(spec, "backend", "") not in ("hf-causal", "hf-masked", "fake") and not isinstance(spec, PluginModel)
    ]


def capabilities_of(spec: object) -> frozenset[Kind] | None:
    """What the backend of a model spec can do; None for an installed plug-in, which says so itself when it is made."""
    if isinstance(spec, PluginModel):
        return None
    if isinstance(spec, PythonModel | HttpModel):
        return frozenset({spec.kind})
    if isinstance(spec, OpenAIModel) and spec.api != "completions":
        # The other endpoints do not tell the log-probabilities of what they read.
        return frozenset({"generate"})
    return CAPABILITIES[spec.backend if isinstance(spec, FakeModel) else str(getattr(spec, "backend", ""))]
