"""Window states as bytes: a magic word, a version, a JSON header, plain arrays, and a checksum of it all.

::

    b"EHWINDOW"  version (2 bytes)  sha256 of the rest (32 bytes)  zlib( header length (8 bytes)  header  arrays )

Numbers are little-endian. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.canonical import canonical_json
from ..core.errors import RecordError
from .column_states import empty_state
from .layout import Layout

if TYPE_CHECKING:
    from .state import WindowState

__all__ = ["VERSION", "pack", "unpack"]

VERSION = 1
_MAGIC = b"EHWINDOW"
_TYPES = ("<i8", "<u8", "<f8")
_REMEDY = "compute the window again from its rows"


def pack(state: WindowState) -> bytes:
    """The bytes of a state; equal states have equal bytes."""
    blocks: list[bytes] = []
    parts = []
    for segment in ("", *state.segments):
        columns = {}
        for name, column in state.parts[segment].items():
            held = []
            for key, array in column.arrays().items():
                plain = np.ascontiguousarray(array).astype(np.asarray(array).dtype.newbyteorder("<"))
                held.append([key, plain.dtype.str, list(plain.shape)])
                blocks.append(plain.tobytes())
            columns[name] = {"arrays": held, "fresh": dict(sorted(column.fresh.items()))}
        parts.append({"segment": segment, "n": state.sizes[segment], "columns": columns})
    # Columns stand in a list of pairs as well: canonical JSON sorts keys, the arrays follow the layout's order.
    header = canonical_json(
        {
            "layout": state.layout.to_json(),
            "order": list(state.layout.columns),
            "clustered": state.clustered,
            "parts": parts,
        }
    ).encode("utf-8", "surrogatepass")
    body = zlib.compress(struct.pack("<Q", len(header)) + header + b"".join(blocks), 6)
    return _MAGIC + struct.pack("<H", VERSION) + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> WindowState:
    """The state of these bytes.

    Raises:
        RecordError: for bytes that are damaged, of another version, or no window state.
    """
    if data[:8] != _MAGIC:
        raise RecordError(f"this is no window state: it begins with {data[:8]!r}, and must begin with {_MAGIC!r}")
    if len(data) < 42:
        raise RecordError(f"a window state is cut off after {len(data)} bytes; {_REMEDY}")
    (version,) = struct.unpack("<H", data[8:10])
    if version != VERSION:
        raise RecordError(
            f"a window state is of version {version}, and this evalharness reads version {VERSION}; {_REMEDY}"
        )
    if hashlib.sha256(data[42:]).digest() != data[10:42]:
        raise RecordError(f"a window state is damaged: its checksum does not fit its {len(data):,} bytes; {_REMEDY}")
    try:
        return _read(zlib.decompress(data[42:]))
    except (KeyError, IndexError, TypeError, ValueError, struct.error, zlib.error) as error:
        raise RecordError(f"a window state cannot be read: {error}; {_REMEDY}") from error


def _read(body: bytes) -> WindowState:
    from .state import WindowState

    (length,) = struct.unpack("<Q", body[:8])
    header: dict[str, Any] = json.loads(body[8 : 8 + length].decode("utf-8", "surrogatepass"))
    layout = Layout.from_json(header["layout"])
    layout = Layout({name: layout.columns[name] for name in header["order"]}, layout.segments, layout.groups)
    found = WindowState(layout)
    found.clustered = header["clustered"]
    at = 8 + length
    for part in header["parts"]:
        states = found.part(part["segment"])
        found.sizes[part["segment"]] = int(part["n"])
        for name in header["order"]:
            arrays = {}
            for key, kind, shape in part["columns"][name]["arrays"]:
                if kind not in _TYPES:
                    raise ValueError(f"an array of {kind!r} numbers")
                n = math.prod(shape)
                array = np.frombuffer(body, dtype=kind, count=n, offset=at).reshape(shape)
                arrays[key] = array.astype(array.dtype.newbyteorder("=")).copy()
                at += 8 * n
            states[name] = empty_state(layout.columns[name], layout.groups)
            states[name].restore(arrays, part["columns"][name]["fresh"])
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes are left over")
    return found
