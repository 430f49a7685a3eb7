"""The batches of a run: which models are asked in them, what the record says of them, and how many a plan foresees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from evalharness.core.canonical import digest
from evalharness.core.errors import UsageError
from evalharness.suite.batches import BATCHED, NO_LIKELIHOODS, batched_models

if TYPE_CHECKING:
    from evalharness.core.protocols import Model
    from evalharness.suite.plan import PlannedTask
    from evalharness.suite.schema import Suite

    from .batch_ledger import BatchLedger
    from .batch_model import BatchedModel
    from .book import ResponseBook
    from .stopping import Stopping

__all__ = ["BatchSizes", "RunBatches", "refuse_likelihoods"]

# What stands around a prompt in the file: its key, the model's name, the settings.
_AROUND_BYTES: Final = 500
_BYTES_A_TOKEN: Final = 4


class RunBatches:
    """Has the models that a suite asks in batches be asked so; does nothing in the mode `online`.

    Used as a context manager, around the asking and the sealing.
    """

    def __init__(
        self, suite: Suite, store: Path, *, cache: str, stopping: Stopping, say: Callable[[str], None]
    ) -> None:
        self._suite = suite
        self._store = store
        self._names = batched_models(suite)
        self._stopping = stopping
        self._say = say
        self._ledger: BatchLedger | None = None
        self._models: dict[str, BatchedModel] = {}
        self._open = ExitStack()
        if self._names and cache == "off":
            raise UsageError(
                "--cache off does not go with execution.mode: batch: a batch outlives the command, and its answers are "
                "taken into the response store; leave it out, or --set execution.mode=online"
            )

    def __enter__(self) -> Self:
        if self._names:
            from .batch_ledger import BatchLedger

            self._ledger = self._open.enter_context(BatchLedger.open(self._store))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def watching(self, models: Mapping[str, Model]) -> dict[str, Model]:
        """`models`, those that are asked in batches so wrapped."""
        if self._ledger is None:
            self._warn(models)
            return dict(models)
        from evalharness.models.service import ServiceModel

        from .batch_model import BatchedModel

        found: dict[str, Model] = {}
        for name, model in models.items():
            service = model.batches() if isinstance(model, ServiceModel) else None
            if name not in self._names or not isinstance(model, ServiceModel) or service is None:
                found[name] = model
                continue
            options = self._suite.execution.batch
            found[name] = self._models[name] = BatchedModel(
                model, service, self._ledger, options, stopping=self._stopping, say=self._say
            )
        return found

    def _warn(self, models: Mapping[str, Model]) -> None:
        """Say what is paid twice if it is asked one by one, since it is in a batch already."""
        from .batch_ledger import BatchLedger

        ledger = BatchLedger.of_store(self._store)
        if ledger is None:
            return
        with ledger:
            served = [name for name in models if self._suite.models[name].backend in BATCHED]
            for name in served if ledger.batches() else ():
                n_open = sum(batch.n_requests for batch in ledger.batches(digest(models[name].identity())))
                if n_open:
                    self._say(
                        f"{name}: {n_open:,} requests are in batches that were handed in before; what of them is not "
                        "answered yet is asked again now, one by one: execution.mode: batch would take their answers"
                    )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the record notes."""
        return tuple(note for model in self._models.values() for note in model.notes)

    def forget(self, book: ResponseBook) -> None:
        """The record is sealed: batches of which it has all requests are done with."""
        if self._ledger is not None:
            self._ledger.forget(book)


def refuse_likelihoods(suite: Suite, planned: Iterable[PlannedTask]) -> None:
    """Raise where a task needs of a model what batches do not give; of lm-eval's tasks only their plan tells.

    Raises:
        UsageError: naming the first such task.
    """
    names = batched_models(suite)
    for task in planned:
        if task.model in names and task.kind != "generate":
            raise UsageError(f"task {task.task.id!r}: {NO_LIKELIHOODS.format(name=task.model.partition('@')[0])}")


class BatchSizes:
    """Counts requests and bytes, and tells in how many batches they go; those in an open batch go in none."""

    def __init__(self, suite: Suite, store: Path) -> None:
        from .batch_ledger import BatchLedger

        self._suite = suite
        self.batched = batched_models(suite)
        self._ledger = BatchLedger.of_store(store) if self.batched else None
        self.n_handed_in = 0
        """How many requests are in batches that were handed in before."""
        self._n: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ledger is not None:
            self._ledger.__exit__(None, None, None)

    def add(self, model: str, asked: Mapping[str, int]) -> None:
        """Some hundred requests are to be asked: about how many tokens each has, by key."""
        if model not in self.batched or not asked:
            return
        held = set() if self._ledger is None else self._ledger.held(list(asked))
        self.n_handed_in += len(held)
        sizes = [_BYTES_A_TOKEN * n_tokens + _AROUND_BYTES for key, n_tokens in asked.items() if key not in held]
        self._n[model] = self._n.get(model, 0) + len(sizes)
        self._bytes[model] = self._bytes.get(model, 0) + sum(sizes)

    def n_batches(self) -> dict[str, int]:
        """By model, about how many batches its requests make."""
        from evalharness.models.anthropic_batches import AnthropicBatches
        from evalharness.models.openai_batches import OpenAIBatches

        found: dict[str, int] = {}
        for name, n in self._n.items():
            service = OpenAIBatches if self._suite.models[name].backend == "openai" else AnthropicBatches
            most = min(self._suite.execution.batch.max_requests or service.most_requests, service.most_requests)
            found[name] = max(ceil(n / most), ceil(self._bytes[name] / service.most_bytes))
        return found
