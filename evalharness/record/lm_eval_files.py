"""The files that lm-eval leaves with `--log_samples --output_path`: found, read, and checked against one another."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.errors import UsageError

__all__ = ["LmEvalFiles", "find_results", "lines_of", "open_files"]

_DATED: Final = re.compile(r".*_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.json\Z")
_HASHES: Final = ("doc_hash", "prompt_hash", "target_hash")
_AGAIN: Final = "run lm-eval again with --log_samples --output_path FOLDER"


@dataclass(frozen=True, slots=True)
class LmEvalFiles:
    """A result file, and the file of samples of each of its tasks."""

    path: Path
    body: Mapping[str, Any]
    samples: Mapping[str, Path]


def find_results(name: str) -> Path | None:
    """The result file of lm-eval's that `name` is, or that lies in the folder `name`; None where it is nothing such.

    Raises:
        UsageError: the folder holds several, or `name` is a file of samples.
    """
    path = Path(name)
    if path.is_file():
        if path.name.startswith("samples_") and path.suffix == ".jsonl":
            raise UsageError(
                f"{path} holds lm-eval's samples of one task; name the result file beside it: results_….json"
            )
        return path if path.suffix == ".json" else None
    if not path.is_dir():
        return None
    # lm-eval makes a folder for each model below the one that it is given.
    found = sorted([*path.glob("results_*.json"), *path.glob("*/results_*.json")])
    if len(found) > 1:
        listed = "\n".join(f"  {one}" for one in found[:10])
        more = f"\n  and {len(found) - 10} more" if len(found) > 10 else ""
        raise UsageError(f"{path} holds {len(found)} result files of lm-eval's; name one of them:\n{listed}{more}")
    return found[0] if found else None


def open_files(path: Path) -> LmEvalFiles:
    """The result file `path` and its samples.

    Raises:
        UsageError: it is not a result file of lm-eval's, or its samples are not there.
    """
    body = _body(path)
    dated = _DATED.fullmatch(path.name)
    samples = {}
    tasks = list(body.get("task_hashes") or {})
    if not tasks:
        raise UsageError(
            f"{path} has totals only, and no samples: runs are paired sample by sample, so nothing can be compared "
            f"with it; {_AGAIN}"
        )
    for task in tasks:
        # lm-eval names the samples of a run by its task and the same moment.
        name = f"samples_{task}_{dated[1]}.jsonl" if dated else f"samples_{task}_*.jsonl"
        found = sorted(path.parent.glob(_literal(name) if dated else f"samples_{_literal(task)}_*.jsonl"))
        if len(found) != 1:
            what = f"{name} is not there" if not found else f"there are {len(found)} files {name}"
            raise UsageError(f"{path}: the samples of the task {task!r} are missing: {what} beside it; {_AGAIN}")
        samples[task] = found[0]
    return LmEvalFiles(path, body, samples)


def _literal(text: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", text)


def _body(path: Path) -> Mapping[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a result file of lm-eval's: {error}") from error
    if not isinstance(body, dict) or not all(isinstance(body.get(key), dict) for key in ("results", "configs")):
        raise UsageError(
            f"{path} is neither a record nor a result file of lm-eval's, which has 'results' and 'configs'"
        )
    return body


def lines_of(files: LmEvalFiles, task: str) -> Iterator[Mapping[str, Any]]:
    """Each line of a task's samples, once a document and filter.

    Raises:
        UsageError: a line is not one of lm-eval's, or the file is not the one that the results were made from.
    """
    path = files.samples[task]
    running = hashlib.sha256()
    try:
        with path.open(encoding="utf-8") as handle:
            for number, text in enumerate(handle, start=1):
                line = _line(text, path, number)
                running.update("".join(str(line[name]) for name in _HASHES).encode())
                yield line
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    # lm-eval writes down what it hashed: a file that was cut, or of another run, is found out.
    if running.hexdigest() != files.body["task_hashes"][task]:
        raise UsageError(
            f"{path} does not belong to {files.path.name}, or is not whole: the hash of its samples is not the one in "
            f"task_hashes; {_AGAIN}"
        )


def _line(text: str, path: Path, number: int) -> Mapping[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}:{number}: not a line of JSON ({error}); {_AGAIN}") from error
    missing = [
        name
        for name in ("doc_id", "arguments", "resps", "filter", "metrics", *_HASHES)
        if not isinstance(line, dict) or name not in line
    ]
    if missing:
        raise UsageError(
            f"{path}:{number}: not a sample of lm-eval's: it has no {', '.join(missing)}; "
            "lm-eval from 0.4.5 on writes them"
        )
    return dict(line)
