"""The responses of a fixed reference: of a promoted run, a window of the source, or files, with labels and scores.

What intervals need of them (the state, rows for estimates, some texts) is made in one reading and kept beside the
intervals, each in a folder whose name says all that decides it: what is there is not made again. Labels may arrive
after the reference was read. So the ids of its responses are kept, too, 8 bytes each; other labels for these make what
depends on labels anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from evalharness.core.canonical import digest
from evalharness.core.errors import EvalHarnessError
from evalharness.core.files import atomic_folder
from evalharness.record import Record
from evalharness.stats.arrays import np
from evalharness.suite.monitor_entry import PathReference, RunReference

from .files import read_sealed, remove_folder, write_sealed
from .labels import Known, labels_of
from .parts import Responses, Setting, add_to_all, enriching_parts_of
from .references import window_of
from .schedule import Interval

__all__ = ["FixedReference", "Keeper", "ReadBatches", "forget_fixed", "kept_kind"]

ReadBatches: TypeAlias = Callable[[], Iterator[Responses]]
_EVER: Final = Interval(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_IDS: Final = "ids"
_FILE: Final = "ids.bin"
_KINDS: Final = ("reference", "estimate", "texts", _IDS)


class Keeper(Protocol):
    """What makes one of the things that are kept; `identity` is what decides it beside definition and reference."""

    @property
    def kind(self) -> str:
        """How its folder's name begins."""

    @property
    def identity(self) -> Sequence[str]:
        """What else decides it: another encoder of texts makes another state."""

    @property
    def of_labels(self) -> bool:
        """Whether labels decide it."""

    def add(self, responses: Responses) -> None:
        """Take a batch in; they come in the order of the source."""

    def files(self) -> Mapping[str, bytes]:
        """What is kept."""


