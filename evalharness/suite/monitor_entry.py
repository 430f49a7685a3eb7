"""`monitor:` of a suite, or a file of its own: what of production is watched, how often, against what, who hears."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, JsonValue, Tag

from evalharness.core.registry import suggestion

from .alert_entry import Alerts
from .fields import Name, Strict, Text
from .label_entry import Labels
from .otel_entry import OtelEvents
from .source_entry import Source

__all__ = [
    "Anchor",
    "Canary",
    "DriftRule",
    "DriftSettings",
    "Monitor",
    "MonitorFile",
    "OnDrift",
    "PathReference",
    "Reference",
    "RunReference",
    "ScoreSpec",
    "WindowReference",
    "seconds_of",
]

Seconds = Annotated[float, Field(ge=0, le=366 * 86400)]


def _check_cron(expression: str) -> str:
    try:
        from cronsim import CronSim, CronSimError
    except ModuleNotFoundError:  # what runs schedules says that the extra is missing; whoever only runs suites need not
        return expression
    example = "five fields, as in 0 * * * * for each hour, or 30 6 * * MON-FRI"
    if len(expression.split()) not in (5, 6):
        raise ValueError(
            f"{expression[:60]!r} is no cron expression: it has {len(expression.split())} fields; {example}"
        )
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration, ValueError) as error:
        reason = str(error).replace("Bad ", "not a ").lower() or "it never comes"
        raise ValueError(f"{expression[:60]!r} is no cron expression ({reason}); write {example}") from None
    return expression


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = suggestion(name, available_timezones()) or "; write UTC or a name such as Europe/Berlin"
        raise ValueError(f"there is no time zone {name[:40]!r}{near}") from None
    return name


def _check_window(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2:
        raise ValueError(f"{text[:60]!r} is no interval; write START/END: 2026-01-01/2026-01-08")
    for part in parts:
        try:
            datetime.fromisoformat(part)
        except ValueError:
            raise ValueError(f"{part[:40]!r} is no time of ISO 8601; write START/END: 2026-01-01/2026-01-08") from None
    return text


def _check_length(text: str) -> str:
    if seconds_of(text) <= 0:
        raise ValueError(f"{text[:40]!r} is no length of time; write a number and s, min, h, d or w: 7d")
    return text


_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds_of(length: str) -> float:
    """The seconds of a length of time such as 7d; 0 where it is none."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(s|min|h|d|w)", length)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


Cron = Annotated[Text, AfterValidator(_check_cron)]


class RunReference(Strict):
    """The answers of a recorded run."""

    run: Text = Field(description="A promoted run, `suite@label`, a run id or the folder of a record.")


class WindowReference(Strict):
    """A fixed window of production."""

    window: Annotated[Text, AfterValidator(_check_window)] = Field(
        description="START/END in ISO 8601, the end excluded: 2026-01-01/2026-01-08. Times without a zone are in "
        "`timezone`."
    )


class PathReference(Strict):
    """Responses in files, of the format of the source."""

    path: Text = Field(description="A file, folder or pattern, from the file that says it.")


_WORDS = ("previous", "same_slot_last_week")
_KEYS = ("run", "window", "path")


def _known_reference(value: Any) -> Any:
    known = f"{', '.join(_WORDS)}, {{run: …}}, {{window: …}} or {{path: …}}"
    if isinstance(value, str) and value not in _WORDS:
        near = suggestion(value, _WORDS) or f"; known: {known}"
        raise ValueError(f"{value[:60]!r} is nothing that intervals can be compared with{near}")
    if isinstance(value, dict) and len(given := [key for key in _KEYS if key in value]) != 1:
        raise ValueError(f"give exactly one of {known}; given: {', '.join(given) or 'none of them'}")
    return value


def _kind_of_reference(value: Any) -> str:
    # No tag is a key: those would be taken for a part of the value's path.
    key = next((key for key in _KEYS if isinstance(value, dict) and key in value), None)
    return f"a {key or value.__class__.__name__.removesuffix('Reference').lower()}"


