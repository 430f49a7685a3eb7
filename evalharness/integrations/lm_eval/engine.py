"""One of our Hugging Face models, asked from plain code: opened once, each call one stream of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evalharness.core.asynchronous import run_async
from evalharness.core.errors import RunError
from evalharness.core.registry import registry
from evalharness.core.types import Kind, Request, Response

from .options import Options

__all__ = ["Engine"]


class Engine:
    """The model that `options` describe, encoding and decoding as lm-eval does."""

    def __init__(self, options: Options) -> None:
        self._options = options
        factory = registry("models").load(options.backend)
        self.model: Any = factory(
            options.given["pretrained"],
            options.checkpoint,
            base=Path.cwd(),
            environ={},
            concurrency=1,
            allow_code=options.checkpoint.trust_remote_code,
        )
        self._opened = False

    def open(self) -> None:
        """Load the weights, if that has not been done.

        Raises:
            UsageError: the checkpoint or a setting is not what the backend needs.
            ModelError: the hub cannot be reached, or memory does not suffice.
        """
        if self._opened:
            return
        run_async(self.model.open())
        self.tokens.follow_lm_eval(
            causal=self._options.backend == "hf-causal",
            add_bos=self._options.checkpoint.add_bos,
            first=self._options.prefix_token_id,
        )
        self._opened = True

    def close(self) -> None:
        """Give the weights back; safe to call twice."""
        self._opened = False
        run_async(self.model.close())

    @property
    def tokens(self) -> Any:
        """The tokenizer under the backend's rules."""
        return self.model.tokens

    @property
    def weights(self) -> Any:
        """The model of transformers."""
        return self.model.weights

    @property
    def n_parameters(self) -> int:
        """The weights of the model, each once."""
        found: Any = self.model.report().get("weights", {})
        return int(found.get("n_parameters", -1))

    def answers(
        self, kind: Kind, requests: Sequence[Request], *, name_of: Callable[[int], str], done: Callable[[int], None]
    ) -> list[Response]:
        """The responses in the order of `requests`, whose keys are their places.

        `done` is told the place of each as soon as it is known; `name_of` names one for an error.

        Raises:
            RunError: a request could not be answered.
        """
        self.open()
        found: list[Response | None] = [None] * len(requests)

        async def ask() -> None:
            async for response in getattr(self.model, kind)(requests):
                place = int(response.key)
                if response.status == "error":
                    raise RunError(f"{name_of(place)}: {response.error}")
                found[place] = response
                done(place)

        run_async(ask())
        missing = found.index(None) if None in found else None
        if missing is not None:
            raise RunError(f"{name_of(missing)}: the model gave no answer")
        return [response for response in found if response is not None]
