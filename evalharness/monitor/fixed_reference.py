"""The responses of a fixed reference: of a promoted run, a window of the source, or files, with labels and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

from evalharness.record import Record
from evalharness.suite.monitor_entry import PathReference, RunReference

from .parts import Responses, Setting, add_to_all, enriching_parts_of
from .references import window_of
from .schedule import Interval

__all__ = ["ReadBatches", "fixed_reference"]

ReadBatches: TypeAlias = Callable[[], Iterator[Responses]]
_EVER: Final = Interval(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


def fixed_reference(setting: Setting) -> tuple[str, ReadBatches]:
    """The name of a run, window or path, and what reads its responses, as often as it is called."""
    from .sources import read

    definition = setting.definition
    reference = definition.monitor.reference
    source = definition.monitor.source
    setting = replace(setting, side="reference")

    def whole(batches: Iterable[Responses]) -> Iterator[Responses]:
        return map(partial(add_to_all, enriching_parts_of(setting)), batches)

    if isinstance(reference, RunReference):
        from .run_reference import responses_of_run
        from .verdicts import recorded_verdicts

        record = Record.open(setting.registry.resolve(reference.run))
        judged = recorded_verdicts(setting, record)
        return f"run {record.id}", lambda: whole(responses_of_run(record, judged))
    if isinstance(reference, PathReference):
        # Files of the source's own format, whatever the time of their responses.
        given = source.model_copy(update={"path": reference.path, "receive": None})
        span, name = _EVER, f"path {reference.path}"
    else:
        given, span = source, window_of(definition)
        name = f"window {span}"
    setting = replace(setting, interval=span)
    return name, lambda: whole(read(given, span.start, span.end, base=definition.base).batches())
