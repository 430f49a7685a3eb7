"""Are the variables of a suite's secrets set?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evalharness.core.errors import Problem
from evalharness.core.secrets import placeholders

from .load import LoadedSuite
from .variables import Key, shown_path

__all__ = ["secret_problems"]


def secret_problems(loaded: LoadedSuite, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Placeholders of variables that are not set."""
    for name, entry in (loaded.root.get("models") or loaded.root).mapping.items():
        for key, child in entry.node.mapping.items():
            texts = (
                {(key,): child.node.value}
                if not child.node.mapping
                else {(key, k): e.node.value for k, e in child.node.mapping.items()}
            )
            for path, text in texts.items():
                if key not in ("api_key", "base_url", "url", "headers") or not isinstance(text, str):
                    continue
                for variable in placeholders(text):
                    if not environ.get(variable):
                        message = f"the environment variable {variable} is not set; set it: export {variable}=…"
                        yield _problem(loaded, ("models", name, *path), message)
        yield from _default_key(loaded, name, environ)


def _default_key(loaded: LoadedSuite, name: str, environ: Mapping[str, str]) -> Iterator[Problem]:
    """A key that the suite does not name, and whose variable is not set."""
    model = next((m for n, m in loaded.suite.models.items() if n.partition("@")[0] == name), None)
    if model is None or "api_key" in model.model_fields_set:
        return
    for variable in placeholders(getattr(model, "api_key", None) or ""):
        if not environ.get(variable):
            message = (
                f"the environment variable {variable} is not set; set it: export {variable}=…, or name another "
                "one under `api_key`"
            )
            yield _problem(loaded, ("models", name), message)


def _problem(loaded: LoadedSuite, path: Key, message: str) -> Problem:
    return Problem(loaded.place_of(path), shown_path(path), message)
