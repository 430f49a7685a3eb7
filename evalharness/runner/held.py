"""A model that stays open from one part of a run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from evalharness.core.protocols import Model

__all__ = ["held_open", "release"]


class _Held:
    """Passes all on to `model`, which is opened once, and closed when it is released."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._is_open = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def open(self) -> None:
        if not self._is_open:
            await self._model.open()
            self._is_open = True

    async def close(self) -> None:
        """Nothing yet: it is asked again."""

    async def release(self) -> None:
        await self._model.close()


def held_open(models: Mapping[str, Model], *, heavy: frozenset[str]) -> dict[str, Model]:
    """`models` so that they stay open; of the `heavy` ones, which share a machine's memory, only one that is alone."""
    own = [name for name in models if name in heavy]
    return {
        name: model if name in heavy and len(own) > 1 else cast(Model, _Held(model)) for name, model in models.items()
    }


async def release(models: Mapping[str, Model]) -> None:
    """Close those of `models` that were held open."""
    for model in models.values():
        if isinstance(model, _Held):
            await model.release()
