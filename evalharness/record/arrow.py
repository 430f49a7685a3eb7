"""Arrow arrays from lists of Python values, without `pyarrow.array`.

That function imports pandas to see whether it was given something of pandas', which takes longer than a small record
takes to write. It is the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from ..core.protocols import Array as Floats

__all__ = ["arrow_array", "arrow_floats", "arrow_scalar", "numpy_floats"]


def arrow_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """`values` (None: nothing there) as an array of `kind`: text, numbers, truth values, lists or structs.

    Raises:
        OverflowError: an integer does not fit into `kind`.
        TypeError: for a kind that no file of a record has.
    """
    import pyarrow as pa
    from pyarrow import types

    n = len(values)
    known = np.fromiter((value is not None for value in values), bool, n)
    mask = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    if types.is_string(kind):
        encoded = [b"" if value is None else value.encode() for value in values]
        return pa.Array.from_buffers(kind, n, [mask, _offsets(encoded), pa.py_buffer(b"".join(encoded))])
    if types.is_list(kind):
        lists = [() if value is None else value for value in values]
        items = arrow_array(list(chain.from_iterable(lists)), kind.value_type)
        return pa.Array.from_buffers(kind, n, [mask, _offsets(lists)], children=[items])
    if types.is_struct(kind):
        columns = [
            arrow_array([None if value is None else value[field.name] for value in values], field.type)
            for field in kind
        ]
        return pa.Array.from_buffers(kind, n, [mask], children=columns)
    if types.is_boolean(kind):
        bits = np.packbits(np.fromiter((bool(value) for value in values), bool, n), bitorder="little")
        return pa.Array.from_buffers(kind, n, [mask, pa.py_buffer(bits)])
    if types.is_int64(kind) or types.is_float64(kind):
        dtype = np.int64 if types.is_int64(kind) else np.float64
        numbers = np.array([0 if value is None else value for value in values], dtype)
        return pa.Array.from_buffers(kind, n, [mask, pa.py_buffer(numbers)])
    raise TypeError(f"no column of a record is {kind}")


def arrow_floats(values: Floats) -> pa.Array:
    """(n,) or (n, k) float64 as an array of n numbers, or of n lists of k."""
    import pyarrow as pa

    n = len(values)
    items = pa.Array.from_buffers(pa.float64(), values.size, [None, pa.py_buffer(np.ascontiguousarray(values))])
    if values.ndim == 1:
        return items
    ends = np.arange(n + 1, dtype=np.int32) * values.shape[1]
    return pa.Array.from_buffers(pa.list_(pa.float64()), n, [None, pa.py_buffer(ends)], children=[items])


def arrow_scalar(value: str) -> pa.Scalar:
    """A text as a scalar to compare columns with."""
    import pyarrow as pa

    return arrow_array([value], pa.string())[0]


def numpy_floats(array: pa.Array) -> Floats:
    """The numbers of an array of float64 without gaps, (n,)."""
    found: Floats = np.frombuffer(array.buffers()[1] or b"", np.float64)[array.offset : array.offset + len(array)]
    return found


def _offsets(items: Sequence[Any]) -> pa.Buffer:
    """Where each item begins, and where the last one ends."""
    import pyarrow as pa

    ends = np.zeros(len(items) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, items), np.int64, len(items)), out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"{ends[-1]:,} bytes or items do not fit into one column of a row group")
    return pa.py_buffer(ends.astype(np.int32))
