"""Runs of the suite that a monitor makes: each once, under an id that follows from what it is made for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.canonical import digest
from evalharness.core.errors import EvalHarnessError, UsageError
from evalharness.core.types import Json
from evalharness.record import Record
from evalharness.suite.monitor_entry import RunReference

from ..files import folder_name
from ..schedule import Schedule, utc_text

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite

    from ..define import Definition
    from ..parts import Setting
    from ..schedule import Interval

__all__ = ["find_run", "in_time", "made_run", "promoted_name", "promoted_record", "run_id_of", "suite_of"]


def suite_of(definition: Definition) -> LoadedSuite:
    """The suite of the monitor, which `checks` has looked for."""
    assert definition.suite is not None
    return definition.suite


def promoted_name(definition: Definition, given: str | None) -> str:
    """The run that production is compared with.

    The one `given`, else the reference of the monitor, else the baseline of the suite's gates, else
    `SUITE@production`.
    """
    suite = suite_of(definition).suite
    reference = definition.monitor.reference
    if given is not None:
        return given
    if isinstance(reference, RunReference):
        return reference.run
    if suite.gates is not None and isinstance(suite.gates.baseline, str):
        return suite.gates.baseline
    return f"{suite.name}@production"


def promoted_record(setting: Setting, given: str | None) -> Record:
    """The run that production is compared with (`promoted_name`); of RUN:MODEL, what is about that model.

    Raises:
        UsageError: there is no such run, or the model did not run in it.
    """
    name = promoted_name(setting.definition, given)
    head, colon, model = name.partition(":")
    if not (colon and head and model) or Path(name).exists() or name[1:3] in (":\\", ":/"):
        return Record.open(setting.registry.resolve(name))
    return Record.open(setting.registry.resolve(head)).of_model(model)


def in_time(setting: Setting, cron: str | None = None) -> bool:
    """Whether production may still be asked about the interval: it is the newest that is due.

    With a `cron` of its own, the newest of those in which that fires.
    """
    asking, schedule = setting.asking, setting.definition.schedule
    if asking.late:
        return True
    now = asking.clock() - schedule.lag
    if cron is None:
        return schedule.last(now) <= setting.interval.end
    own = Schedule(cron, schedule.zone)
    # The interval in which it fires next ends later; until that is due, this one is the newest.
    return not any(schedule.last(now) >= firing for firing in own.firings(setting.interval.end, now))


def run_id_of(setting: Setting, purpose: str, suite: str, what: Json) -> str:
    """The id of the run that is made for `purpose` of the interval: the same for the same monitor and `what`."""
    loaded = suite_of(setting.definition)
    resolved = loaded.suite.model_dump(mode="json", exclude_none=True, exclude={"monitor", "gates"})
    identity = digest([setting.definition.name, str(setting.interval), what, resolved])
    return f"{setting.interval.end:%Y%m%dT%H%M%SZ}-{suite}-{purpose}-{identity[:12]}"


def find_run(setting: Setting, run_id: str) -> Record | None:
    """The record `run_id`, registered (whoever sealed it may have died before), None where it is not there."""
    reports = setting.registry.reports
    if not (reports / "runs" / run_id).is_dir():
        with suppress(UsageError):
            return Record.open(setting.registry.resolve(run_id))
        return None
    record = Record.open(reports / "runs" / run_id)
    setting.registry.add(record)
    return record


def made_run(
    setting: Setting,
    run_id: str,
    purpose: str,
    *,
    tasks: Sequence[str],
    model: str | None,
    samples: frozenset[str] | None = None,
    suite: LoadedSuite | None = None,
) -> Record:
    """The record `run_id`: found, or made by asking production.

    What was answered before a crash is not asked again; no answer from before the interval's run is used. `suite` is
    what is run in the place of the monitor's suite.

    Raises:
        EvalHarnessError: the run could not be finished, or may not begin; what was answered is kept for the next try.
    """
    from evalharness.runner import run
    from evalharness.runner.occasion import Occasion

    found = find_run(setting, run_id)
    if found is not None:
        return found
    definition, registry = setting.definition, setting.registry
    loaded = suite or suite_of(definition)
    folder = setting.past.folder / "asking" / run_id
    occasion = Occasion(
        run_id=run_id,
        purpose=purpose,
        store=folder / "responses.sqlite3",
        trigger={
            "monitor": definition.name,
            "purpose": purpose,
            "start_utc": utc_text(setting.interval.start),
            "end_utc": utc_text(setting.interval.end),
        },
        tasks=tuple(tasks),
        model=model,
        samples=samples,
        beat=setting.beat,
    )
    try:
        record = run(
            loaded,
            reports=registry.reports,
            name=f"{purpose} of {definition.name}, {_span(setting.interval)}",
            cache="reuse",
            allow_code=setting.asking.allow_code,
            registry_url=registry.engine.url.render_as_string(hide_password=False),
            environ=setting.asking.environ,
            occasion=occasion,
        )
    except EvalHarnessError:
        # A process that had lost its lease may have been quicker.
        found = find_run(setting, run_id)
        if found is None:
            raise
        record = found
    # Its answers stand in the record; what earlier runs left here was never finished, and nobody will.
    shutil.rmtree(folder.parent, ignore_errors=True)
    return record


def _span(interval: Interval) -> str:
    return folder_name(interval, 0).partition(".r")[0].replace("_", "/")
