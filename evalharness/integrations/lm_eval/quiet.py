"""What lm-eval does to the process around it, kept from the rest: its log, its progress bars, its global seeds."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import warnings
from collections.abc import Iterator

__all__ = ["quiet", "seeded"]

# The defaults of `simple_evaluate`: some tasks shuffle their choices with the global generators.
_RANDOM_SEED, _NUMPY_SEED = 0, 1234


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No log below errors, no bars, no warnings in the block."""
    # lm-eval's own level and handlers are set up when it is imported.
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
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
            log.setLevel(level)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    # Read by a library that lm-eval imports; it warns of forks that never happen here.
    before = os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
        if before == "false":
            os.environ.pop("TOKENIZERS_PARALLELISM", None)


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
