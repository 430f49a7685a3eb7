"""Say what is installed, which devices and folders there are, and what is missing.

Nothing heavy is imported unless --torch asks for it, and no value of an environment variable is shown. The exit code
is 3 where something that is needed does not work.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["Finding", "add_arguments", "examine", "run"]

State = Literal["ok", "note", "missing", "broken"]

_OLDEST_PYTHON = (3, 11)
_OLDEST_SQLITE = (3, 24, 0)  # upserts and the write-ahead log of the response store
_VARIABLES = (
    "EVALHARNESS_CACHE",
    "EVALHARNESS_REGISTRY",
    "EVALHARNESS_DEBUG",
    "GITHUB_STEP_SUMMARY",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "CUDA_VISIBLE_DEVICES",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)


class Finding(NamedTuple):
    """One line: under which heading, of what, its state and what there is to say."""

    section: str
    name: str
    state: State
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `doctor`."""
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument(
        "--suite",
        metavar="SUITE.yaml",
        action="append",
        default=[],
        help="also check that the environment variables this suite names are set (may be repeated)",
    )
    parser.add_argument("--torch", action="store_true", help="import torch and ask it for devices (takes seconds)")


def run(args: argparse.Namespace) -> int:
    """Print the findings; returns the exit code."""
    findings = list(examine(os.environ, reports=Path(args.reports), suites=args.suite, torch=args.torch))
    width = max(len(finding.name) for finding in findings)
    section = ""
    for finding in findings:
        if finding.section != section:
            print(f"{'' if not section else chr(10)}{finding.section}")
            section = finding.section
        print(f"  {finding.state:<7}  {finding.name:<{width}}  {finding.text}".rstrip())
    broken = [finding.name for finding in findings if finding.state == "broken"]
    print()
    print(f"broken: {', '.join(broken)}" if broken else "everything that is needed works")
    return 3 if broken else 0


def examine(
    environ: Mapping[str, str], *, reports: Path, suites: Sequence[str] = (), torch: bool = False
) -> Iterator[Finding]:
    """All findings, in the order in which they are shown.

    Raises:
        UsageError: a suite cannot be read.
    """
    yield from _runtime()
    yield from _packages()
    yield from _devices()
    if torch:
        yield _torch()
    yield from _folders(reports)
    yield from _environment(environ, suites)


# ── Python and packages ───────────────────────────────────────────────────────────────────────────────────────────


def _runtime() -> Iterator[Finding]:
    import platform
    import sqlite3

    text = f"{platform.python_version()} ({platform.python_implementation()}, {platform.system()} {platform.machine()})"
    enough = sys.version_info[:2] >= _OLDEST_PYTHON
    yield Finding(
        "Python", "python", "ok" if enough else "broken", text if enough else f"{text}; 3.11 or later is needed"
    )
    enough = sqlite3.sqlite_version_info >= _OLDEST_SQLITE
    text = f"{sqlite3.sqlite_version}{'' if enough else '; 3.24 or later is needed'}"
    yield Finding("Python", "sqlite", "ok" if enough else "broken", text)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from .requirements import allows, installed, parse_requirements

    try:
        yield Finding("Packages", "evalharness", "ok", version("evalharness"))
        wanted = list(parse_requirements(requires("evalharness") or ()))
    except PackageNotFoundError:
        yield Finding("Packages", "evalharness", "broken", "not installed; install it: pip install -e .")
        return
    extras: dict[str, list[str]] = {}
    for name, range_, extra in sorted(wanted, key=lambda r: (r.extra or "", r.name.lower())):
        found = installed(name)
        good = found is not None and allows(range_, found)
        if extra is not None:
            extras.setdefault(extra, [])
            if not good:
                extras[extra].append(f"{name} {found or '(absent)'}, wants {range_ or 'any'}")
        elif good:
            yield Finding("Packages", name, "ok", str(found))
        else:
            remedy = f"pip install '{name}{range_}'"
            yield Finding("Packages", name, "broken", f"{found or 'not installed'}; {remedy}")
    for extra, lacking in extras.items():
        remedy = f"pip install 'evalharness[{extra}]'"
        text = f"lacks {'; '.join(lacking)}: {remedy}" if lacking else "complete"
        yield Finding("Packages", f"extra {extra}", "missing" if lacking else "ok", text)


