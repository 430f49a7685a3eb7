"""Whether two figures may be compared at all; where not, the error names each field that differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import NotComparableError
from ..core.types import MetricResult

__all__ = ["require_comparable"]

_REMEDY = {
    "data": "run the baseline again on this data (as many samples too: --limit) and promote that run",
    "prompt": "run the baseline again with this prompt and promote that run",
    "generation": "run the baseline again with these generation settings and promote that run",
    "kind": "the task asks for something else now, or reads the answer in another way (choices by likelihood and by "
    "generation are not comparable); run the baseline again and promote that run",
    "signature": "score the baseline again with this metric: evalharness score BASELINE --suite SUITE",
}
_OTHER = "run the baseline again under this suite and promote that run"


def require_comparable(
    figure: MetricResult,
    baseline: MetricResult,
    identity: Mapping[str, Any],
    baseline_identity: Mapping[str, Any],
    *,
    run_id: str,
    baseline_id: str,
) -> None:
    """Raise a `NotComparableError` unless data, prompt, generation, kind and metric signature agree.

    `identity` holds one digest for each of them but the signature, which the figures carry.
    """
    fields = {
        **{f"identity.{k}": (identity.get(k), baseline_identity.get(k)) for k in {**identity, **baseline_identity}},
        "signature": (figure.signature, baseline.signature),
    }
    differing = [(name, ours, theirs) for name, (ours, theirs) in fields.items() if ours != theirs]
    if not differing:
        return
    lines = [
        f"{figure.task}.{figure.metric} of {figure.model} cannot be compared with the baseline {baseline_id}: "
        f"the runs differ in {', '.join(name.removeprefix('identity.') for name, _, _ in differing)}"
    ]
    for name, ours, theirs in differing:
        short = name.removeprefix("identity.")
        where = f"metric {name}" if name == "signature" else f"tasks[{figure.task}].{name}"
        lines.append(f"  {where}: {_brief(ours)} in {run_id}, {_brief(theirs)} in {baseline_id}")
        lines.append(f"    → {_REMEDY.get(short, _OTHER)}")
    raise NotComparableError("\n".join(lines))


def _brief(value: Any) -> str:
    if value is None:
        return "missing"
    text = str(value)
    # A digest is recognised by its first digits; a signature is shown whole, since its end is what differs.
    is_digest = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return text[:12] if is_digest else text
