"""What an interval is compared with: a layout that is frozen once and kept, and the state of the reference under it.

Two states can be compared under one layout only (bin edges, known categories): it is frozen from the reference, or,
where the reference is an earlier interval, from the first one with rows enough. It lies in the monitor's folder under
`reference-<identity>`, with checksums; the identity is a digest of all that decides it, so that another definition, or
another run promoted, makes another one beside it. A reference that is not there yet is no error. Of a fixed reference
`StateKeeper` makes both, in the reading that `fixed_reference` gives to all that is kept of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from evalharness.core.canonical import digest
from evalharness.core.drifting import DriftFinding, DriftReport
from evalharness.core.errors import EvalHarnessError, RecordError
from evalharness.core.files import atomic_folder
from evalharness.suite.monitor_entry import PathReference, RunReference, WindowReference

from .files import read_sealed, verify_folder, write_sealed
from .schedule import Interval, parse_interval

if TYPE_CHECKING:
    from evalharness.core.production import ProductionResponse

    from .define import Definition
    from .measurement import Past

__all__ = [
    "FROM_RUNS",
    "STATE",
    "Fixed",
    "Instruments",
    "Layout",
    "Reference",
    "State",
    "StateKeeper",
    "earlier",
    "find_reference",
    "freeze_from",
]

STATE: Final = "state.bin"
_LAYOUT: Final = "layout.bin"
_ABOUT: Final = "about.json"
FREEZE_ROWS: Final = 20_000
FROM_RUNS: Final = (RunReference, WindowReference, PathReference)


class Layout(Protocol):
    """Frozen bins and categories."""

    @property
    def digest(self) -> str: ...

    def to_bytes(self) -> bytes: ...


class State(Protocol):
    """What is kept of a window under a layout."""

    @property
    def n(self) -> int: ...

    def update(self, table: Any) -> None: ...

    def to_bytes(self) -> bytes: ...


class Instruments(Protocol):
    """What makes states of tables and compares them; `drift` offers one."""

    @property
    def identity(self) -> str: ...

    def freeze(self, tables: Iterable[Any]) -> Layout: ...

    def layout(self, data: bytes) -> Layout: ...

    def state(self, layout: Layout) -> State: ...

    def restored(self, data: bytes, layout: Layout) -> State: ...

    def compare(self, reference: State, current: State) -> tuple[DriftFinding, ...]: ...

    def lines(self, reference: State, current: State) -> list[DriftFinding]: ...

    def merged(self, first: State, second: State) -> State: ...

    def report(
        self, reference: State, current: State, findings: tuple[DriftFinding, ...], names: tuple[str, str]
    ) -> DriftReport: ...


@dataclass(frozen=True, slots=True)
class Reference:
    """The layout, the state under it, and what both are called; `message` says why one is missing."""

    name: str
    layout: Layout | None = None
    state: State | None = None
    message: str = ""
    identity: str = ""


class Fixed(NamedTuple):
    """A fixed reference as it is kept: its name, its folder, and the end of that folder's name."""

    name: str
    place: Path
    identity: str


def find_reference(
    definition: Definition,
    interval: Interval,
    past: Past,
    instruments: Instruments,
    *,
    fixed: Fixed | None = None,
) -> Reference:
    """The reference of `interval`; `fixed` is that of a monitor whose reference is a run, a window or a path."""
    reference = definition.monitor.reference
    if isinstance(reference, FROM_RUNS):
        assert fixed is not None
        return _fixed(instruments, fixed)
    identity = _identity(definition, instruments)
    layout = _kept_layout(past.folder / f"reference-{identity}", instruments)
    span = earlier(definition, interval)
    name = f"{'previous' if reference == 'previous' else 'same slot last week'} {span}"
    if layout is None:
        return Reference(name, message="no interval had rows enough yet to lay bins by", identity=identity)
    folder = past.files_of(span)
    if folder is None or not (folder / STATE).is_file():
        return Reference(name, layout, message=f"{span} was not measured", identity=identity)
    verify_folder(folder)
    about = json.loads((folder / "window.json").read_bytes())
    if about["layout_digest"] != layout.digest:
        message = f"{span} was measured by another definition; evalharness monitor run --interval measures it again"
        return Reference(name, layout, message=message, identity=identity)
    return Reference(name, layout, instruments.restored((folder / STATE).read_bytes(), layout), identity=identity)


