"""One entry of the response store: a response as bytes, and the checksum that tells whether they are still the same."""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

from ..core.types import Response
from ..record.codec import response_from_json, response_to_json

__all__ = ["decode_entry", "encode_entry"]

_COMPRESS_FROM: Final = 1024  # bytes; below it zlib costs more than it saves


def encode_entry(response: Response) -> tuple[bytes, bytes]:
    """(checksum, payload) of a response; a payload that begins with x (0x78) is zlib, one with { plain JSON."""
    payload = response_to_json(response).encode()
    if len(payload) >= _COMPRESS_FROM:
        payload = zlib.compress(payload, 1)
    return _checksum(response.key, payload), payload


def decode_entry(key: object, checksum: object, payload: object) -> Response | None:
    """The response, or None if the entry is damaged."""
    if not isinstance(key, str) or not isinstance(payload, bytes) or checksum != _checksum(key, payload):
        return None
    try:
        plain = zlib.decompress(payload) if payload[:1] == b"\x78" else payload
        response = response_from_json(plain.decode())
    except (ValueError, zlib.error):
        return None
    return response if response.key == key else None


def _checksum(key: str, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16, key=key.encode("utf-8", "replace")[:64]).digest()
