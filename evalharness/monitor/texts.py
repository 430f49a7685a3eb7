"""`TextPart`: some texts of an interval, kept as they were redacted, and what tells them from those of the reference.

States hold numbers and words, no texts. Where `examples` is given, so many responses are drawn by the hash of their
ids; of these and as many of the reference come the words that moved most, the texts that are typical of either side,
and, where texts are embedded, a map: both sides' vectors in the plane of the reference's first two principal
components. They lie in the interval's folder and go with it (`retention_days`); those of the reference that lie there
go when they are so old themselves.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from evalharness.core.drifting import DriftFinding
from evalharness.core.production import ProductionResponse
from evalharness.stats.arrays import Floats, np
from evalharness.suite.monitor_entry import PathReference, RunReference, WindowReference

from .describe import Watch, watches_of
from .forget_texts import TEXTS, VECTORS, Row, texts_bytes, younger
from .parts import Found, Responses, Setting
from .references import earlier

if TYPE_CHECKING:
    from .define import Definition

__all__ = ["TEXTS", "TextKeeper", "TextPart", "plane"]

_LONGEST: Final = 2_000
_SIDES: Final = ("input", "output")


class _Drawn:
    """The texts of at most `most` responses, by the hash of their ids: the same whatever order they came in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, str, Row]] = []

    def add(self, responses: Responses) -> None:
        for one in responses:
            if one.input is None and one.output is None:
                continue
            name = one.id.encode("utf-8", "replace")
            drawn = -int.from_bytes(hashlib.sha256(b"evalharness texts\0" + name).digest()[:8])
            if len(self._heap) < self._most:
                heapq.heappush(self._heap, (drawn, one.id, _row(one)))
            elif drawn > self._heap[0][0]:
                heapq.heapreplace(self._heap, (drawn, one.id, _row(one)))

    @property
    def rows(self) -> list[Row]:
        """By time."""
        return sorted((row for *_, row in self._heap), key=lambda row: (row["at"], row["id"]))


def _row(one: ProductionResponse) -> Row:
    texts = {side: text[:_LONGEST] for side in _SIDES if (text := getattr(one, side)) is not None}
    return {"id": one.id, "at": one.event_time.isoformat(timespec="seconds"), **texts}


class _Side:
    """Texts, with their vectors by embedded column."""

    def __init__(self, rows: Sequence[Row], vectors: Mapping[str, Floats], name: str = "") -> None:
        self.rows, self.vectors, self.name = list(rows), dict(vectors), name

    def texts(self, side: str) -> list[str | None]:
        return [row.get(side) for row in self.rows]

    def younger(self, until: datetime | None) -> _Side:
        """Those from after `until`."""
        if until is None:
            return self
        places = younger(self.rows, until)
        vectors = {name: rows[places] for name, rows in self.vectors.items()}
        return _Side([self.rows[place] for place in places], vectors, self.name)

    def files(self) -> dict[str, bytes]:
        """What another interval reads of it."""
        found = {TEXTS: texts_bytes({"current": {"texts": self.rows}})}
        if self.vectors:
            data = io.BytesIO()
            kept: dict[str, Any] = {name: rows.astype(np.float16) for name, rows in self.vectors.items()}
            np.savez_compressed(data, **kept)
            found[VECTORS] = data.getvalue()
        return found

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], name: str) -> _Side:
        """What `files` wrote."""
        rows = json.loads(files[TEXTS])["current"]["texts"]
        vectors: dict[str, Floats] = {}
        if VECTORS in files:
            with np.load(io.BytesIO(files[VECTORS]), allow_pickle=False) as found:
                vectors = {key: found[key].astype(np.float64) for key in found.files}
        return cls(rows, vectors, name)


