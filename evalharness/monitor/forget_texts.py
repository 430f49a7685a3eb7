"""Texts of a reference go when they are older than `retention_days`, wherever they were kept.

They lie in two kinds of folders: `texts-…`, those of a fixed reference, and that of each interval that was compared
with them. Its own texts go with an interval's folder. Words and shares stay: they are figures, as states are.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from evalharness.core.files import write_atomic
from evalharness.record.schema import CHECKSUMS
from evalharness.stats.arrays import np

__all__ = ["OLDEST", "TEXTS", "VECTORS", "forget_texts", "texts_bytes", "younger"]

TEXTS: Final = "texts.json"
VECTORS: Final = "texts.npz"
OLDEST: Final = "oldest_of_reference"
"""The first key of an interval's texts: the time of the reference's oldest one, so that most files need no reading."""
_HEAD: Final = 200

Row = dict[str, Any]


def younger(rows: Sequence[Row], until: datetime) -> list[int]:
    """The places of those that are from after `until`."""
    return [place for place, row in enumerate(rows) if datetime.fromisoformat(row["at"]) > until]


def texts_bytes(body: Mapping[str, Any]) -> bytes:
    """What `texts.json` says: first, how old the reference's texts are."""
    rows = body.get("reference", {}).get("texts", ())
    told = {OLDEST: min((row["at"] for row in rows), default=None, key=datetime.fromisoformat), **body}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def forget_texts(folder: Path, until: datetime) -> int:
    """Remove texts of references that are from `until` or before from all in the `folder` of a monitor.

    Returns how many folders had such texts. What cannot be written now goes the next time.
    """
    n = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or not (path / TEXTS).is_file():
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            n += _forget_kept(path, until) if path.name.startswith("texts-") else _forget_compared(path, until)
    return n


def _forget_compared(folder: Path, until: datetime) -> bool:
    """The reference's texts of an interval, their points on maps, and the typical ones among them."""
    with (folder / TEXTS).open("rb") as handle:
        oldest = _oldest(handle.read(_HEAD))
    if oldest is None or datetime.fromisoformat(oldest) > until:
        return False
    body = json.loads((folder / TEXTS).read_bytes())
    rows = body["reference"]["texts"]
    places = younger(rows, until)
    body["reference"]["texts"] = [rows[place] for place in places]
    left = {row.get(side) for row in body["reference"]["texts"] for side in ("input", "output")}
    body["examples"] = [one for one in body.get("examples", ()) if one[1] != "reference" or one[2] in left]
    maps = [{**one, "reference": [one["reference"][place] for place in places]} for one in body.get("maps", ())]
    body["maps"] = maps if places else []
    body.pop(OLDEST)
    _put(folder, {TEXTS: texts_bytes(body)})
    return True


def _oldest(head: bytes) -> str | None:
    key, colon, rest = head.decode("utf-8", "replace").partition(":")
    if not colon or key != f'{{"{OLDEST}"' or not rest.startswith('"'):
        return None
    return rest[1:].partition('"')[0]


def _forget_kept(folder: Path, until: datetime) -> bool:
    """The texts of a fixed reference, and their vectors."""
    rows = json.loads((folder / TEXTS).read_bytes())["current"]["texts"]
    places = younger(rows, until)
    if len(places) == len(rows):
        return False
    files = {TEXTS: texts_bytes({"current": {"texts": [rows[place] for place in places]}})}
    if (folder / VECTORS).is_file():
        with np.load(io.BytesIO((folder / VECTORS).read_bytes()), allow_pickle=False) as found:
            kept: dict[str, Any] = {name: found[name][places] for name in found.files}
        data = io.BytesIO()
        np.savez_compressed(data, **kept)
        files[VECTORS] = data.getvalue()
    _put(folder, files)
    return True


def _put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace files of a sealed folder. Whoever is killed in between leaves files without a checksum, not damaged."""
    lines = [line.partition("  ") for line in (folder / CHECKSUMS).read_text().splitlines()]
    seals = {name: seal for seal, _, name in lines}
    _seal(folder, {name: seal for name, seal in seals.items() if name not in files})
    for name, data in files.items():
        write_atomic(folder / name, data)
        seals[name] = hashlib.sha256(data).hexdigest()
    _seal(folder, seals)


def _seal(folder: Path, seals: Mapping[str, str]) -> None:
    write_atomic(folder / CHECKSUMS, "".join(f"{seal}  {name}\n" for name, seal in sorted(seals.items())))
