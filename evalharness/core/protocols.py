"""What a plug-in must look like. Each is structural: no base class needs to be inherited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from evalharness.stats.arrays import Floats

from .types import Json, Kind, Request, Response, Row, Sample

Array = Floats

__all__ = ["Array", "Explainer", "IntervalKind", "Metric", "Model", "Need", "Reader"]

Need = Literal["references", "target"]
IntervalKind = Literal["proportion", "mean", "bootstrap"]


@runtime_checkable
class Model(Protocol):
    """A model behind the one protocol. Each verb takes requests of its own kind and yields their responses.

    Responses come in any order, each as soon as it is known, exactly one for each request; a request that fails
    yields a response with status "error" and never raises. A backend raises `ModelError` only when it failed as a
    whole. `open` loads weights or connects, `close` gives them back; `identity` needs neither.

    A backend that computes may have a `report()`: by kind of request what it computed and how, kept in the record
    under `execution.work`.
    """

    name: str
    capabilities: frozenset[Kind]

    def identity(self) -> Mapping[str, Json]:
        """All that can change this model's responses, without loading it: weights digest, dtype, versions, template."""
        ...

    async def open(self) -> None:
        """Load or connect."""
        ...

    async def close(self) -> None:
        """Release what `open` took; safe to call twice."""
        ...

    def generate(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        """Text for each prompt."""
        ...

    def loglikelihood(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        """Log-likelihood of each continuation given the prompt."""
        ...

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        """Log-likelihood of the whole prompt, each token scored once."""
        ...

    def classify(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        """Label probabilities of the prompt."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A row of additive statistics for each sample, and a pure function of their totals.

    `kinds` are the request kinds whose responses it can score, `needs` what a sample must carry. `scores_blank` says
    whether a missing answer counts as an empty one under `on_error: count_wrong` (false for likelihoods and times,
    where there is nothing to count). `interval` picks the interval: Wilson for 0/1 rows, t for means, the bootstrap
    for the rest.
    """

    name: str
    version: str
    higher_is_better: bool
    bounds: tuple[float, float]
    kinds: frozenset[Kind]
    needs: frozenset[Need]
    interval: IntervalKind
    scores_blank: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the k statistics."""
        ...

    @property
    def signature(self) -> str:
        """All that defines the figure: name, options, version of the tool that it agrees with."""
        ...

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        """This metric with the task's label set where it needs one."""
        ...

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        """(n, k) float64, one row a sample, additive over samples; (0, k) for no samples."""
        ...

    def finalize(self, totals: Array) -> Array:
        """(..., k) totals -> (...) values, pure and vectorised; NaN where there is nothing to measure."""
        ...


@runtime_checkable
class Reader(Protocol):
    """A source of rows: reads what `path` names, one `Row` at a time, with the place where each one stands."""

    def __call__(self, path: str, **options: Json) -> Iterable[Row]:
        """The rows in file order."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """Attributes a response to the tokens of its prompt."""

    name: str

    def explain(self, model: Model, samples: Sequence[Sample]) -> Sequence[Mapping[str, Json]]:
        """Per-token values for each sample."""
        ...
