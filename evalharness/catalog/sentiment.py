"""movie-sentiment: film review snippets with human ratings, from the source package of vaderSentiment."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalharness.core.errors import RunError
from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .rows import write_parts

__all__ = ["N_TEST", "make", "parse_ratings", "split"]

_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_FILE = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
N_TEST = 2000


def make(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the parts test and train."""
    with kit.open(entry.packages[0]) as archive:
        inner = archive.read(_INNER)
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        handle = tar.extractfile(_FILE)
        if handle is None:
            raise RunError(f"{_INNER} holds no file {_FILE!r}")
        rows, n_neutral = parse_ratings(handle.read().decode("utf-8"))
    test, train = split(rows, n_test=N_TEST)
    return {**write_parts(folder, {"test": test, "train": train}), "n_dropped_neutral": n_neutral}


def parse_ratings(text: str) -> tuple[list[dict[str, Json]], int]:
    """Rows of the tab-separated lines ID, mean rating, text; and how many were dropped for a mean of exactly 0.

    The label is the sign of the mean. Weakly rated snippets stay: leaving out what human raters are unsure of would
    flatter a classifier. A text that stands twice is kept once.
    """
    rows: dict[str, dict[str, Json]] = {}
    n_neutral = 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        cells = line.split("\t")
        if len(cells) != 3:
            raise RunError(f"{_FILE}:{number}: expected 3 fields, found {len(cells)}")
        rating, snippet = float(cells[1]), " ".join(cells[2].split())
        if rating == 0:
            n_neutral += 1
        elif snippet:
            label = "positive" if rating > 0 else "negative"
            row: dict[str, Json] = {
                "id": f"movie-{cells[0]}",
                "text": snippet,
                "rating": round(rating, 3),
                "label": label,
            }
            rows.setdefault(snippet, row)
    return list(rows.values()), n_neutral


def split(rows: Sequence[dict[str, Json]], *, n_test: int) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """Test and training rows, drawn by the digest of the text: the same on every machine, whatever the file's order."""
    drawn = sorted(rows, key=lambda row: hashlib.sha256(str(row["text"]).encode()).hexdigest())
    return drawn[:n_test], drawn[n_test:]
