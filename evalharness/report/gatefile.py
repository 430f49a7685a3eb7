"""gate.json beside a record: what the gates said of it, where they have been decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..core.errors import RecordError
from .gateview import GateView

__all__ = ["GATE_FILE", "read_gate"]

GATE_FILE = "gate.json"


def read_gate(folder: Path) -> dict[str, Any] | None:
    """The content of gate.json in `folder`, None if no gate was decided.

    Raises:
        RecordError: if the file is damaged.
    """
    path = folder / GATE_FILE
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        GateView.of(body)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{path} is damaged ({type(error).__name__}: {error}); decide the gates again: evalharness gate {folder}"
        ) from error
    return body
