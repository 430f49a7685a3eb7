"""What the figures of a task of lm-eval will be called, told from its YAML where that says it, without lm-eval.

A task that scores with functions of its own, a metric that is a module of huggingface/evaluate, a group and a Python
class name their figures when they run: nothing is said of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .index import Found
from .scan import Function, read_whole
from .scoring import figure_name

__all__ = ["figure_names"]

# What `ConfigurableTask.process_results` can give for each kind of task, and what it gives where none is named.
_GIVEN: Mapping[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "multiple_choice": (
        frozenset(
            {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "f1", "mcc", "exact_match", "brier_score", "likelihood"}
        ),
        ("acc", "acc_norm"),
    ),
    "loglikelihood": (frozenset({"perplexity", "acc"}), ("perplexity", "acc")),
    "loglikelihood_rolling": (
        frozenset({"word_perplexity", "byte_perplexity", "bits_per_byte"}),
        ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    ),
    "generate_until": (frozenset({"exact_match", "bleu", "chrf", "ter"}), ("exact_match",)),
}


def figure_names(found: Found) -> tuple[str, ...] | None:
    """The names of all figures of the task `found`; None where its file does not tell them."""
    if found.kind != "task":
        return None
    try:
        settings = read_whole(Path(found.file))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    # A task that does not say generates.
    kind = str(settings.get("output_type") or "generate_until")
    if kind not in _GIVEN or settings.get("process_results") is not None or "class" in settings:
        return None
    metrics = _metrics(settings.get("metric_list"), *_GIVEN[kind], generates=kind == "generate_until")
    filters = _filters(settings.get("filter_list"))
    if metrics is None or filters is None:
        return None
    return tuple(
        figure_name(metric, name, only_filter=len(filters) == 1)
        for metric in metrics
        for name in filters
        if metric != "bypass"
    )


def _metrics(
    listed: Any, known: frozenset[str], default: tuple[str, ...], *, generates: bool
) -> tuple[str, ...] | None:
    if listed is None:
        return default
    if not isinstance(listed, list):
        return None
    names = []
    for item in listed:
        name = item.get("metric") if isinstance(item, dict) else None
        if not isinstance(name, str) or isinstance(name, Function) or item.get("hf_evaluate"):
            return None
        if generates and name not in known:
            # A metric may give several figures, under names of its own.
            return None
        if name in known:
            names.append(name)
    return tuple(names)


def _filters(listed: Any) -> list[str] | None:
    if listed is None:
        return ["none"]
    if not isinstance(listed, list) or not listed:
        return None
    names = [item.get("name") if isinstance(item, dict) else None for item in listed]
    return [str(name) for name in names] if all(isinstance(name, str) for name in names) else None
