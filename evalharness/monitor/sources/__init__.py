"""What production answered, read from wherever it was written: files, databases, telemetry.

`read(source, start, end, base=…)` is the way in; see docs/production-data.md.
"""

from __future__ import annotations

from .quarantine import Quarantine, Quarantined
from .reading import Counts, Reading, read

__all__ = ["Counts", "Quarantine", "Quarantined", "Reading", "read"]
