"""Texts as vectors of a sentence encoder, for what compares whole windows of texts and not answers one by one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from evalharness.core.canonical import digest
from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array
from evalharness.core.registry import suggestion
from evalharness.stats.arrays import np

from .checkpoint import unique
from .semantic import SemanticSimilarity

__all__ = ["DEFAULT_ENCODER", "TextEncoder"]

DEFAULT_ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"
"""The encoder that is meant where none is named."""
_OPTIONS: Final = ("model", "pooling", "prefix", "max_tokens", "dtype", "device")
_DIGITS: Final = 16


@dataclass(frozen=True)
class TextEncoder:
    """An encoder, found and digested; its weights are loaded with the first texts.

    It reads checkpoints as `semantic_similarity` does and has that metric's options.
    """

    metric: SemanticSimilarity

    @classmethod
    def of(cls, options: Mapping[str, Any] | None = None, *, base: Path, load: bool = True) -> TextEncoder:
        """The encoder that `options` name: model, pooling, prefix, max_tokens, dtype, device.

        Args:
            options: those of `semantic_similarity`; `model` is its checkpoint (default: `DEFAULT_ENCODER`).
            base: where relative paths start.
            load: look for the checkpoint; without it only the options are checked.

        Raises:
            UsageError: an option that is none or has no such value; a checkpoint that is not on this machine.
            MissingExtraError: torch or transformers is not installed.
        """
        from pydantic import TypeAdapter, ValidationError

        given = dict(options or {})
        for name in given:
            if name not in _OPTIONS:
                near = suggestion(name, _OPTIONS) or f"; it has: {', '.join(_OPTIONS)}"
                raise UsageError(f"an encoder has no option {name!r}{near}")
        given["checkpoint"] = given.pop("model", DEFAULT_ENCODER)
        try:
            metric = TypeAdapter(SemanticSimilarity).validate_json(json.dumps(given), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            if not first["loc"]:  # the metric's own words, which name the option
                raise UsageError(f"the encoder's {first.get('ctx', {}).get('error', first['msg'])}") from None
            name = {"checkpoint": "model"}.get(str(first["loc"][0]), str(first["loc"][0]))
            raise UsageError(f"the encoder's option {name}: {first['msg']}; got {first['input']!r}") from None
        return cls(metric.for_run(base=base) if load else metric)

    def found(self, base: Path) -> TextEncoder:
        """The same with its checkpoint looked for from `base`; see `of`."""
        return dataclasses.replace(self, metric=self.metric.for_run(base=base))

    @cached_property
    def identity(self) -> str:
        """A hash of the weights and of all that decides the vectors; the device and the place are no part of it."""
        return digest(self.metric.options())[:_DIGITS]

    @cached_property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return int(self.metric.vectors(["a"]).shape[1])

    def vectors(self, texts: Sequence[str | None]) -> Array:
        """(n, d) vectors of length 1, NaN for None and for texts that are blank; each distinct text is read once."""
        places = unique([text for text in texts if text is not None and text.strip()])
        read = self.metric.vectors(list(places)) if places else np.zeros((0, self.dimensions))
        found: Array = np.full((len(texts), read.shape[1]), np.nan)
        for i, text in enumerate(texts):
            if text is not None and text in places:
                found[i] = read[places[text]]
        return found
