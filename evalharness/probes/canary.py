"""Canaries: was a secret that stood in the training data memorised, and how well."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evalharness.core.errors import Place, UsageError
from evalharness.core.types import Json, Row

from .base import Part
from .corpora import read_corpus

__all__ = ["Canary"]

_BLANK = "{}"
_SETS = (string.digits, string.ascii_lowercase, string.ascii_uppercase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Measures how well planted secrets were memorised: their exposure, by likelihood.

    You put a sentence with a secret into the training data ("The access code of the archive is 281-265-017."); after
    training, the model is asked how likely it finds the secret, and how likely others of the same form. No text is
    generated. The others are drawn at random: each digit of the secret becomes a digit, each letter a letter of the
    same case, and all other signs stay; or they come from `candidates`.

    Options:
        format: the sentence, with {} where the secret stands; something must stand before it.
        secrets: the secrets.
        path: in their place a file of them (.txt, .jsonl, .csv …), one a row.
        field: the field of the file that holds the secret.
        candidates: a file with all that the secret might have been, one a line, in the place of random signs.
        alternatives: how many others each secret is compared with; exposure cannot pass log2 of one more.
        margin: how many bits above chance still count as not memorised.
        seed: seed of the draw.
    """

    format: str
    secrets: tuple[str, ...] = ()
    path: str | None = None
    field: str = "secret"
    candidates: str | None = None
    alternatives: int = 255
    margin: float = 1.0
    seed: int = 0

    name: ClassVar[str] = "canary"
    question: ClassVar[str] = "privacy"
    description: ClassVar[str] = "exposure of planted secrets in bits, against random ones of the same form"
    flagged: ClassVar[str] = "memorised"
    # The rank of a single secret among its alternatives is evidence by itself.
    least_n: ClassVar[int] = 1

    def __post_init__(self) -> None:
        before, blank, after = self.format.partition(_BLANK)
        if not blank or _BLANK in after or not before.strip():
            raise UsageError(f"format must hold {{}} once, with words before it; got {self.format!r}")
        if bool(self.secrets) == (self.path is not None):
            raise UsageError("give either secrets or path, a file of them")
        if not 1 <= self.alternatives <= 100_000:
            raise UsageError(f"alternatives must be from 1 to 100,000; got {self.alternatives}")

    def rows(self, base: Path) -> Sequence[Row]:
        """One row for each secret, with those that it is compared with."""
        if self.path is None:
            named = [(secret, Place(f"secrets[{i}]")) for i, secret in enumerate(self.secrets)]
        else:
            found = read_corpus(self.path, base=base, option="path", field=self.field)
            named = [(str(row.fields[self.field]), row.place) for row in found]
        known: Sequence[str] = ()
        if self.candidates is not None:
            lines = read_corpus(self.candidates, base=base, option="candidates", field="candidate")
            known = list(dict.fromkeys(str(row.fields["candidate"]) for row in lines))
        return [self._row(i, secret, place, known) for i, (secret, place) in enumerate(named)]

    def _row(self, index: int, secret: str, place: Place, known: Sequence[str]) -> Row:
        draw = random.Random(f"{self.seed}/{secret}")
        others = [item for item in known if item != secret]
        space = math.log2(len(others) + 1) if known else _space_bits(secret)
        if known:
            order = sorted(range(len(others)), key=[draw.random() for _ in others].__getitem__)
            drawn = [others[i] for i in order[: self.alternatives]]
        else:
            drawn = _alike(draw, secret, min(self.alternatives, round(2 ** min(space, 30.0)) - 1))
        if not drawn:
            raise UsageError(f"{place}: the secret {secret!r} has no digit and no letter to vary; give candidates")
        before, _, after = self.format.partition(_BLANK)
        # A blank at the end of a prompt would be a token of its own: it belongs to what follows.
        prompt = before.rstrip()
        fills = [f"{before[len(prompt) :]}{item}{after}" for item in (secret, *drawn)]
        fields: dict[str, Json] = {"before": prompt, "fills": fills, "fill": fills[0], "space_bits": space}
        return Row(f"canary-{index}", fields, place)

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        """One task that asks for the likelihood of each secret and of its alternatives."""
        measures: list[Json] = [
            {"canary_exposure": {"measure": "above_chance", "margin": self.margin, "as": "exposure_above_chance"}},
            "canary_exposure",
            {"canary_exposure": {"measure": "first", "as": "likeliest_of_all"}},
        ]
        task: dict[str, Json] = {
            "prompt": "{{ before }}",
            "choices": "{{ fills }}",
            "target": "{{ fill }}",
            "delimiter": "",
            "metrics": measures,
        }
        return [Part(task)]


def _space_bits(secret: str) -> float:
    """log2 of the number of texts of the same form."""
    return sum(math.log2(len(signs)) for sign in secret for signs in _SETS if sign in signs)


def _alike(draw: random.Random, secret: str, n: int) -> list[str]:
    """`n` different texts of the same form, none of them the secret."""
    found: dict[str, None] = {}
    while len(found) < n:
        signs = [next((kind for kind in _SETS if sign in kind), sign) for sign in secret]
        text = "".join(kind[int(draw.random() * len(kind))] for kind in signs)
        if text != secret:
            found[text] = None
    return list(found)
