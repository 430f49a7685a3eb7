"""Faults of ours: their details are kept in a file, and what is done already is not lost with them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalharness.gate import GateOutcome
    from evalharness.record import Record

__all__ = ["keep_details", "write_reports_or_say"]


def keep_details(error: BaseException) -> tuple[str, str]:
    """(what it is, the file that keeps its traceback), both without secrets of the environment."""
    import tempfile
    import traceback

    from evalharness.core.secrets import Redactor, sensitive_values, spellings

    # Backends hide what they know to be secret; here nobody knows, so whatever the environment calls secret is hidden.
    hide = Redactor(form for value in sensitive_values(os.environ) for form in spellings(value))
    with tempfile.NamedTemporaryFile(
        "w", prefix="evalharness-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as log:
        log.write(hide("".join(traceback.format_exception(error))))
    return f"{type(error).__name__}: {hide(str(error))}", log.name


def write_reports_or_say(record: Record, outcome: GateOutcome | None, args: argparse.Namespace) -> dict[str, Path]:
    """Write the report files of `record`; returns their paths, or none where drawing them failed.

    The record is sealed and the gates are decided by then: a fault in the report is told, and the verb ends with the
    exit code that it would have had.

    Raises:
        EvalHarnessError: if the files cannot be written, or what they are compared with cannot be read.
    """
    from evalharness.core.errors import EvalHarnessError
    from evalharness.core.visible import safe
    from evalharness.report import write_reports

    from .beside import beside

    reports = Path(args.reports)
    try:
        besides = beside(record, outcome, reports, url=args.registry)
        return write_reports(record, outcome, language=args.language or "en", **besides)
    except EvalHarnessError:
        raise
    except Exception as error:
        if os.environ.get("EVALHARNESS_DEBUG"):
            raise
        what, log = keep_details(error)
    again = f"evalharness report {record.id}"
    again += f" --reports {reports}" if args.reports != "reports" else ""
    print(
        f"evalharness: the report was not written: {safe(what)}\n"
        f"This is a fault of evalharness, not yours; the details are in {log}: please report them.\n"
        f"The record {record.folder} is sealed and its figures hold; once this is mended, make the report by: {again}",
        file=sys.stderr,
    )
    return {}
