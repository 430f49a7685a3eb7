"""Backends behind the one `Model` protocol."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "anthropic": "evalharness.models.anthropic:make",
    "fake": "evalharness.models.fake:make",
    "hf-causal": "evalharness.models.huggingface.backend:make_causal",
    "hf-classifier": "evalharness.models.huggingface.backend:make_classifier",
    "hf-masked": "evalharness.models.huggingface.backend:make_masked",
    "hf-seq2seq": "evalharness.models.huggingface.backend:make_seq2seq",
    "http": "evalharness.models.http:make",
    "openai": "evalharness.models.openai:make",
    "python": "evalharness.models.python:make",
    "replay": "evalharness.models.replay:make",
}