class TextPart:
    """Draws texts of the interval, and sets them beside those of the reference."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._monitor = setting.definition.monitor
        self._drawn = _Drawn(self._monitor.examples)

    @property
    def input_digest(self) -> str:
        """Nothing is read beside the responses and the reference."""
        return ""

    def add(self, responses: Responses) -> Responses:
        """Draw; the responses stay as they are."""
        self._drawn.add(responses)
        return responses

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """The texts, and what tells them from those of the reference."""
        rows = self._drawn.rows
        if not rows:
            return Found()
        own = _embedded(self._setting, rows)
        files = own.files()
        reference = self._reference()
        body: dict[str, Any] = {"current": {"texts": rows}}
        note = ""
        if reference is not None and reference.rows:
            young = reference.younger(_oldest_kept(self._setting))
            if young.rows:
                body |= {"reference": {"name": young.name, "texts": young.rows}} | _told_apart(young, own)
            else:
                note = "no examples beside the reference's: its texts are older than retention_days"
        return Found(files={**files, TEXTS: texts_bytes(body)}, note=note)

    def _reference(self) -> _Side | None:
        reference = self._monitor.reference
        if isinstance(reference, RunReference | WindowReference | PathReference):
            return self._fixed()
        span = earlier(self._setting.definition, self._setting.interval)
        folder = self._setting.past.files_of(span)
        if folder is None or not (folder / TEXTS).is_file():
            return None
        files = {name: (folder / name).read_bytes() for name in (TEXTS, VECTORS) if (folder / name).is_file()}
        return _Side.of_files(files, str(span))

    def _fixed(self) -> _Side | None:
        """Texts of the fixed reference, drawn once and kept."""
        fixed = self._setting.fixed
        assert fixed is not None  # the reference is a fixed one
        files = fixed.files(TextKeeper.kind)
        return None if files is None else _Side.of_files(files, fixed.name)


class TextKeeper:
    """Draws texts of a fixed reference, with their vectors (`fixed_reference.Keeper`)."""

    kind: Final = "texts"
    of_labels: Final = False

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._drawn = _Drawn(setting.definition.monitor.examples)

    @property
    def identity(self) -> tuple[str, ...]:
        """How many are drawn."""
        return (str(self._setting.definition.monitor.examples),)

    def add(self, responses: Responses) -> None:
        """Draw."""
        self._drawn.add(responses)

    def files(self) -> dict[str, bytes]:
        """The texts and their vectors."""
        rows, until = self._drawn.rows, _oldest_kept(self._setting)
        young = rows if until is None else [rows[place] for place in younger(rows, until)]
        return _embedded(self._setting, young).files()


def _oldest_kept(setting: Setting) -> datetime | None:
    """The time up to which texts of a reference are kept no more; None where they stay."""
    days = setting.definition.monitor.retention_days
    return None if days is None else setting.asking.clock() - timedelta(days=days)


def _embedded(setting: Setting, rows: Sequence[Row]) -> _Side:
    """Texts with their vectors by each encoder that the monitor embeds them with."""
    vectors = {}
    for watch in _embeddings(setting.definition):
        if any(watch.side in row for row in rows):
            setting.beat()
            assert watch.encoder is not None  # it is an embedding
            vectors[watch.column] = watch.encoder.vectors([row.get(watch.side) for row in rows])
    return _Side(rows, vectors)


def _embeddings(definition: Definition) -> list[Watch]:
    given = definition.monitor.watch
    if not any(one.kind == "embedding" for one in watches_of(given)):
        return []
    return [one for one in watches_of(given, base=definition.base) if one.kind == "embedding"]


def _told_apart(reference: _Side, current: _Side) -> dict[str, Any]:
    from evalharness.drift.terms import diagnose_texts

    terms: list[Any] = []
    examples: list[Any] = []
    for side in _SIDES:
        found = diagnose_texts(reference.texts(side), current.texts(side))
        terms += [[side, one.term, one.z, one.share_reference, one.share_current] for one in found.terms]
        sides = (("reference", found.reference_examples), ("current", found.current_examples))
        examples += [[side, of, text, why] for of, texts in sides for text, why in texts]
    return {"terms": terms, "examples": examples, "maps": list(_maps(reference, current))}


def _maps(reference: _Side, current: _Side) -> Iterator[dict[str, Any]]:
    for column, vectors in current.vectors.items():
        before = reference.vectors.get(column)
        if before is None or before.shape[1:] != vectors.shape[1:]:
            continue
        explained, points = plane(before, vectors)
        if points is not None:
            sides = {"reference": points[0], "current": points[1]}
            told = {name: [_point(point) for point in found.tolist()] for name, found in sides.items()}
            yield {"column": column, "explained": explained, **told}


def _point(xy: Sequence[float]) -> list[float] | None:
    return None if any(value != value for value in xy) else [round(value, 4) for value in xy]


def plane(reference: Floats, current: Floats) -> tuple[list[float], tuple[Floats, Floats] | None]:
    """Both sides' vectors, (n, d) and (m, d), in the plane of the reference's first two principal components.

    Returns the shares of the reference's variance that the two explain, and (n, 2) and (m, 2) points; NaN where a
    vector is. None where fewer than three vectors of the reference, or no two directions, are known. The sign of each
    component is that which makes its largest loading positive, so that the same texts give the same map.
    """
    known = reference[np.isfinite(reference).all(axis=1)]
    if len(known) < 3 or known.shape[1] < 2:
        return [], None
    mean = known.mean(axis=0)
    _, singular, axes = np.linalg.svd(known - mean, full_matrices=False)
    total = float((singular**2).sum())
    if len(singular) < 2 or not singular[1] > 1e-9 * max(singular[0], 1e-300):
        return [], None
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    explained = [float(value**2) / total for value in singular[:2]]
    return explained, ((reference - mean) @ axes.T, (current - mean) @ axes.T)
