"""A module of huggingface/evaluate as a metric of a suite."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evalharness.core.canonical import canonical_json
from evalharness.core.errors import NotComparableError, UsageError
from evalharness.core.protocols import Array, IntervalKind, Need
from evalharness.core.types import FAILED_STATES, Kind, Response, Sample
from evalharness.stats.arrays import Ints, np

from .inputs import Document, columns, figure
from .library import Source, load_module, locate

__all__ = ["EvaluateMetric"]

_NEEDS: dict[str, frozenset[Need]] = {
    "references": frozenset({"references"}),
    "target": frozenset({"target"}),
    "nothing": frozenset(),
}
_KINDS: dict[str, frozenset[Kind]] = {
    "references": frozenset({"generate"}),
    "target": frozenset({"generate", "loglikelihood", "classify"}),
    "nothing": frozenset({"generate"}),
}
_MODULE = re.compile(r"\|module:([0-9a-f]+)(?=\|)")
# Whole numbers up to here are exact in float64, which rows are made of.
_CODE_BITS = 53
# Each resample calls the module: 2,000 would take minutes.
_MAX_MEAN_RESAMPLES = 2000


class _OptionError(UsageError, ValueError):
    """A wrong option; a `ValueError` too, so that pydantic reports it at its place in the suite."""


@dataclass(frozen=True, kw_only=True)
class EvaluateMetric:
    """The figure that a module of huggingface/evaluate computes, from a local folder or the hub.

        module.compute(predictions=answers, references=golds, **arguments)[key]

    over all samples at once. `metrics: [{evaluate: ./my_metric}]` is short for `{evaluate: {path: ./my_metric}}`, and
    the figure is called `my_metric`. The module is Python code: runs need --allow-code. Whether its figure is a mean
    over samples cannot be known, so each resample of the interval calls it anew. An answer that is no label counts as
    the label −1; one that should be a number and is none is left out. The module of one sample alone gives that
    sample's own value, NaN where it refuses.

    Options:
        path: folder NAME with the script NAME.py (from the suite's folder), that script, or a name on the hub.
        key: which of the module's outputs is the figure; not needed where there is one. A list is averaged.
        config: the module's configuration, such as `mrpc` of glue.
        revision: branch, tag or commit on the hub.
        arguments: further arguments of `compute`, such as `{average: macro}`.
        against: what answers are compared with: the task's `reference`, its `target` (labels), or nothing.
        over: `corpus` calls the module on all samples at once; `samples` on each alone, and takes the mean. Only with
            `samples` can a gate compare two runs (`max_regression`), for it needs no code then.
        labels: the labels in the order of their numbers, for modules that take numbers (default: the task's).
        higher_is_better: whether a higher figure is better.
        lowest: the lowest figure there can be.
        highest: the highest figure there can be.
        resamples: how many resamples the interval is taken from under `over: corpus`; 0 gives none.

    Source: huggingface/evaluate, `EvaluationModule.compute` (equal: the module itself computes).
    """

    path: str
    key: str | None = None
    config: str | None = None
    revision: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    against: Literal["references", "target", "nothing"] = "references"
    over: Literal["corpus", "samples"] = "corpus"
    labels: tuple[str, ...] = ()
    higher_is_better: bool = True
    lowest: float = -math.inf
    highest: float = math.inf
    resamples: int = 200

    # Read by pydantic where a suite's options are validated: an unknown option is an error.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    # Where a text stands in place of the options, it is this one; and the figure is called by its last part.
    text_option = "path"

    name = "evaluate"
    version = "1"
    scores_blank = True
    counts_states = False

    def __post_init__(self) -> None:
        for good, message in (
            (bool(self.path.strip()), "path: name a folder with a metric script, or a module of the hub"),
            (self.lowest < self.highest, f"lowest must be below highest, not {self.lowest:g} and {self.highest:g}"),
            (0 <= self.resamples <= 100_000, f"resamples must be from 0 to 100000, not {self.resamples}"),
            (len(set(self.labels)) == len(self.labels), "labels: no label may stand twice"),
        ):
            if not good:
                raise _OptionError(message)
        # Not options: what has been loaded, and the documents that rows stand for.
        self._keep(source=None, digest=None, documents={})

    def _keep(self, *, source: Source | None, digest: str | None, documents: dict[float, tuple[Document, ...]]) -> None:
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "_digest", digest)
        object.__setattr__(self, "_documents", documents)

    def __hash__(self) -> int:
        return hash((self.path, canonical_json(self.options())))

    def options(self) -> dict[str, Any]:
        """The options with their values, in the order of their declaration."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}

    # ── what the protocol asks ────────────────────────────────────────────────────────────────────────────────────

    @property
    def kinds(self) -> frozenset[Kind]:
        """What kinds of answers it scores."""
        return _KINDS[self.against]

    @property
    def needs(self) -> frozenset[Need]:
        """What a sample must carry."""
        return _NEEDS[self.against]

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest figure."""
        return (self.lowest, self.highest)

    @property
    def interval(self) -> IntervalKind:
        """Means of samples are told apart from the rest, for paired comparisons."""
        return "mean" if self.over == "samples" else "bootstrap"

    @property
    def n_resamples(self) -> int:
        """How many resamples its interval is taken from."""
        return _MAX_MEAN_RESAMPLES if self.over == "samples" else self.resamples

    @property
    def columns(self) -> tuple[str, ...]:
        """`n`, and the sample's own value, or the number that stands for the document."""
        return ("n", "value" if self.over == "samples" else "document")

    @property
    def signature(self) -> str:
        """The options, the digest of the module's code (where that is does not matter), evaluate's version."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            library = version("evaluate")
        except PackageNotFoundError:
            library = "not-installed"
        name = _module_name(self.path)
        parts = [self.name, f"name:{name}"]
        parts += [f"{key}:{_shown(value)}" for key, value in self.options().items() if key != "path"]
        digest = getattr(self, "_digest", None) or "not-loaded"
        return "|".join([*parts, f"module:{digest[:16]}", f"evaluate:{library}", f"version:{self.version}"])

    def for_task(self, labels: tuple[str, ...]) -> EvaluateMetric:
        """With the task's labels, unless it has its own."""
        return self if self.labels or not labels or self.against != "target" else self._changed(labels=labels)

    def for_run(self, *, base: Path, allow_code: bool) -> EvaluateMetric:
        """Loaded, its path looked up from `base`.

        Raises:
            UsageError: code is not allowed, or the module cannot be loaded.
        """
        if self._source is not None:  # type: ignore[attr-defined]
            return self
        source = locate(self.path, base=base, config=self.config, revision=self.revision)
        if not allow_code:
            raise UsageError(
                f"the metric evaluate: {self.path} runs Python code of the module; read it, and pass --allow-code if "
                "you trust it"
            )
        loaded = load_module(source)
        found = self._changed()
        found._keep(source=source, digest=source.digest or str(loaded._hash), documents={})
        return found

    def as_recorded(self, signature: str) -> EvaluateMetric:
        """As the metric of a record with this signature, not loaded: its rows are read without running code."""
        match = _MODULE.search(signature)
        found = self._changed()
        found._keep(source=None, digest=match.group(1) if match else None, documents={})
        return found

    def _changed(self, **changes: Any) -> EvaluateMetric:
        found = dataclasses.replace(self, **changes)
        found._keep(source=self._source, digest=self._digest, documents={})  # type: ignore[attr-defined]
        return found

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        """(n, 2): whether the sample was measured, and its own value, or the number of its document."""
        _check_batch(samples, responses)
        rows = np.zeros((len(samples), 2))
        for index, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            document = self._document(sample, response)
            if document is None:
                continue
            if self.over == "samples":
                value = self._own([document])
                rows[index] = (0.0, 0.0) if math.isnan(value) else (1.0, value)
            else:
                rows[index] = (1.0, self._coded((document,)))
        return rows

    def _document(self, sample: Sample, response: Response) -> Document | None:
        if isinstance(sample.references, str):
            raise TypeError(f"sample {sample.id!r}: references must be a tuple of texts, not a str")
        golds: tuple[str, ...] = sample.references if self.against == "references" else ()
        if self.against == "target" and sample.target is not None:
            golds = (sample.target,)
        if self.against != "nothing" and not golds:
            return None
        prompt = sample.prompt if isinstance(sample.prompt, str) else ""
        if response.status in FAILED_STATES:
            # A call that failed counts as an empty answer, and that is never the right one.
            return Document("", tuple(gold for gold in golds if gold.strip()) or ("\N{REPLACEMENT CHARACTER}",), prompt)
        answer = response.answer
        if answer is None:
            answer = (response.text or "") if response.status == "ok" else ""
        return Document(answer, golds, prompt)

    def _coded(self, documents: tuple[Document, ...]) -> float:
        """The number of these documents: of their content, so that shards and orders give the same one."""
        text = repr([tuple(document) for document in documents]).encode("utf-8", "surrogatepass")
        code = float(int.from_bytes(hashlib.sha256(text).digest()[:8]) >> (64 - _CODE_BITS) or 1)
        known: dict[float, tuple[Document, ...]] = self._documents  # type: ignore[attr-defined]
        if known.setdefault(code, documents) != documents:
            raise UsageError("evaluate: two documents have one number; this is very unlikely: change one of them")
        return code

    def merge_repeats(self, rows: Array, owner: Ints) -> Array:
        """The rows of samples with several answers: `owner` is the index of each row's sample.

        The mean of their values; under `over: corpus` the number that stands for all their documents.
        """
        n_samples = int(owner.max()) + 1
        if self.over == "samples":
            sums = np.zeros((n_samples, 2))
            np.add.at(sums, owner, rows)
            measured = sums[:, :1]
            means: Array = np.divide(sums, measured, out=np.zeros_like(sums), where=measured > 0)
            return means
        found = np.zeros((n_samples, 2))
        for index in range(n_samples):
            documents = self._behind(rows[owner == index])
            if documents:
                found[index] = (1.0, self._coded(tuple(documents)))
        return found

    def _behind(self, rows: Array) -> list[Document]:
        """The documents of the measured rows, in order."""
        known: dict[float, tuple[Document, ...]] = self._documents  # type: ignore[attr-defined]
        codes = rows[rows[:, 0] > 0, 1].tolist()
        missing = next((code for code in codes if code not in known), None)
        if missing is not None:
            raise NotComparableError(
                f"{self.name}: {self.path} cannot be computed anew from a record's numbers: its figure needs the texts "
                "and the module's code; use at_least or at_most, or the option over: samples"
            )
        return [document for code in codes for document in known[code]]

    # ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────

    def finalize(self, totals: Array) -> Array:
        """(..., 2) -> (...): the figure of one row; of totals of several, NaN under `over: corpus`."""
        totals = np.asarray(totals, dtype=np.float64)
        if self.over == "samples":
            return _ratio(totals[..., 1], totals[..., 0])
        flat = totals.reshape(-1, 2)
        values = [self._own(self._behind(row[None])) if row[0] == 1 else math.nan for row in flat]
        return np.array(values, dtype=np.float64).reshape(totals.shape[:-1])

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The figure of the rows for each row of frequency weights (..., n) -> (...); None is all 1."""
        stats = np.asarray(stats, dtype=np.float64)
        if self.over == "samples":
            counts = np.ones(len(stats)) if weights is None else np.asarray(weights)
            return _ratio(counts @ stats[:, 1], counts @ stats[:, 0])
        if weights is None:
            documents = self._behind(stats)
            return np.asarray(self._computed(documents) if documents else math.nan)
        weights = np.asarray(weights)
        flat = weights.reshape(-1, len(stats)).astype(np.int64)
        values = [self._own(self._behind(np.repeat(stats, row, axis=0))) for row in flat]
        return np.array(values, dtype=np.float64).reshape(weights.shape[:-1])

    def _own(self, documents: Sequence[Document]) -> float:
        """The figure of documents that the module may refuse (one alone, a resample without variation): then NaN."""
        if not documents:
            return math.nan
        try:
            return self._computed(documents, tolerant=True)
        except _ModuleRefused:
            return math.nan

    def _computed(self, documents: Sequence[Document], *, tolerant: bool = False) -> float:
        source: Source | None = self._source  # type: ignore[attr-defined]
        if source is None:
            raise UsageError(f"the metric evaluate: {self.path} is not loaded; call for_run(base=…, allow_code=True)")
        module = load_module(source)
        inputs = columns(module, documents, self.labels)
        if not next(iter(inputs.values()), None):
            return math.nan
        try:
            output = module.compute(**inputs, **self.arguments)
        except Exception as error:  # the module is foreign code: what it raises is told, or is that it has no figure
            if tolerant:
                raise _ModuleRefused from error
            raise UsageError(
                f"evaluate: {self.path}: compute failed: {type(error).__name__}: {str(error).strip()[:500]}"
            ) from error
        return figure(module.name, output, self.key)


class _ModuleRefused(Exception):
    """The module has no figure for these documents."""


def _module_name(path: str) -> str:
    return Path(path).name.removesuffix(".py")


def _shown(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return canonical_json(value) if isinstance(value, dict | list | tuple) else value


def _ratio(numerator: Array, denominator: Array) -> Array:
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    found: Array = np.divide(numerator, denominator, out=np.full(numerator.shape, math.nan), where=denominator != 0)
    return found


def _check_batch(samples: Sequence[Sample], responses: Sequence[Response]) -> None:
    for name, batch, kind in (("samples", samples, Sample), ("responses", responses, Response)):
        if isinstance(batch, str | bytes) or not all(isinstance(item, kind) for item in batch):
            raise TypeError(f"{name} must be a sequence of {kind.__name__}s")
    if len(samples) != len(responses):
        raise ValueError(f"{len(samples)} samples but {len(responses)} responses; give one response a sample")