class FixedReference:
    """A run, window or path that intervals are compared with, and what is kept of it."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.name, self._span, self._batches = _responses(setting)
        self._keepers: dict[str, Keeper] = {}
        reference = setting.definition.monitor.reference
        entry = setting.definition.monitor.labels
        self._labels: Mapping[str, Known] | None = None
        # The answers of a run have their references.
        if entry is not None and not isinstance(reference, RunReference):
            zone = ZoneInfo(setting.definition.monitor.timezone)
            self._labels = labels_of(entry, self._span, base=setting.definition.base, zone=zone).labels
        self.labels_digest = ""

    def keep(self, keepers: Iterable[Keeper]) -> None:
        """Have what `keepers` make at hand: found, or made of one reading for all that are missing.

        Of a reference without responses nothing is kept: it is read again the next time.

        Raises:
            EvalHarnessError: it cannot be read or kept.
        """
        self._keepers = {one.kind: one for one in keepers}
        if self._labels is not None:
            ids = self._place(_IDS)
            if not ids.is_dir():
                self._read(list(self._keepers.values()))
                self._tidy()
                return
            self.labels_digest = _Ids.of_bytes(read_sealed(ids)[_FILE]).labels_digest(self._labels)
        missing = [one for one in self._keepers.values() if not self.place(one.kind).is_dir()]
        if missing:
            self._read(missing)
        self._tidy()

    def _read(self, keepers: Sequence[Keeper]) -> None:
        ids = _Ids()
        n = 0
        for batch in self._batches():
            self._setting.beat()
            n += len(batch)
            ids.add(batch)
            for one in keepers:
                one.add(batch)
        if not n:
            return
        if self._labels is not None:
            self.labels_digest = ids.labels_digest(self._labels)
            self._put(self._place(_IDS), {_FILE: ids.to_bytes()})
        for one in keepers:
            self._put(self.place(one.kind), one.files())

    def _put(self, place: Path, files: Mapping[str, bytes]) -> None:
        if place.is_dir():
            return
        try:
            with atomic_folder(place) as temporary:
                write_sealed(temporary, files)
        except FileExistsError:
            return  # another process has read the same
        except OSError as error:
            raise EvalHarnessError(f"{place}: the reference cannot be kept: {error}") from error

    def identity(self, kind: str) -> str:
        """What the folder of `kind` is found again by."""
        keeper = self._keepers[kind]
        found = digest([self._setting.definition.digest, self.name, *keeper.identity])[:12]
        return f"{found}.{self.labels_digest[:12]}" if keeper.of_labels and self.labels_digest else found

    def place(self, kind: str) -> Path:
        """The folder of `kind`."""
        return self._setting.past.folder / f"{kind}-{self.identity(kind)}"

    def _place(self, kind: str) -> Path:
        return self._setting.past.folder / f"{kind}-{digest([self._setting.definition.digest, self.name])[:12]}"

    def files(self, kind: str) -> dict[str, bytes] | None:
        """The files of `kind`; None where the reference has no responses.

        Raises:
            RecordError: they are not what was written.
        """
        place = self.place(kind)
        return read_sealed(place) if place.is_dir() else None

    def _tidy(self) -> None:
        """Remove what nothing needs any more; states of other definitions stay, which may come back."""
        own = {self.place(kind).name for kind in self._keepers}
        own |= {self._place(_IDS).name} if self._labels is not None else set()
        folder = self._setting.past.folder
        if not all((folder / name).is_dir() for name in own):
            return
        stems = {name.partition(".")[0] for name in own}
        for path in _kept_folders(folder):
            if path.name not in own and (_goes(path) or path.name.partition(".")[0] in stems):
                remove_folder(path)


def forget_fixed(folder: Path) -> None:
    """Remove texts, ids and rows of fixed references from the `folder` of a monitor that has none any more."""
    for path in _kept_folders(folder):
        if _goes(path):
            remove_folder(path)


def _kept_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if kept_kind(path.name)] if folder.is_dir() else []


def _goes(path: Path) -> bool:
    return kept_kind(path.name) != "reference"


def kept_kind(name: str) -> str | None:
    """What a folder of a monitor keeps of a fixed reference, by its name; None for another folder."""
    kind, dash, _ = name.partition("-")
    return kind if dash and kind in _KINDS else None


class _Ids:
    """The ids of the responses of a reference, as hashes of 8 bytes, sorted."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @classmethod
    def of_bytes(cls, data: bytes) -> _Ids:
        made = cls()
        made._parts.append(data)
        return made

    def add(self, responses: Responses) -> None:
        self._parts.append(b"".join(_hash(one.id) for one in responses))

    def to_bytes(self) -> bytes:
        found = np.unique(np.frombuffer(b"".join(self._parts), dtype=">u8"))
        return found.tobytes()

    def labels_digest(self, labels: Mapping[str, Known]) -> str:
        """Of the labels that these responses have, whatever their order; "" where they have none."""
        names = list(labels)
        hashes = np.frombuffer(b"".join(map(_hash, names)), dtype=">u8")
        own = np.isin(hashes, np.frombuffer(b"".join(self._parts), dtype=">u8"))
        total = n = 0
        for place in np.flatnonzero(own).tolist():
            data = f"{names[place]}\0{labels[names[place]].label}".encode("utf-8", "replace")
            total = (total + int.from_bytes(hashlib.sha256(data).digest())) % 2**256
            n += 1
        return hashlib.sha256(f"{n}:{total:064x}".encode()).hexdigest() if n else ""


def _hash(name: str) -> bytes:
    return hashlib.sha256(b"evalharness reference\0" + name.encode("utf-8", "replace")).digest()[:8]


def _responses(setting: Setting) -> tuple[str, Interval, ReadBatches]:
    """The name of a run, window or path, its span, and what reads its responses."""
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
        return f"run {record.id}", _EVER, lambda: whole(responses_of_run(record, judged))
    if isinstance(reference, PathReference):
        # Files of the source's own format, whatever the time of their responses.
        given = source.model_copy(update={"path": reference.path, "receive": None})
        span, name = _EVER, f"path {reference.path}"
    else:
        given, span = source, window_of(definition)
        name = f"window {span}"
    setting = replace(setting, interval=span)
    return name, span, lambda: whole(read(given, span.start, span.end, base=definition.base).batches())
