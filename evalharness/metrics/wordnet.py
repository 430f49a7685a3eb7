"""Synonyms from WordNet's own database files, found and read without nltk's corpus reader.

The files are `index.noun`, `data.noun`, `noun.exc` and so on (wndb(5WN)), in a folder or in the zip that nltk
downloads. Debian's package wordnet-base has them, too. Nothing is ever downloaded from here.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from evalharness.core.errors import UsageError

__all__ = ["WordNet", "find_wordnet", "open_wordnet"]

_PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
# Endings that are taken off, and what is put in their place (morphy(7WN)).
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
        ("men", "man"), ("ies", "y"),
    ),
    "verb": (
        ("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip
_FILES = tuple(f"{kind}.{part}" for part in _PARTS for kind in ("index", "data"))
_INSIDE = ("", "wordnet", "corpora/wordnet", "wordnet.zip", "corpora/wordnet.zip", "dict")
_DEBIAN = Path("/usr/share/wordnet")
_VERSION = re.compile(rb"Word[nN]et (\d+\.\d+|\d+\+?) Copyright")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")


def find_wordnet(path: Path | None) -> Path:
    """The folder or zip with WordNet's files: `path`, or what lies in it; None looks where nltk and Debian put them.

    Raises:
        UsageError: there is none; the message says what to do.
    """
    places = [path] if path is not None else [*map(Path, _nltk_paths()), _DEBIAN]
    for place in places:
        for inside in _INSIDE:
            found = place / inside
            if _holds(found):
                return found
    if path is not None:
        raise UsageError(
            f"no WordNet in {path}: it needs the database files index.noun, data.noun, noun.exc …, or nltk's "
            "wordnet.zip; leave the option out to look where nltk keeps its data"
        )
    raise UsageError(
        "meteor with match: synonym needs WordNet's data, and none is installed; get it with "
        "`python -m nltk.downloader wordnet` or from Debian's package wordnet-base, or give its folder with "
        "`wordnet: FOLDER`, or take `match: stem`, which needs none and finds no synonyms"
    )


def _nltk_paths() -> list[str]:
    from nltk import data

    return [str(path) for path in data.path]


def _holds(place: Path) -> bool:
    if place.suffix == ".zip":
        return place.is_file() and zipfile.is_zipfile(place)
    return all((place / name).is_file() for name in _FILES)


@cache
def open_wordnet(place: Path) -> WordNet:
    """The WordNet of a folder or zip that `find_wordnet` gave; it is read once in a process."""
    return WordNet(place)


class WordNet:
    """Which words share a meaning."""

    def __init__(self, place: Path) -> None:
        read = _reader(place)
        self._synonyms: dict[str, frozenset[str]] = {}
        try:
            self._data = {part: read(f"data.{part}") for part in _PARTS}
            self._index = {part: dict(_entries(read(f"index.{part}"))) for part in _PARTS}
            self._exceptions = {part: dict(_entries(read(f"{part}.exc"))) for part in _PARTS}
        except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile) as error:
            raise UsageError(f"WordNet in {place} cannot be read: {error}; install it anew") from error
        version = _VERSION.search(self._data["adj"][:4096])
        self.version = version.group(1).decode() if version else "unknown"

    def synonyms(self, word: str) -> frozenset[str]:
        """The words, in one word each, that share a synset with `word`, and itself; all parts of speech.

        Equal to the lemma names of nltk's `wordnet.synsets(word)` without those of several words.
        """
        found = self._synonyms.get(word)
        if found is None:
            if len(self._synonyms) > 200_000:
                self._synonyms.clear()
            found = self._synonyms[word] = frozenset(self._shared(word.lower())) | {word}
        return found

    def _shared(self, word: str) -> Iterator[str]:
        for part in _PARTS:
            for form in self._forms(word, part):
                fields = self._index[part][form].split()
                # lemma pos synset_cnt p_cnt … synset_offset: the lemma was cut off, the offsets stand last.
                for offset in fields[-int(fields[1]) :]:
                    yield from self._lemmas(part, int(offset))

    def _forms(self, word: str, part: str) -> list[str]:
        irregular = self._exceptions[part].get(word)
        if irregular is not None:
            forms = irregular.split()
        else:
            forms = [word[: -len(old)] + new for old, new in _ENDINGS[part] if word.endswith(old)]
        return [form for form in dict.fromkeys([word, *forms]) if form in self._index[part]]

    def _lemmas(self, part: str, offset: int) -> Iterator[str]:
        data = self._data[part]
        # synset_offset lex_filenum ss_type w_cnt word lex_id [word lex_id …]
        fields = data[offset : data.index(b"|", offset)].decode("utf-8").split()
        for name in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
            if "_" not in name:
                yield _MARKER.sub("", name)


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8").splitlines():
        if not line.startswith(" "):  # the licence
            lemma, _, rest = line.partition(" ")
            yield lemma, rest


def _reader(place: Path) -> Callable[[str], bytes]:
    if place.suffix != ".zip":
        return lambda name: (place / name).read_bytes()
    archive = zipfile.ZipFile(place)
    names = {Path(name).name: name for name in archive.namelist()}
    return lambda name: archive.read(names[name])
