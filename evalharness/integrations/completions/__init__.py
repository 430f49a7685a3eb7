"""An OpenAI-compatible server of completions over one model, for other harnesses to use our engine."""

from __future__ import annotations

__all__: list[str] = []
