"""The folder of an interval: written whole beside its place, and put there by the transaction that records it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalharness.core.alive import hold, owned_name, release
from evalharness.core.canonical import to_jsonable
from evalharness.core.errors import RecordError, RunError
from evalharness.core.files import remove_abandoned
from evalharness.record.schema import CHECKSUMS

from .schedule import Interval

__all__ = [
    "WINDOW",
    "Draft",
    "folder_name",
    "monitor_folder",
    "read_sealed",
    "read_window",
    "remove_folder",
    "verify_folder",
    "write_sealed",
]

WINDOW = "window.json"


def monitor_folder(reports: Path, monitor: str) -> Path:
    """Where the files of a monitor are."""
    return reports / "monitors" / monitor


def folder_name(interval: Interval, revision: int) -> str:
    """The name of an interval's folder: 20260329T010000Z_20260329T020000Z.r0."""
    return f"{_stamp(interval.start)}_{_stamp(interval.end)}.r{revision}"


def _stamp(moment: datetime) -> str:
    text = f"{moment.astimezone(UTC):%Y%m%dT%H%M%S}"
    return f"{text}{f'.{moment.microsecond:06}' if moment.microsecond else ''}Z"


class Draft:
    """A folder that is not in its place yet; as a context it goes away, unless it was put there."""

    def __init__(self, place: Path, window: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Write `files`, `window` as JSON, and the checksums of all of them, durably.

        Raises:
            RunError: it cannot be written.
        """
        self.place = place
        self.temporary = place.with_name(owned_name(place.name, "tmp"))
        text = json.dumps(to_jsonable(window), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(place.parent)
            self.temporary.mkdir()
            self._held = hold(self.temporary)
            write_sealed(self.temporary, {WINDOW: text.encode("utf-8", "surrogatepass"), **files})
        except OSError as error:
            raise RunError(
                f"{place}: the interval's files cannot be written: {error}; make room, or --reports"
            ) from error

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *args: object) -> None:
        shutil.rmtree(self.temporary, ignore_errors=True)
        release(self._held)

    def put(self) -> None:
        """Put the folder into its place. Only within the transaction that records it: nobody else is writing then.

        What lies there already belongs to a transaction that was never committed.
        """
        try:
            if self.place.exists():
                doomed = self.place.with_name(owned_name(self.place.name, "tmp"))
                self.place.rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)
            self.temporary.rename(self.place)
            _sync(self.place.parent)
        except OSError as error:
            raise RunError(f"{self.place}: the interval's files cannot be put there: {error}") from error


def remove_folder(path: Path) -> None:
    """Remove a folder by a rename, so that nobody sees half of it; what cannot be removed now is found again later."""
    with contextlib.suppress(OSError):
        doomed = path.with_name(owned_name(path.name, "tmp"))
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _sync(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_sealed(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` into `folder`, durably, with the checksums of all of them (`sha256sum -c` checks them, too)."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    for name, data in {**files, CHECKSUMS: sums.encode()}.items():
        with (folder / name).open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())


def read_sealed(folder: Path) -> dict[str, bytes]:
    """The files of a folder that are what was written.

    Raises:
        RecordError: one of them is not.
    """
    verify_folder(folder)
    names = [line.partition("  ")[2] for line in (folder / CHECKSUMS).read_text().splitlines()]
    return {name: (folder / name).read_bytes() for name in names}


def read_window(folder: Path) -> dict[str, Any]:
    """What `window.json` says.

    Raises:
        RecordError: it is not there, or damaged.
    """
    try:
        found: dict[str, Any] = json.loads((folder / WINDOW).read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder}: {WINDOW} cannot be read: {error}; run the interval again") from error
    return found


def verify_folder(folder: Path) -> None:
    """Check the files against their checksums.

    Raises:
        RecordError: one is missing, or is not what was written.
    """
    with contextlib.suppress(OSError):
        for line in (folder / CHECKSUMS).read_text().splitlines():
            expected, _, name = line.partition("  ")
            try:
                data = (folder / name).read_bytes()
            except OSError as error:
                raise RecordError(f"{folder / name}: {error.strerror}; run the interval again") from error
            if hashlib.sha256(data).hexdigest() != expected:
                raise RecordError(f"{folder / name} was changed after it was written; run the interval again")
        return
    raise RecordError(f"{folder}: {CHECKSUMS} cannot be read; run the interval again")
