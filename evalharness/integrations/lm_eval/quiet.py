"""What lm-eval does to the process around it, kept from the rest: its log, its progress bars, its global seeds.

And one thing that it does again and again: it compiles a task's template for each text that it writes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import random
import warnings
from collections.abc import Iterator

__all__ = ["compiled_templates", "quiet", "seeded"]

# The defaults of `simple_evaluate`: some tasks shuffle their choices with the global generators.
_RANDOM_SEED, _NUMPY_SEED = 0, 1234


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No log, no bars, no warnings in the block."""
    # They set their levels and handlers up themselves when they are imported.
    logs = [logging.getLogger(name) for name in ("lm_eval", "datasets", "huggingface_hub")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
        _without_bars(),
    ):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for log, level in zip(logs, levels, strict=True):
                log.setLevel(level)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """The global generators as `simple_evaluate` seeds them; what they were is put back."""
    import numpy as np

    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(_RANDOM_SEED)
    np.random.seed(_NUMPY_SEED)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextlib.contextmanager
def compiled_templates() -> Iterator[None]:
    """In the block, lm-eval compiles each template once, not once a rendering.

    That is most of the time in which it writes the prompts of a task; what is rendered is the same.
    """
    from lm_eval import utils

    environment = getattr(utils, "env", None)
    if environment is None or "from_string" in vars(environment):
        yield
        return
    environment.from_string = functools.lru_cache(maxsize=1024)(environment.from_string)
    try:
        yield
    finally:
        del environment.from_string
