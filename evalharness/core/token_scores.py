"""What a model thought of each token of a text, and which tokens it thought likeliest: kept in a response's `meta`.

Arrays are kept as base64 of their little-endian bytes: tokens as int32, log-probabilities as float32, in which models
compute them. That is exact, and takes a fifth of what decimals would.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evalharness.stats.arrays import Floats, Ints

from .types import Json

__all__ = ["TOKEN_SCORES", "TokenScores"]

TOKEN_SCORES: Final = "token_scores"
"""The key of `Response.meta` under which they stand."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenScores:
    """Of a text of n tokens: natural-log probabilities under the model, each given the tokens before it.

    `ids` and `logprobs` (n,) are the tokens of the text and theirs; `top_ids` and `top_logprobs` (n, k) the k likeliest
    tokens at each place and theirs, likeliest first.
    """

    ids: Ints
    logprobs: Floats
    top_ids: Ints
    top_logprobs: Floats

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.logprobs.shape != (n,) or self.top_ids.shape != self.top_logprobs.shape or len(self.top_ids) != n:
            raise ValueError(
                f"{n} tokens need as many log-probabilities and likeliest tokens; got {self.logprobs.shape}, "
                f"{self.top_ids.shape} and {self.top_logprobs.shape}"
            )

    def to_json(self) -> dict[str, Json]:
        """What stands in `meta`; `from_json` gives it back."""
        return {
            "n": len(self.ids),
            "k": self.top_ids.shape[1],
            "ids": _packed(self.ids, "<i4"),
            "logprobs": _packed(self.logprobs, "<f4"),
            "top_ids": _packed(self.top_ids, "<i4"),
            "top_logprobs": _packed(self.top_logprobs, "<f4"),
        }

    @classmethod
    def from_json(cls, body: Any) -> TokenScores:
        """The scores that `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        if not isinstance(body, Mapping):
            raise ValueError("no scores of tokens")
        try:
            n, k = int(body["n"]), int(body["k"])
            return cls(
                _unpacked(body["ids"], "<i4").reshape(n).astype(np.int64),
                _unpacked(body["logprobs"], "<f4").reshape(n).astype(np.float64),
                _unpacked(body["top_ids"], "<i4").reshape(n, k).astype(np.int64),
                _unpacked(body["top_logprobs"], "<f4").reshape(n, k).astype(np.float64),
            )
        except (KeyError, TypeError, binascii.Error) as error:
            raise ValueError(f"no scores of tokens: {error}") from error


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
