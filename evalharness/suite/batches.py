"""What of a suite cannot be asked in batches."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.core.errors import Problem

from .judges import models_in_use
from .kinds import kind_of
from .load import LoadedSuite
from .plan import models_of
from .schema import LmEvalTask, ProbeTask, Suite
from .variables import Key, shown_path

__all__ = ["BATCHED", "LOCAL", "NO_LIKELIHOODS", "batch_problems", "batched_models"]

BATCHED = frozenset({"openai", "anthropic"})
# They compute here, read or script: there is nothing to hand in, and nobody sends a bill.
LOCAL = frozenset({"hf-causal", "hf-seq2seq", "hf-classifier", "hf-masked", "python", "replay", "fake"})

NO_LIKELIHOODS = (
    "execution.mode: batch asks for text alone, and this task scores likelihoods on the model {name!r}; let it write "
    "its choice (`choice_by: generation`), or set mode: online"
)


def batched_models(suite: Suite) -> frozenset[str]:
    """The models that the suite asks in batches."""
    if suite.execution.mode != "batch":
        return frozenset()
    return frozenset(name for name, spec in suite.models.items() if spec.backend in BATCHED)


def batch_problems(loaded: LoadedSuite) -> Iterator[Problem]:
    """Models that cannot be asked in batches, and tasks that cannot, each with its place.

    Models that run here are asked as ever. Any other backend without a batch interface is refused: its requests would
    go out one by one, at the full price, where the suite says that they do not.
    """
    suite = loaded.suite
    if suite.execution.mode != "batch":
        return
    used = {name for name in models_in_use(suite) if name in suite.models}
    for name in sorted(used):
        spec = suite.models[name]
        if spec.backend not in BATCHED | LOCAL:
            message = (
                f"execution.mode: batch needs a model with a batch interface, and the model {name.partition('@')[0]!r} "
                f"has none (backend {spec.backend}); use `backend: openai` or `anthropic`, leave the model to a suite "
                "of its own, or set mode: online"
            )
            yield _problem(loaded, ("models", name, "backend"), message)
        elif getattr(spec, "stream", False):
            message = (
                "execution.mode: batch cannot stream: answers of a batch come whole; remove it, or set mode: online"
            )
            yield _problem(loaded, ("models", name, "stream"), message)
    batched = batched_models(suite)
    for index, task in enumerate(suite.tasks):
        kinds = ("loglikelihood", "loglikelihood_rolling", "study")
        if isinstance(task, LmEvalTask | ProbeTask) or kind_of(task) not in kinds:
            continue  # which of lm-eval's tasks score likelihoods is seen when they are loaded
        for name in models_of(task, suite):
            if name in batched:
                path: Key = ("tasks", index, "id")
                yield _problem(loaded, path, NO_LIKELIHOODS.format(name=name.partition("@")[0]))


def _problem(loaded: LoadedSuite, path: Key, message: str) -> Problem:
    return Problem(loaded.place_of(path), shown_path(path), message)
