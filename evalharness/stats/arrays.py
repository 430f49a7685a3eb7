"""numpy and its types for the metrics and their kernels: loaded at first use, since checking a suite needs no array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["ArrayLike", "Bools", "Floats", "Ints", "NDArray", "np"]

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
else:

    class _LazyNumpy:
        """Stands for the module until one of its names is asked for; each name is looked up there once."""

        def __getattr__(self, name: str) -> Any:
            import numpy

            value = getattr(numpy, name)
            setattr(self, name, value)
            return value

    np = _LazyNumpy()
    NDArray = list
    ArrayLike = Bools = Floats = Ints = Any
