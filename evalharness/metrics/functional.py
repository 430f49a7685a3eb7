"""Metrics as plain functions over lists of texts, without a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array, Metric
from evalharness.core.registry import registry
from evalharness.core.types import Json, Response, Sample

from .interval import Summary, sample_values, summarize

__all__ = ["Scored", "nltk_bleu", "score"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A figure with its interval, the value of each sample (n,), and the signature that defines it."""

    summary: Summary
    values: Array
    signature: str

    @property
    def value(self) -> float:
        """The figure."""
        return self.summary.value


def score(
    metric: str | Metric,
    answers: Sequence[str],
    *,
    references: Sequence[Sequence[str]] | None = None,
    targets: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    clusters: Sequence[str | None] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    prompts: Sequence[str] | None = None,
    rows: Sequence[Mapping[str, Json]] | None = None,
    meta: Sequence[Mapping[str, Json]] | None = None,
    base: Path | str = ".",
    allow_code: bool = False,
) -> Scored:
    """The figure of `answers` against `references` (texts: one list a sample) or `targets` (labels: one a sample).

    `metric` is a name or a metric object with its options: `score(Bleu(tokenize="13a"), answers, references=refs)`.
    `labels` is the label set (default: all targets, sorted). `prompts`, `rows` (the fields of a dataset's rows) and
    `meta` (what answers brought along) hold one a sample, for metrics that read them: the places `prompt`, `row.NAME`
    and `meta.NAME`. Files that a metric names are looked for from `base`; one that runs code, of yours or of a model's,
    needs `allow_code`.

    Raises:
        TypeError: where one text stands in place of a list of texts, which would be read character by character.
        ValueError: where the lists differ in length, or what the metric needs is not given.
        UsageError: for an unknown metric, or one that needs a model (perplexity, latency).
    """
    chosen: Metric = _made(metric) if isinstance(metric, str) else metric
    bind = getattr(chosen, "for_run", None)
    if bind is not None:
        chosen = bind(base=Path(base), allow_code=allow_code)
    if "generate" not in chosen.kinds:
        raise UsageError(f"{chosen.name} measures a model's likelihoods, not answers; run it in a suite")
    _check_texts("answers", answers)
    n = len(answers)
    if references is not None:
        if isinstance(references, str):
            raise TypeError("references must hold one list of texts a sample, not one text")
        for i, texts in enumerate(references):
            _check_texts(f"references[{i}]", texts)
    if targets is not None:
        _check_texts("targets", targets)
    beside: dict[str, Sequence[object] | None] = {"prompts": prompts, "rows": rows, "meta": meta}
    beside |= {"references": references, "targets": targets, "clusters": clusters}
    for name, given in beside.items():
        if given is not None and len(given) != n:
            raise ValueError(f"{n} answers but {len(given)} {name}; give one a sample")
    for need, name, given in (("references", "references", references), ("target", "targets", targets)):
        if need in chosen.needs and given is None:
            raise ValueError(f"{chosen.name} needs {name}")
    samples = [
        Sample(
            id=str(i),
            digest="",
            prompt="" if prompts is None else prompts[i],
            references=() if references is None else tuple(references[i]),
            target=None if targets is None else targets[i],
            fields={} if rows is None else rows[i],
        )
        for i in range(n)
    ]
    responses = [
        Response(key=str(i), text=answer, meta={} if meta is None else meta[i]) for i, answer in enumerate(answers)
    ]
    label_set = tuple(labels) or tuple(sorted(set(targets or ())))
    chosen = chosen.for_task(label_set) if label_set else chosen
    stats = chosen.sample_stats(samples, responses)
    summary = summarize(chosen, stats, clusters=clusters, confidence=confidence, seed=seed)
    return Scored(summary, sample_values(chosen, stats), chosen.signature)


def _made(name: str) -> Metric:
    """The metric with its defaults.

    Raises:
        UsageError: there is none of that name, or it has an option that must be given.
    """
    factory = registry("metrics").load(name)
    try:
        metric: Metric = factory()
    except TypeError as error:
        needed = ", ".join(
            f"{field.name}=…"
            for field in (fields(factory) if is_dataclass(factory) else ())
            if field.default is MISSING and field.default_factory is MISSING
        )
        raise UsageError(
            f"{name} needs options: hand over {factory.__name__}({needed}) in the place of its name"
        ) from error
    return metric


def nltk_bleu(
    list_of_references: Sequence[Sequence[Sequence[str]]],
    hypotheses: Sequence[Sequence[str]],
    *,
    weights: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25),
    smooth: str = "none",
    auto_reweigh: bool = False,
) -> float:
    """Corpus BLEU of token lists, in the layout of nltk's `corpus_bleu`, which it equals to 1e-12.

    Raises:
        TypeError: where a text stands in place of its tokens.
        ValueError: where the two lists differ in length or a hypothesis has no reference.
    """
    from .nltk_bleu import NltkBleu

    metric = NltkBleu(weights=tuple(weights), smooth=smooth, auto_reweigh=auto_reweigh)  # type: ignore[arg-type]
    return float(metric.finalize(metric.token_stats(list_of_references, hypotheses).sum(axis=0)))


def _check_texts(name: str, texts: object) -> None:
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TypeError(f"{name} must be a list of texts, not {type(texts).__name__}")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{i}] must be a str, not {type(text).__name__}")
