"""A metric of the user's own, `module:Class` from the suite's folder."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.core.canonical import canonical_json
from evalharness.core.errors import EvalHarnessError, NotComparableError, UsageError
from evalharness.core.importing import import_function
from evalharness.core.protocols import Array, IntervalKind, Metric, Need
from evalharness.core.sources import find_source, sources, sources_digest
from evalharness.core.types import KINDS, Kind, Response, Sample
from evalharness.stats.arrays import np

from .base import MeanMetric, check_batch, ratio

__all__ = ["PythonMetric"]

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_DIGITS = 16
# What the protocol `Metric` asks for, but for what an instance may leave to us.
_REQUIRED = ("name", "columns", "sample_stats", "finalize")
_DEFAULTS: Mapping[str, Any] = {
    "version": "1",
    "higher_is_better": True,
    "bounds": (-math.inf, math.inf),
    "kinds": frozenset({"generate"}),
    "needs": frozenset(),
    "interval": "bootstrap",
    "scores_blank": True,
}
_INTERVALS = ("proportion", "mean", "bootstrap")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The user's metric, its source, and what a record's signature says of both."""

    metric: Metric | None = None
    digest: str = "not-loaded"
    mean: bool = False
    version: str = "1"
    said: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PythonMetric:
    """The figure of a metric class of your own, found from the suite's folder.

        figure = finalize(Σ_i sample_stats_i)

    `metrics: [{python: my_metrics:Politeness}]` is short for `{python: {path: my_metrics:Politeness}}`, and the figure
    is called `Politeness`. The class is made with `options`, and has what the protocol `Metric` of
    `evalharness.core.protocols` names: `name`, `columns`, `sample_stats(samples, responses)` with a row of numbers a
    sample, and `finalize(totals)`; a subclass of `evalharness.metrics.base.MeanMetric` needs only `name` and `values`.
    It is your code: runs need --allow-code. What it gives is checked: a row that is missing, NaN or infinite is told
    with its sample and column, what it raises with file and line. The digest of its source, and of what it imports from
    that folder, is part of the signature. Of a record alone a figure is computed anew only where the class is a mean of
    values (a `MeanMetric` that keeps its `finalize`); other figures can be gated by `at_least` and `at_most`.

    Options:
        path: module:Class, the module's path starting at the suite's folder.
        options: keyword arguments of the class.

    Source: the class itself.
    """

    path: str
    options: dict[str, Any] = field(default_factory=dict)

    # Read by pydantic where a suite's options are validated: an unknown option is an error.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    name = "python"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_loaded", _Loaded())

    def __hash__(self) -> int:
        return hash((self.path, canonical_json(self.options)))

    # ── loading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """(option, message) where the path names no module; nothing is imported."""
        if not _PATH.fullmatch(self.path):
            yield "path", f"{self.path!r} must be module:Class, such as my_metrics:Politeness"
            return
        importlib.invalidate_caches()  # a file written a moment ago must be found
        module = self.path.partition(":")[0]
        if find_source(module, base.resolve()) is None:
            yield (
                "path",
                f"there is no Python module {module!r} in {base.resolve()} or where Python looks for modules; write "
                "module:Class, the module's path starting at the suite's folder",
            )

    def for_run(self, *, base: Path, allow_code: bool) -> PythonMetric:
        """Loaded from `base`, checked, and tried on nothing.

        Raises:
            UsageError: code is not allowed, the class cannot be loaded or made, or is no metric.
        """
        if not allow_code:
            raise UsageError(
                f"the metric python runs code of the suite's ({self.path}), which is off unless you allow it; if you "
                "trust that code, add --allow-code"
            )
        if self._own is not None:
            return self
        for _, message in self.faults(base):
            raise UsageError(f"python: path: {message}")
        base = base.resolve()
        files = sources(self.path.partition(":")[0], base)
        place = f"the metric python: {self.path}"
        made = import_function(self.path, base=base, fresh=files, place=place, what="class")
        metric = self._made(made, tuple(map(str, files.values())))
        mean = isinstance(metric, MeanMetric) and type(metric).finalize is MeanMetric.finalize
        own = tuple(map(str, files.values()))
        version = str(getattr(metric, "version", _DEFAULTS["version"]))
        found = self._with(_Loaded(metric, sources_digest(files)[:_DIGITS], mean, version, files=own))
        found._try()
        return found

    def _made(self, factory: Callable[..., Any], files: Sequence[str]) -> Metric:
        place = f"the metric python: {self.path}"
        if not inspect.isclass(factory):
            raise UsageError(f"{place} is a {type(factory).__name__}, not a class")
        try:
            inspect.signature(factory).bind(**self.options)
        except TypeError as error:
            given = ", ".join(f"{key}=…" for key in self.options)
            raise UsageError(
                f"{place} cannot be made as {factory.__name__}({given}): {error}; see its options"
            ) from error
        except ValueError:
            pass  # a class written in C has no signature to look at
        try:
            metric: Any = factory(**self.options)
            missing = [name for name in _REQUIRED if not hasattr(metric, name)]
        except Exception as error:  # the user's constructor and properties
            raise UsageError(f"{place} cannot be made: {_told(error, files)}") from error
        if missing:
            raise UsageError(
                f"{place} is no metric: it has no {' and no '.join(missing)}; a subclass of "
                "evalharness.metrics.base.MeanMetric needs only `name` and `values(samples, responses)`"
            )
        checked: Metric = metric
        return checked

    def _try(self) -> None:
        """Ask for what does not cost anything, so that slips are found before a model is asked."""
        place = f"the metric python: {self.path}"
        columns = self.columns
        named = isinstance(columns, tuple | list) and all(isinstance(column, str) for column in columns)
        if not named or not columns or columns[0] != "n" or len(set(columns)) != len(columns):
            raise UsageError(
                f"{place}: columns must be distinct names of which the first is 'n' (1 where a sample was measured), "
                f"not {columns!r}"
            )
        if self.interval not in _INTERVALS:
            raise UsageError(f"{place}: interval must be one of {', '.join(_INTERVALS)}, not {self.interval!r}")
        low_high = self.bounds
        if not (isinstance(low_high, tuple) and len(low_high) == 2 and low_high[0] < low_high[1]):
            raise UsageError(f"{place}: bounds must be two numbers, the lower first, not {low_high!r}")
        if not self.kinds or not self.kinds <= set(KINDS):
            raise UsageError(f"{place}: kinds must be some of {', '.join(KINDS)}, not {sorted(map(str, self.kinds))}")
        self.sample_stats([], [])
        self.finalize(np.zeros((2, 3, len(columns))))

    def as_recorded(self, signature: str) -> PythonMetric:
        """As the metric of a record with this signature, not loaded: its rows are read without running code."""
        parts = dict(part.partition(":")[::2] for part in signature.split("|")[1:])
        low, _, high = parts.get("bounds", "-inf,inf").partition(",")
        said = {
            "higher_is_better": parts.get("better") != "lower",
            "bounds": (float(low), float(high)),
            "interval": parts.get("interval", "bootstrap"),
        }
        mean = parts.get("mean") == "yes"
        return self._with(_Loaded(None, parts.get("source", "not-loaded"), mean, parts.get("version", "1"), said))

    def for_task(self, labels: tuple[str, ...]) -> PythonMetric:
        """With the task's labels, where the class takes them."""
        own = self._own
        if own is None or not hasattr(own, "for_task"):
            return self
        return self._with(
            dataclasses.replace(self._known, metric=self._asked(lambda: own.for_task(labels), "for_task"))
        )

    def _with(self, loaded: _Loaded) -> PythonMetric:
        found = dataclasses.replace(self)
        object.__setattr__(found, "_loaded", loaded)
        return found

    @property
    def _known(self) -> _Loaded:
        found: _Loaded = self._loaded  # type: ignore[attr-defined]
        return found

    @property
    def _own(self) -> Metric | None:
        return self._known.metric

    def _said(self, attribute: str) -> Any:
        """What the user's metric says of itself, or the default."""
        own, default = self._own, self._known.said.get(attribute, _DEFAULTS[attribute])
        return default if own is None else self._asked(lambda: getattr(own, attribute, default), attribute)

    def _asked(self, call: Callable[[], Any], what: str) -> Any:
        try:
            return call()
        except EvalHarnessError:
            raise
        except Exception as error:  # the user's code
            told = _told(error, self._known.files)
            raise UsageError(f"the metric python: {self.path} failed in {what}: {told}") from error

    # ── the protocol ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def version(self) -> str:
        """The class's own version."""
        return self._known.version

    @property
    def higher_is_better(self) -> bool:
        """What the class says; true where it says nothing."""
        return bool(self._said("higher_is_better"))

    @property
    def bounds(self) -> tuple[float, float]:
        """What the class says; none where it says nothing."""
        found: tuple[float, float] = self._said("bounds")
        return found

    @property
    def kinds(self) -> frozenset[Kind]:
        """What the class says; before it is loaded, every kind of task."""
        return frozenset(KINDS) if self._own is None else frozenset(self._said("kinds"))

    @property
    def needs(self) -> frozenset[Need]:
        """What the class says."""
        return frozenset(self._said("needs"))

    @property
    def interval(self) -> IntervalKind:
        """What the class says; the bootstrap, which suits every figure, where it says nothing."""
        found: IntervalKind = self._said("interval")
        return found

    @property
    def scores_blank(self) -> bool:
        """What the class says; true where it says nothing."""
        return bool(self._said("scores_blank"))

    @property
    def counts_states(self) -> bool:
        """Whether the class says that it counts failed answers."""
        return bool(getattr(self._own, "counts_states", False))

    @property
    def columns(self) -> tuple[str, ...]:
        """What the class says."""
        own = self._own
        if own is None:
            return ("n", "sum")
        found = self._asked(lambda: own.columns, "columns")
        return tuple(found) if isinstance(found, list) else found

    @property
    def signature(self) -> str:
        """Class, options, the digest of the source, and the class's own version."""
        known = self._known
        parts = [self.name, f"path:{self.path}", f"options:{canonical_json(self.options)}"]
        parts += [f"source:{known.digest}", f"mean:{'yes' if known.mean else 'no'}", f"version:{known.version}"]
        low, high = self.bounds
        parts += [f"better:{'higher' if self.higher_is_better else 'lower'}", f"bounds:{float(low)!r},{float(high)!r}"]
        parts.append(f"interval:{self.interval}")
        return "|".join(part.replace("|", "/") for part in parts)

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        """The rows of the user's metric, checked.

        Raises:
            UsageError: it raises, or its rows are not what rows must be; with sample and column.
        """
        check_batch(samples, responses)
        own = self._own
        if own is None:
            raise UsageError(f"the metric python: {self.path} is not loaded; call for_run(base=…, allow_code=True)")
        place = f"the metric python: {self.path}"
        try:
            found = own.sample_stats(samples, responses)
        except Exception as error:  # the user's code
            sample = _culprit(own, samples, responses)
            at = f" on the sample {sample!r}" if sample else ""
            told = _told(error, self._known.files)
            raise UsageError(f"{place} failed in sample_stats{at}: {told}") from error
        try:
            rows = np.array(found, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{place}: sample_stats gave no array of numbers: {error}") from error
        shape = (len(samples), len(self.columns))
        if rows.shape != shape and not (rows.size == 0 and shape[0] == 0):
            raise UsageError(
                f"{place}: sample_stats gave the shape {rows.shape}, not {shape}: one row a sample, one number for "
                f"each of the columns {', '.join(self.columns)}"
            )
        rows = rows.reshape(shape)
        self._check_rows(rows, samples)
        return rows

    def _check_rows(self, rows: Array, samples: Sequence[Sample]) -> None:
        place = f"the metric python: {self.path}"
        wrong = np.argwhere(~np.isfinite(rows))
        if len(wrong):
            row, column = map(int, wrong[0])
            raise UsageError(
                f"{place}: {rows[row, column]} in the column {self.columns[column]!r} of the sample "
                f"{samples[row].id!r} ({len(wrong)} in all); where nothing was measured, the row is all zeros"
            )
        counted = ~np.isin(rows[:, 0], (0.0, 1.0)) | ((rows[:, 0] == 0) & rows.any(axis=1))
        if counted.any():
            row = int(counted.argmax())
            raise UsageError(
                f"{place}: the row of the sample {samples[row].id!r} is {rows[row].tolist()}: its first number, n, is "
                "1 where the sample was measured, or else 0 like the whole row"
            )

    def finalize(self, totals: Array) -> Array:
        """What the user's metric makes of totals, checked; of a record's rows, the mean where it is one.

        Raises:
            UsageError: it raises, or gives the wrong shape.
            NotComparableError: the rows are a record's, and the class is needed to read them.
        """
        totals = np.asarray(totals, dtype=np.float64)
        own, place = self._own, f"the metric python: {self.path}"
        if own is None and self._known.mean:
            return ratio(totals[..., 1], totals[..., 0])
        if own is None:
            raise NotComparableError(
                f"{place} cannot be computed anew from a record's numbers: its figure is made by your code; use "
                "at_least or at_most, or make it a subclass of MeanMetric"
            )
        found = self._asked(lambda: own.finalize(totals), "finalize")
        try:
            values: Array = np.asarray(found, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{place}: finalize gave no array of numbers: {error}") from error
        if values.shape != totals.shape[:-1]:
            raise UsageError(
                f"{place}: finalize gave the shape {values.shape} for totals of shape {totals.shape}; it must give "
                f"{totals.shape[:-1]}: write totals[..., 1] / totals[..., 0], with an ellipsis for what stands before"
            )
        return values


def _told(error: BaseException, files: Sequence[str]) -> str:
    """Type, message, and the place in the user's own files."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name})" if own else ""
    return f"{type(error).__name__}: {error}{place}".replace("\n", " ")


def _culprit(metric: Metric, samples: Sequence[Sample], responses: Sequence[Response]) -> str:
    """The first sample that alone makes it raise; "" where none does."""
    for sample, response in zip(samples, responses, strict=True):
        try:
            metric.sample_stats([sample], [response])
        except Exception:  # noqa: BLE001 - that is what is looked for
            return sample.id
    return ""
