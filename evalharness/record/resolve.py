"""From the name of a run to the folder of its record."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UsageError
from .plain import has_registry
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
    if not (has_registry(reports, url) or (reports / "runs").is_dir()):
        raise UsageError(f"there is no run {ref!r}: {reports} holds no runs, and {ref} is not the folder of a record")
    from .registry import RunRegistry

    with RunRegistry.open(url, reports=reports) as registry:
        return registry.resolve(ref)
