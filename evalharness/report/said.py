"""Words of reports that stand in no call of `t`: states, roles, names of parts. Each is in the catalogue."""

from __future__ import annotations

from typing import Final, get_args

from ..compare.result import CORRECTIONS, Finding
from ..core.types import STATUSES
from .attacks import OUTCOMES
from .charts.render import NEEDS
from .compare_text import ASPECTS, COMPRESSION_HEADS, DIFFERS, SECTIONS
from .costs import HEADS
from .drift_text import CORRECTION_NAMES, STATES
from .facts import BANNER
from .faithfulness import CURVES, QUALITIES
from .peopletext import ALL_HINT, KINDS
from .probes import HINT

__all__ = ["WORDS"]

WORDS: Final = (
    *STATUSES,
    *(word for _, word in BANNER.values()),
    *(title for _, title in SECTIONS),
    *OUTCOMES.values(),
    *dict.fromkeys(name for named in CURVES.values() for name in named),
    *(name for name, _, _ in QUALITIES),
    *KINDS.values(),
    *STATES.values(),
    *CORRECTIONS.values(),
    *CORRECTION_NAMES.values(),
    *DIFFERS.values(),
    *filter(None, ASPECTS.values()),
    *COMPRESSION_HEADS,
    *HEADS,
    *(ALL_HINT, HINT, NEEDS),
    *("pass", "fail", "inconclusive", "block", "warn", "info"),
    *(*get_args(Finding), "right to wrong", "wrong to right"),
    *("Baseline", "Candidate", "all samples", "difference", "ratio", "worst", "median", "p95"),
    *("alert", "deploy", "promotion"),
    *("better than chance", "worse than chance", "no better than chance shown", "too few texts"),
    *("more alike than chance", "less alike than chance", "no likeness beyond chance shown"),
    *("generate", "classify", "loglikelihood", "loglikelihood_rolling", "study", "embed"),
    *("within the margin", "not decided", "biased", "output", "probability", "log odds"),
)
"""Messages that are said by the name of a thing."""
