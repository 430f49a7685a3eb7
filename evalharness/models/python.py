"""The python backend: a function of the user's, `module:function`, found from the suite's folder.

It is called with the prompt (a str, or a list of `{role, content}` turns), and with the spec's `options` as keyword
arguments. By `kind` it returns

- generate: a str, or a mapping with `text` and perhaps finish_reason, input_tokens, output_tokens and more (kept as
  meta);
- classify: a label, or `{label: probability}`;
- loglikelihood (called with prompt and a list of continuations): a list with one number each, or with mappings of
  total, n_tokens and is_greedy.

A plain function runs on a pool of threads, as many at once as the run's concurrency, so it must allow for that; an
async one runs on the event loop. What the function reads beside its source (weights, files) is not seen: raise
`version` when that changes.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from evalharness.core.errors import UsageError
from evalharness.core.importing import import_function
from evalharness.core.sources import find_source, sources, sources_digest
from evalharness.core.types import Json, Request, Response

from .concurrent import ConcurrentModel, RequestFailed
from .outputs import label_response, likelihood_response, prompt_turns, text_response
from .values import Secrets

__all__ = ["PythonModel", "make"]

VERSION = "1"
Kind = Literal["generate", "loglikelihood", "classify"]


class Spec(Protocol):
    """What this backend reads of its suite entry."""

    @property
    def function(self) -> str:
        """`module:function`."""
        ...

    @property
    def kind(self) -> Kind:
        """What the function does."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Keyword arguments of each call."""
        ...

    @property
    def version(self) -> str | None:
        """The user's own version."""
        ...