# ── devices ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _devices() -> Iterator[Finding]:
    import platform

    yield Finding("Devices", "cpu", "ok", f"{_cores()} cores, {_memory()}")
    gpus = _nvidia_gpus()
    for number, name in enumerate(gpus):
        yield Finding("Devices", f"gpu {number}", "ok", name)
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        yield Finding("Devices", "mps", "ok", "Apple silicon")
    elif not gpus:
        yield Finding("Devices", "gpu", "note", "none seen (an NVIDIA driver would show them)")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "memory unknown"
    return f"{_size(total)} memory"


def _nvidia_gpus(proc: Path = Path("/proc/driver/nvidia/gpus")) -> list[str]:
    """The names of the GPUs that the driver shows; without asking torch, which takes seconds to import."""
    names = []
    try:
        for file in sorted(proc.glob("*/information")):
            fields = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
            names.append(fields.get("Model", "NVIDIA GPU").strip())
    except OSError:
        return names
    return names or _asked_nvidia_smi()


def _asked_nvidia_smi() -> list[str]:
    import shutil
    import subprocess

    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _torch() -> Finding:
    from .requirements import installed

    if installed("torch") is None:
        return Finding("Devices", "torch", "missing", "not installed; pip install 'evalharness[hf]'")
    try:
        import torch

        cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        mps = torch.backends.mps.is_available()
    except Exception as error:  # noqa: BLE001 - a broken installation fails in any way, and saying how is the point
        return Finding("Devices", "torch", "broken", f"cannot be used: {type(error).__name__}: {error}")
    sees = ", ".join([*cuda, *(["mps"] if mps else [])]) or "the CPU only"
    return Finding("Devices", "torch", "ok", f"{torch.__version__}, sees {sees}")


# ── folders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _folders(reports: Path) -> Iterator[Finding]:
    from evalharness.core.files import cache_dir

    cache = cache_dir()
    yield _folder("cache", cache)
    for kind in ("models", "data"):
        names = sorted(path.name for path in _entries(cache / kind) if not path.name.startswith("."))
        if names:
            yield Finding("Folders", f"cached {kind}", "ok", ", ".join(names))
    yield _folder("reports", reports)
    for file in ("registry.sqlite3", "responses.sqlite3"):
        if (reports / file).exists():
            yield _database(reports / file)


def _folder(name: str, path: Path) -> Finding:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    fault = _fault(there)
    if fault:
        return Finding("Folders", name, "broken", f"{path.absolute()}: {fault}")
    made = "" if path.exists() else ", not there yet"
    return Finding(
        "Folders", name, "ok", f"{path.absolute()} ({_size(_size_of(path))} used, {_free(there)} free{made})"
    )


def _database(file: Path) -> Finding:
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        return Finding("Folders", file.name, "broken", f"cannot be read: {error}; move it away to begin a new one")
    return Finding("Folders", file.name, "ok", _size(file.stat().st_size))


def _fault(folder: Path) -> str:
    """Why nothing can be written into `folder`, "" where it can: it is tried, since access bits do not tell all."""
    import tempfile

    if not folder.is_dir():
        return f"{folder} is a file"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"cannot be written to: {error.strerror or error}"


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _size_of(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):  # faults are passed over: it is a size, not a check
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_size
            except OSError:
                continue
    return total


def _free(folder: Path) -> str:
    import shutil

    return _size(shutil.disk_usage(folder).free)


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" or n_bytes >= 100 else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"


# ── environment ───────────────────────────────────────────────────────────────────────────────────────────────────


def _environment(environ: Mapping[str, str], suites: Sequence[str]) -> Iterator[Finding]:
    for name in _VARIABLES:
        if environ.get(name) or environ.get(name.lower()):
            yield Finding("Environment", name, "note", "set")
    for suite in suites:
        for name in _named_in(Path(suite)):
            state: State = "ok" if environ.get(name) else "broken"
            yield Finding("Environment", name, state, f"{'set' if state == 'ok' else 'not set'}; {suite} asks for it")


def _named_in(suite: Path) -> list[str]:
    from evalharness.core.errors import UsageError
    from evalharness.core.secrets import placeholders

    try:
        text = suite.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--suite: {suite} cannot be read: {error}") from error
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return sorted(set(placeholders("\n".join(lines))))
