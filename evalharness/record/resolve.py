"""From the name of a run to the folder of its record."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.errors import UsageError
from .schema import MANIFEST

__all__ = ["resolve_run"]


def resolve_run(ref: str, reports: Path, *, url: str | None = None) -> Path:
    """The folder of the record that `ref` names (see `RunRegistry.resolve`); nothing is made where nothing is.

    Raises:
        UsageError: if there is no such run.
    """
    if (Path(ref) / MANIFEST).is_file():
        return Path(ref)
    direct = reports / "runs" / ref
    if Path(ref).name == ref and (direct / MANIFEST).is_file():
        return direct
    from .registry import REGISTRY_FILE, REGISTRY_VARIABLE, RunRegistry

    if not (
        url or os.environ.get(REGISTRY_VARIABLE) or (reports / REGISTRY_FILE).exists() or (reports / "runs").is_dir()
    ):
        raise UsageError(f"there is no run {ref!r}: {reports} holds no runs, and {ref} is not the folder of a record")
    with RunRegistry.open(url, reports=reports) as registry:
        return registry.resolve(ref)