class PythonModel(ConcurrentModel):
    """A function as a model; see the module."""

    def __init__(self, name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int) -> None:
        super().__init__(name, concurrency=concurrency, secrets=Secrets(environ, spec.options))
        self.capabilities = frozenset({spec.kind})
        self._kind, self._function, self._options, self._version = spec.kind, spec.function, spec.options, spec.version
        self._base = base.resolve()
        self._module = spec.function.partition(":")[0]
        importlib.invalidate_caches()  # a file written a moment ago must be found
        if find_source(self._module, self._base) is None:
            raise UsageError(
                f"models.{name}.function: there is no Python module {self._module!r} in {self._base} or where Python "
                "looks for modules; write module:function, the module's path starting at the suite's folder"
            )
        self._sources = sources(self._module, self._base)
        self._digest = sources_digest(self._sources)
        self._call: Callable[..., Any] | None = None
        self._keywords: dict[str, Any] = {}
        self._threads: ThreadPoolExecutor | None = None

    def identity(self) -> Mapping[str, Json]:
        return {
            "backend": "python",
            "backend_version": VERSION,
            "function": self._function,
            "kind": self._kind,
            "options": dict(self._options),
            "version": self._version,
            "source_sha256": self._digest,
            "modules": list(self._sources),
        }

    async def open(self) -> None:
        if sources_digest(sources(self._module, self._base)) != self._digest:
            raise UsageError(f"models.{self.name}.function: the source of {self._module} has just changed; run again")
        self._keywords = self._secrets.resolve(self._options)
        # On a thread: a module that loads weights when it is imported must not hold up the event loop.
        self._call = await asyncio.to_thread(
            import_function, self._function, base=self._base, fresh=self._sources, place=f"models.{self.name}.function"
        )
        self._check_signature(self._call)
        if not inspect.iscoroutinefunction(self._call):
            self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix=f"evalharness-{self.name}")

    async def close(self) -> None:
        self._call = None
        threads, self._threads = self._threads, None
        if threads is not None:
            # Not awaited: a call that hangs must not keep an interrupted run from ending.
            threads.shutdown(wait=False, cancel_futures=True)

    def _check_signature(self, call: Callable[..., Any]) -> None:
        given: list[Any] = ["prompt"] if self._kind != "loglikelihood" else ["prompt", ["continuation"]]
        try:
            inspect.signature(call).bind(*given, **self._keywords)
        except TypeError as error:
            what = "prompt" if len(given) == 1 else "prompt, continuations"
            options = "".join(f", {key}=…" for key in self._keywords)
            raise UsageError(
                f"models.{self.name}.function: {self._function} cannot be called as ({what}{options}): {error}"
            ) from error
        except ValueError:
            return  # A function written in C has no signature to look at.

    async def answer(self, request: Request) -> Response:
        prompt = request.prompt if isinstance(request.prompt, str) else prompt_turns(request.prompt)
        scored = (list(request.continuations),) if self._kind == "loglikelihood" else ()
        if self._call is None:
            raise RuntimeError("the model is not open")
        try:
            value, started = await self._called(self._call, (prompt, *scored))
        except RequestFailed:
            raise
        except (Exception, SystemExit) as error:
            raise RequestFailed(self.describe_failure(error)) from error
        latency_s = time.perf_counter() - started
        if self._kind == "generate":
            response = text_response(request.key, value)
        elif self._kind == "classify":
            response = label_response(request.key, value)
        else:
            response = likelihood_response(request.key, value, n=len(request.continuations))
        return replace(response, latency_s=latency_s)

    async def _called(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
        """What the function returns, and when its call began: time spent waiting for a free thread is no latency."""
        if self._threads is None:
            started = time.perf_counter()
            return await call(*arguments, **self._keywords), started
        outcome = await asyncio.get_running_loop().run_in_executor(
            self._threads, _carry, call, arguments, self._keywords
        )
        if outcome.error is not None:
            raise RequestFailed(self.describe_failure(outcome.error)) from outcome.error
        value = outcome.value
        if inspect.isawaitable(value):  # a callable object or a partial over an async function
            value = await value
        return value, outcome.started

    def describe_failure(self, error: BaseException) -> str:
        """Type, message and the place in the user's own files where it was raised."""
        frames = traceback.extract_tb(error.__traceback__)
        files = {str(path) for path in self._sources.values()}
        own = [frame for frame in frames if frame.filename in files]
        place = f" ({own[-1].filename}:{own[-1].lineno} in {own[-1].name})" if own else ""
        hint = ""
        if isinstance(error, ModuleNotFoundError) and error.name in self._sources:
            hint = (
                "; the suite's folder is searched only while the module is imported: import it at the top of the file"
            )
        return f"{type(error).__name__}: {error}{hint}{place}"


class _Outcome(NamedTuple):
    started: float
    value: Any = None
    error: Exception | SystemExit | None = None


def _carry(call: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> _Outcome:
    """Call, and carry an exception as a value: a future can hold neither StopIteration nor, safely, SystemExit."""
    started = time.perf_counter()
    try:
        return _Outcome(started, value=call(*arguments, **keywords))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - reported on the event loop's side
        return _Outcome(started, error=error)


def make(
    name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> PythonModel:
    """A Python function, `module:function` from the suite's folder; runs only with --allow-code.

    Example::

        candidate:
          backend: python
          function: my_app:answer        # my_app.py beside the suite: def answer(prompt, *, style): return "…"
          options: {style: brief}
          version: "3"                   # raise it when something changes that the source does not show

    The function gets the prompt, a str or a list of {role, content}, and returns by `kind`: generate: a str, or
    {text, finish_reason, input_tokens, output_tokens, …}; classify: a label or {label: probability}; loglikelihood,
    called with prompt and continuations: a number for each. It may be async; a plain function runs on several threads
    at once, as many as `execution.concurrency`. An exception is an error of that sample, with its file and line.
    """
    if not allow_code:
        raise UsageError(
            f"models.{name}: the backend python runs code of the suite's ({spec.function}), which is off unless you "
            "allow it; if you trust that code, add --allow-code"
        )
    return PythonModel(name, spec, base=base, environ=environ, concurrency=concurrency)
