"""Makes lm-eval know our engine as the model `evalharness`."""

from __future__ import annotations

__all__ = ["NAME", "register"]

NAME = "evalharness"
_TARGET = "evalharness.integrations.lm_eval.model:EvalHarnessLM"


def register() -> None:
    """Enter the name into lm-eval's registry of models; our class is imported when it is asked for."""
    # lm-eval fills its registry with its own models only while it is empty: theirs must go in first.
    import lm_eval.models  # noqa: F401
    from lm_eval.api.registry import model_registry

    if NAME not in model_registry:
        model_registry.register(NAME, target=_TARGET)
