"""From a model's answers to what lm-eval makes of them: its filters, its `process_results`, its aggregations' items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalharness.core.types import Response

from .quiet import compiled_templates, quiet, seeded
from .tasks import Ask, Document, LoadedTask, describe

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

__all__ = ["Items", "Scored", "aggregation_name", "figure_name", "score"]

Answers = Sequence[Sequence[Response]]
"""The responses to a document: one list for each of its asks, one response for each repeat."""


@dataclass(frozen=True, slots=True)
class Items:
    """One figure of a task: what `process_results` gave for each document under one filter, by the sample's id.

    `aggregation` is lm-eval's name of `function`, or "" where it is the task's own.
    """

    metric: str
    filter: str
    name: str
    aggregation: str
    function: Callable[[list[Any]], Any]
    higher_is_better: bool
    settings: str
    items: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scored:
    """A task's figures; the filtered answers, and what failed in the task's own code, by the sample's id."""

    figures: tuple[Items, ...]
    answers: Mapping[str, str]
    faults: Mapping[str, str]


def figure_name(metric: str, filter_name: str, *, only_filter: bool) -> str:
    """lm-eval's `metric,filter` as a name that a gate can use: `exact_match@strict-match`.

    The filter is left out where it is the only one. Dots and blanks, which separate names, become underscores.
    """
    name = metric if only_filter else f"{metric}@{filter_name}"
    return "".join("_" if c.isspace() or c == "." else c for c in name)


def score(loaded: LoadedTask, answers: Mapping[str, Answers], *, blanks: bool = False) -> Scored:
    """What lm-eval makes of `answers` (by the sample's id) to the documents of `loaded`.

    Documents without usable answers are left out; `blanks` says that missing texts count as empty ones.
    """
    task = loaded.task
    documents = [d for d in loaded.documents if _answered(d, answers.get(d.sample.id), blanks=blanks)]
    instances: list[Instance] = []
    for document in documents:
        _respond(document, answers[document.sample.id])
        instances += document.instances
    filters = [ensemble.name for ensemble in task._filters]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    faults: dict[str, str] = {}
    shown: dict[str, str] = {}
    with quiet(), seeded(), compiled_templates():
        if instances:
            task._instances = instances
            task.apply_filters()
            # A filter of its own may have made further ones.
            filters = list(instances[0].filtered_resps)
        for filter_name in filters:
            for document in documents:
                sample = document.sample
                outcome = _outcome(task, document, filter_name, faults)
                for metric, value in outcome.items():
                    found.setdefault((metric, filter_name), {})[sample.id] = value
                if filter_name == filters[0]:
                    shown |= _shown(document, filter_name)
    # A document that failed under one filter counts under none.
    for values in found.values():
        for sample_id in faults:
            values.pop(sample_id, None)
    return Scored(tuple(_figures(task, filters, found)), shown, faults)


def _answered(document: Document, answers: Answers | None, *, blanks: bool) -> bool:
    if answers is None:
        return False
    return all(
        len(responses) == ask.repeats and all(_usable(ask, r) or (blanks and ask.kind == "generate") for r in responses)
        for ask, responses in zip(document.asks, answers, strict=True)
    )


def _usable(ask: Ask, response: Response) -> bool:
    if ask.kind == "generate":
        return response.text is not None
    return len(response.loglikelihoods) == len(ask.instances)


def _respond(document: Document, answers: Answers) -> None:
    """Put the answers where lm-eval's models put theirs."""
    for instance in document.instances:
        instance.resps, instance.filtered_resps = [], {}
    for ask, responses in zip(document.asks, answers, strict=True):
        for place, position in enumerate(ask.instances):
            instance = document.instances[position]
            if ask.kind == "generate":
                instance.resps += [response.text or "" for response in responses]
                continue
            likelihood = responses[0].loglikelihoods[place]
            whole = ask.kind == "loglikelihood_rolling"
            value = likelihood.total if whole else (likelihood.total, likelihood.is_greedy)
            # Likelihoods do not vary: asked once, they stand for every repeat.
            instance.resps += [value] * max(1, instance.repeats or 1)


def _outcome(task: Any, document: Document, filter_name: str, faults: dict[str, str]) -> Mapping[str, Any]:
    instances = document.instances
    try:
        found: Mapping[str, Any] = task.process_results(
            instances[0].doc, [instance.filtered_resps[filter_name] for instance in instances]
        )
    except Exception as error:  # noqa: BLE001 - the per-sample boundary: the task's own code met what it does not expect
        faults.setdefault(document.sample.id, f"lm-eval's scoring of it failed: {type(error).__name__}: {error}")
        return {}
    return found


def _shown(document: Document, filter_name: str) -> dict[str, str]:
    if document.asks[0].kind != "generate":
        return {}
    found = document.instances[document.asks[0].instances[0]].filtered_resps[filter_name]
    if isinstance(found, list | tuple) and len(found) == 1:
        found = found[0]
    return {document.sample.id: found} if isinstance(found, str) else {}


def _figures(task: Any, filters: Sequence[str], found: Mapping[tuple[str, str], dict[str, Any]]) -> list[Items]:
    from lm_eval.api.metrics import mean

    known, better = task.aggregation(), task.higher_is_better()
    settings = getattr(task, "_metric_fn_kwargs", {})
    # Where nothing was scored, the metrics that the task declares have no value, and are named all the same.
    names = dict.fromkeys(metric for metric, _ in found) or known
    figures = []
    for filter_name in filters:
        for metric in names:
            # As in lm-eval: what has no aggregation is averaged.
            function = known.get(metric, mean)
            name = aggregation_name(function)
            if name == "bypass" or (found and (metric, filter_name) not in found):
                continue
            figures.append(
                Items(
                    metric=metric,
                    filter=filter_name,
                    name=figure_name(metric, filter_name, only_filter=len(filters) == 1),
                    aggregation=name,
                    function=function,
                    higher_is_better=bool(better.get(metric, True)),
                    settings=_brief(settings.get(metric)),
                    items=found.get((metric, filter_name), {}),
                )
            )
    return figures


def _brief(settings: Any) -> str:
    shown = describe(settings or {})
    return ",".join(f"{key}={value}" for key, value in sorted(shown.items())) if isinstance(shown, dict) else ""


def aggregation_name(function: Callable[..., Any]) -> str:
    """The name under which lm-eval registers an aggregation; "" for a task's own function."""
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    return next((str(name) for name, known in AGGREGATION_REGISTRY.items() if known is function), "")
