"""Our metrics as modules of huggingface/evaluate."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Metric
from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample

from .library import import_evaluate

__all__ = ["module"]


def module(name: str, /, **options: Any) -> Any:
    """Our metric `name`, with its `options`, as an `evaluate.Metric`.

    `compute(predictions=…, references=…)` returns `{name: figure}`, the figure of `metrics.functional.score`. For
    metrics of texts, `references` holds a text or a list of texts for each prediction; for metrics of labels, one gold
    label each, and labels may be whole numbers: 1 is the label "1". It can be pickled.

    Raises:
        UsageError: there is no such metric, an option is wrong, the metric needs more than predictions and references,
            or it runs code.
        MissingExtraError: evaluate is not installed.
    """
    metric = _made(name, options)
    if "generate" not in metric.kinds or not metric.needs & {"references", "target"}:
        raise UsageError(
            f"{name} does not compare predictions with references: it measures a model's likelihoods, times or states, "
            "or answers by themselves; run it in a suite, or give answers to evalharness.metrics.functional.score"
        )
    if getattr(metric, "reads_more", False) or getattr(metric, "least_repeats", 1) > 1:
        raise UsageError(
            f"{name} reads more than predictions and references: other fields of the rows, several answers to each, or "
            "how answers ended; run it in a suite"
        )
    bind = getattr(metric, "for_run", None)
    if bind is not None:
        metric = bind(base=Path(), allow_code=False)
    made = _class_of(metric, import_evaluate(purpose=f"module({name!r})"))
    made.__reduce__ = lambda self: (_again, (name, options))
    return made()


def _again(name: str, options: dict[str, Any]) -> Any:
    """What a pickled module becomes: its class is made, so that it cannot be found by its name."""
    return module(name, **options)


def _made(name: str, options: dict[str, Any]) -> Metric:
    from pydantic import TypeAdapter, ValidationError

    try:
        metric: Metric = TypeAdapter(registry("metrics").load(name)).validate_python(options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"metric {name!r}: {place + ': ' if place else ''}{first['msg']}") from error
    return metric


def _class_of(metric: Metric, evaluate: Any) -> Any:
    import datasets

    text = inspect.getdoc(metric) or ""
    description, _, source = text.partition("\nSource: ")
    of_labels = "target" in metric.needs
    gold: Any = datasets.Value("string")
    one = datasets.Features({"predictions": datasets.Value("string"), "references": gold})
    whole = datasets.Value("int64")
    numbers = datasets.Features({"predictions": whole, "references": whole})
    several = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Sequence(gold)})

    class _Ours(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
        def _info(self) -> Any:
            return evaluate.MetricInfo(
                description=description.strip(),
                citation=" ".join(source.split()),
                inputs_description=_INPUTS.format(
                    answer="label" if of_labels else "text",
                    references="a gold label" if of_labels else "a text, or a list of them",
                ),
                features=[one, numbers] if of_labels else [several, one],
                license="Apache-2.0",
            )

        def _infer_feature_from_batch(self, batch: Any) -> Any:
            # evaluate looks at the first row to choose among several formats, and there may be none.
            found = super()._infer_feature_from_batch(batch) if len(batch["references"]) else self.features[0]
            return found

        def _compute(self, predictions: Sequence[str | int], references: Sequence[Any]) -> dict[str, float]:
            return {metric.name: _figure(metric, predictions, references)}

    # evaluate calls a module after its class: NltkBleu becomes nltk_bleu, and folders of its cache with it.
    _Ours.__name__ = _Ours.__qualname__ = "".join(part[:1].upper() + part[1:] for part in metric.name.split("_"))
    return _Ours


_INPUTS = """
Args:
    predictions: list of answers, each a {answer}.
    references: for each prediction {references}.
Returns:
    the figure under the metric's name.
"""


def _figure(metric: Metric, predictions: Sequence[str | int], references: Sequence[Any]) -> float:
    samples, targets = [], set()
    for index, gold in enumerate(references):
        if "target" in metric.needs:
            samples.append(Sample(id=str(index), digest="", prompt="", target=str(gold)))
            targets.add(str(gold))
        else:
            texts = (gold,) if isinstance(gold, str) else tuple(gold)
            samples.append(Sample(id=str(index), digest="", prompt="", references=texts))
    responses = [Response(key=str(index), text=str(answer)) for index, answer in enumerate(predictions)]
    chosen = metric.for_task(tuple(sorted(targets))) if targets else metric
    stats = chosen.sample_stats(samples, responses)
    by_rows = getattr(chosen, "finalize_rows", None)
    return float(chosen.finalize(stats.sum(axis=0)) if by_rows is None else by_rows(stats))
