"""Release rules over records, with three-state verdicts."""

from __future__ import annotations

from ..compare.pairing import Pairing
from .evaluate import evaluate_gates
from .junit import junit_xml, write_junit
from .looks import decide_looks
from .outcome import EXIT_CODES, GATE_FILE, GateOutcome
from .record_gate import decide_record, find_baseline, gates_of, publish
from .summary import append_summary, summary_markdown

__all__ = [
    "EXIT_CODES",
    "GATE_FILE",
    "GateOutcome",
    "Pairing",
    "append_summary",
    "decide_looks",
    "decide_record",
    "evaluate_gates",
    "find_baseline",
    "gates_of",
    "junit_xml",
    "publish",
    "summary_markdown",
    "write_junit",
]