def _identity(definition: Definition, instruments: Instruments) -> str:
    """What a kept layout is found again by: another encoder of texts makes another one."""
    return digest([definition.digest, *filter(None, [instruments.identity])])[:12]


def earlier(definition: Definition, interval: Interval) -> Interval:
    """The interval right before, or the one a week earlier by the clock on the wall."""
    schedule = definition.schedule
    if definition.monitor.reference == "previous":
        if schedule.length_s:
            return schedule.ending(schedule.last(interval.end - timedelta(microseconds=1)))
        return schedule.ending(interval.start)
    return schedule.a_week_before(interval)


def _fixed(instruments: Instruments, fixed: Fixed) -> Reference:
    name, place, identity = fixed
    layout = _kept_layout(place, instruments)
    if layout is None:
        return Reference(name, message=f"the reference ({name}) has no responses", identity=identity)
    return Reference(name, layout, instruments.restored((place / STATE).read_bytes(), layout), identity=identity)


class StateKeeper:
    """Lays bins by the first rows of a fixed reference, and makes its state (`fixed_reference.Keeper`)."""

    kind: Final = "reference"

    def __init__(
        self,
        instruments: Instruments,
        table: Callable[[Sequence[ProductionResponse]], Any],
        name: str,
        *,
        of_labels: bool,
    ) -> None:
        self._instruments, self._table, self._name = instruments, table, name
        self._of_labels = of_labels
        self._held: list[Any] = []
        self._n_held = 0
        self._layout: Layout | None = None
        self._state: State | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """Another encoder of texts makes another one."""
        return tuple(filter(None, [self._instruments.identity]))

    @property
    def of_labels(self) -> bool:
        """Whether a column is made of labels."""
        return self._of_labels

    def add(self, responses: Sequence[ProductionResponse]) -> None:
        """Take a batch in; the first ones are held until there are rows enough to lay bins by."""
        table = self._table(responses)
        if self._state is not None:
            self._state.update(table)
            return
        self._held.append(table)
        self._n_held += _rows(table)
        if self._n_held >= FREEZE_ROWS:
            self._freeze()

    def _freeze(self) -> tuple[Layout, State]:
        layout = self._instruments.freeze(self._held)
        state = self._instruments.state(layout)
        for table in self._held:
            state.update(table)
        self._layout, self._state, self._held = layout, state, []
        return layout, state

    def files(self) -> dict[str, bytes]:
        """The layout and the state."""
        if self._layout is None or self._state is None:
            self._freeze()
        assert self._layout is not None  # it is frozen now
        return _files(self._name, self._layout, self._state)


def freeze_from(
    definition: Definition, folder: Path, instruments: Instruments, identity: str, tables: list[Any]
) -> Layout | None:
    """A layout of the first rows of an interval, kept for those that follow; None where they are too few for one."""
    if sum(map(_rows, tables)) < definition.monitor.drift.least_n:
        return None
    layout = instruments.freeze(tables)
    _keep(folder / f"reference-{identity}", "first interval", layout)
    return layout


def _rows(table: Any) -> int:
    return int(table.n)


def _kept_layout(place: Path, instruments: Instruments) -> Layout | None:
    if not place.is_dir():
        return None
    files = read_sealed(place)
    layout = instruments.layout(files[_LAYOUT])
    if layout.digest != json.loads(files[_ABOUT])["layout_digest"]:
        raise RecordError(
            f"{place / _LAYOUT} has another digest than when it was frozen; remove the folder to freeze anew"
        )
    return layout


def _keep(place: Path, name: str, layout: Layout) -> None:
    try:
        with atomic_folder(place) as temporary:
            write_sealed(temporary, _files(name, layout, None))
    except FileExistsError:
        return  # another process froze the same
    except OSError as error:
        raise EvalHarnessError(f"{place}: the reference cannot be kept: {error}") from error


def _files(name: str, layout: Layout, state: State | None) -> dict[str, bytes]:
    about = {"name": name, "layout_digest": layout.digest, "n": state.n if state is not None else 0}
    files = {_ABOUT: json.dumps(about, indent=1).encode() + b"\n", _LAYOUT: layout.to_bytes()}
    return files if state is None else {**files, STATE: state.to_bytes()}


def window_of(definition: Definition) -> Interval:
    """The span of a reference that is a fixed window."""
    reference = definition.monitor.reference
    assert isinstance(reference, WindowReference)  # asked for no other
    return parse_interval(reference.window, definition.monitor.timezone, place="reference.window")
