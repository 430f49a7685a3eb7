"""Two runs on the same samples: what may be compared, how samples pair, and how far the figures differ.

`evalharness.compare(a, b)` calls this package: see `operands.compare`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """`evalharness.compare` is a room of the package, and a function of its interface.

    Importing anything of the room binds the name to the room, whatever the interface says: so it answers to the call.
    """

    def __call__(self, *runs: Any, **options: Any) -> Any:
        """Compare runs; see `operands.compare`."""
        from .operands import compare

        return compare(*runs, **options)


sys.modules[__name__].__class__ = _Callable
