"""A digest of many responses that does not depend on their order: files are rotated and packed, and say the same."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from operator import attrgetter

from evalharness.core.production import ProductionResponse

__all__ = ["ResponseDigest"]

# Objects come last: their keys are sorted.
_LAST = ("scores", "attributes")
_FIRST = tuple(field.name for field in fields(ProductionResponse) if field.name not in ("ingest_time", *_LAST))
_VALUES = attrgetter(*_FIRST, *_LAST)


class ResponseDigest:
    """The sum, modulo 2^256, of the sha256 of each response, and their number.

    The time at which a response arrived does not count: sent again, it is the same response.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._n = 0

    def add(self, response: ProductionResponse) -> None:
        """Take in one response."""
        *values, scores, attributes = _VALUES(response)
        data = repr((values, sorted(scores.items()), sorted(attributes.items())))
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(data.encode("utf-8", "replace")).digest())) % 2**256
        self._n += 1

    @property
    def value(self) -> str:
        """The digest, as 64 hexadecimal digits."""
        return hashlib.sha256(f"{self._n}:{self._sum:064x}".encode()).hexdigest()