Reference: TypeAlias = Annotated[
    Annotated[RunReference, Tag("a run")]
    | Annotated[WindowReference, Tag("a window")]
    | Annotated[PathReference, Tag("a path")]
    | Annotated[Literal["previous", "same_slot_last_week"], Tag("a str")],
    Discriminator(
        _kind_of_reference, custom_error_type="reference", custom_error_message="must be a mapping or a word"
    ),
]


class DriftRule(Strict):
    """How one column is tested."""

    column: Text = Field(description="Name of the column.")
    test: Text | None = Field(None, description="A drift test: evalharness list drift (default: by kind of column).")
    effect: float | None = Field(None, gt=0, description="Effect from which on a change counts, in the test's unit.")
    segment: Text | None = Field(None, description="Only in this segment, before rules for all: language=de.")


class DriftSettings(Strict):
    """How windows are compared with the reference."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="Chance of any false alarm in a window.")
    run_length: int | None = Field(
        None, ge=2, description="Windows between two false alarms, on average; instead of `alpha` for each window."
    )
    correction: Literal["bh", "holm", "none"] = Field(
        "bh", description="Over the columns and segments of a window: Benjamini-Hochberg, Holm, or none."
    )
    least_n: int = Field(50, ge=2, description="Fewest rows on either side of which anything is said.")
    rules: tuple[DriftRule, ...] = Field((), description="Columns that are tested otherwise than by default.")


Share = Annotated[float, Field(gt=0, le=1)]


class ScoreSpec(Strict):
    """A figure of the suite, measured on a share of the traffic."""

    metric: Text | dict[str, dict[str, JsonValue]] = Field(
        description="`task.metric` of the suite; or a metric by itself, by name or as {name: options}."
    )
    sample: Share | dict[str, Share] = Field(
        1.0,
        description="Share of the responses that are scored, drawn by their ids; or shares by segment, as in "
        "{language=de: 1.0, default: 0.05}, which the figure makes up for.",
    )


class Anchor(Strict):
    """Outputs that were judged once, and are judged again with each canary: has the judge changed, or the model?"""

    run: Text | None = Field(
        None, description="The run whose outputs and verdicts are frozen (default: what the canary is compared with)."
    )
    path: Text | None = Field(
        None,
        description="In place of a run a file of outputs and verdicts: sample_id, output, and value or label; task and "
        "figure where several are judged.",
    )
    samples: int = Field(100, ge=10, description="Most samples whose outputs are judged again, drawn by their ids.")
    margin: float = Field(
        0.05, ge=0, lt=1, description="Least change of the mean verdict that counts, as a share of the scale's range."
    )
    agreement: float = Field(
        0.8,
        ge=0,
        le=1,
        description="The judge counts as changed, too, where the interval of the share of equal verdicts lies below.",
    )


class Canary(Strict):
    """The suite itself, run again against the production endpoint, and compared in pairs with the promoted run."""

    tasks: tuple[Text, ...] = Field((), description="Tasks of the suite (default: all).")
    model: Text | None = Field(
        None, description="Model of the suite that is asked: the production endpoint (default: each task's own)."
    )
    schedule: Cron | None = Field(
        None, description="Only intervals in which this cron expression fires (default: each interval)."
    )
    baseline: Text | None = Field(
        None,
        description="What it is compared with: `suite@label`, a run id or a folder, or one model of such a run, "
        "RUN:MODEL (default: the run that `reference` names, else `gates.baseline` of the suite, else "
        "SUITE@production).",
    )
    alpha: float | None = Field(
        None,
        gt=0,
        lt=0.5,
        description="Chance of any false alarm of one canary (default: 1/(2N) with `drift.run_length: N`, else 0.05).",
    )
    margin: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Least loss that counts, as a share of the figure's range, or of the promoted figure where that "
        "has no bounds; rules of the suite's gates have their own.",
    )
    anchor: Anchor | None = Field(
        None, description="Lets judges judge frozen outputs again: {} for those of the promoted run."
    )


class OnDrift(Strict):
    """What is done when drift is found."""

    run: Text = Field(
        description="Task of the suite that is run again, against production, on its samples that are like what moved."
    )
    model: Text | None = Field(
        None, description="Model of the suite that is asked (default: the canary's, else the task's own)."
    )
    baseline: Text | None = Field(
        None, description="What it is compared with (default: what the canary is compared with)."
    )
    samples: int = Field(500, ge=10, description="Most samples that are asked, drawn by their ids.")
    margin: float = Field(
        0.01, ge=0, lt=1, description="Least loss that counts, as a share of the figure's range; as `canary.margin`."
    )


class Monitor(Strict):
    """What of production is watched, how often, against what, and who hears of it."""

    name: Name | None = Field(None, description="Name of the monitor (default: the suite's).")
    description: str = Field("", description="What it is for; shown in reports and alerts.")
    source: Source = Field(description="Where responses are read: {path, format, …}.")
    schedule: Cron = Field("0 * * * *", description="When intervals end: a cron expression of 5 or 6 fields.")
    timezone: Annotated[Text, AfterValidator(_check_zone)] = Field(
        "UTC",
        description="Zone of `schedule`, and of times without one in the monitor, in calls and in labels: "
        "Europe/Berlin; that of responses is `source.timezone`.",
    )
    catch_up: Literal["none", "latest", "all"] = Field(
        "all", description="Which of the intervals that were missed, while nothing ran, are run afterwards."
    )
    misfire_grace_s: Seconds = Field(3600.0, description="Later than this past its time, an interval counts as missed.")
    jitter_s: Seconds = Field(
        0.0, description="Intervals run up to this later, by the monitor's name, always the same."
    )
    lateness_s: Seconds = Field(
        0.0, description="How late responses may arrive: an interval runs so long after its end."
    )
    revise_for_s: Seconds = Field(
        0.0,
        description="So long after its end an interval is read again at each later one; other rows make a revision.",
    )
    interval: Annotated[Text, AfterValidator(_check_length)] | None = Field(
        None,
        description="Length of the intervals, as in 7d, which then overlap (default: from one firing to the next).",
    )
    reference: Annotated[Reference, BeforeValidator(_known_reference)] = Field(
        "previous",
        description="What intervals are compared with: {run: suite@label}, {window: START/END}, {path: …}, previous or "
        "same_slot_last_week.",
    )
    watch: tuple[Text | dict[str, dict[str, JsonValue]], ...] = Field(
        (), description="Descriptors of inputs and outputs, by name or as {name: options}."
    )
    examples: int = Field(
        0,
        ge=0,
        le=1000,
        description="Responses of each interval, drawn by their ids, whose texts are kept for typical words, examples "
        "and a map of embeddings; see [watching](watching.md#texts) (default: none).",
    )
    columns: tuple[Text, ...] | None = Field(None, description="Columns that are kept (default: all).")
    segments: tuple[Text, ...] = Field(
        (), description="Attributes whose values are watched one by one: language, tier."
    )
    drift: DriftSettings = Field(default_factory=DriftSettings, description="How windows are compared.")
    scores: tuple[ScoreSpec, ...] = Field(
        (), description="Metrics that are measured of responses; see [scores](monitor-scores.md)."
    )
    labels: Labels | None = Field(
        None, description="Where labels arrive, later than responses; see [scores](monitor-scores.md#labels)."
    )
    estimate: tuple[Literal["cbpe", "dle"], ...] = Field(
        (), description="Estimates of quality without labels; see [scores](monitor-scores.md#estimates-without-labels)."
    )
    canary: Canary | None = Field(
        None,
        description="The suite, run again against production, and compared with the promoted run; see [canary]("
        "canary.md).",
    )
    on_drift: OnDrift | None = Field(
        None, description="What is done when drift is found: a slice of the suite is run; see [canary](canary.md)."
    )
    alerts: Alerts = Field(default_factory=Alerts, description="Who hears of what; see [alerts](alerts.md).")
    otel: OtelEvents | None = Field(
        None,
        description="Figures and findings as OpenTelemetry events `gen_ai.evaluation.result`; see [alerts](alerts.md).",
    )
    retention_days: float | None = Field(
        None, gt=0, description="Files of intervals that ended so many days ago are removed (default: none are)."
    )


class MonitorFile(Monitor):
    """A monitor in a file of its own."""

    version: Literal[1] = Field(1, description="Version of the language.")
    suite: Text | None = Field(None, description="The suite whose tasks and metrics it uses: a path from this file.")
