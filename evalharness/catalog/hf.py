"""What the makers of models share: quiet, seeds and versions."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from importlib.metadata import version

from evalharness.core.errors import MissingExtraError

__all__ = ["need", "quiet", "seeded", "versions"]


def need(*packages: str, purpose: str) -> None:
    """Raise a `MissingExtraError` for the first of `packages` that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "hf", purpose=purpose)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and notices of transformers: the progress shown is ours."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        # The bar of the GGUF reader heeds no setting; it writes to what `sys.stderr` is when it begins.
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(verbosity)


@contextlib.contextmanager
def seeded(seed: int, *, n_threads: int) -> Iterator[None]:
    """Torch with its generator at `seed`, deterministic algorithms and `n_threads` threads; as before afterwards.

    The number of threads decides in which order sums are taken: with another one, training takes another path.
    """
    import torch

    state, deterministic = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    threads = torch.get_num_threads()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_rng_state(state)
        torch.use_deterministic_algorithms(deterministic)
        torch.set_num_threads(threads)


def versions(*packages: str) -> dict[str, str]:
    """The installed version of each package."""
    return {package: version(package) for package in packages}
