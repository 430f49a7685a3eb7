"""Whether two figures may be compared at all; where not, the error names each field that differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.errors import NotComparableError
from ..core.types import MetricResult

__all__ = ["Difference", "differences", "require_comparable"]

_REMEDY = {
    "data": "run the baseline again on this data (as many samples too: --limit) and promote that run",
    "prompt": "run the baseline again with this prompt and promote that run",
    "generation": "run the baseline again with these generation settings and promote that run",
    "repeats": "of more answers a sample this figure is another one; run the baseline again with as many repeats and "
    "promote that run",
    "kind": "the task asks for something else now, or reads the answer in another way (choices by likelihood and by "
    "generation are not comparable); run the baseline again and promote that run",
    "signature": "score the baseline again with this metric: evalharness score BASELINE --suite SUITE",
}
_OTHER = "run the baseline again under this suite and promote that run"


class Difference(NamedTuple):
    """A field in which two figures differ, with what stands there, shortened."""

    name: str
    where: str
    ours: str
    theirs: str


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
    differing = differences(figure, baseline, identity, baseline_identity)
    if not differing:
        return
    lines = [
        f"{figure.task}.{figure.metric} of {figure.model} cannot be compared with the baseline {baseline_id}: "
        f"the runs differ in {', '.join(found.name for found in differing)}"
    ]
    for found in differing:
        lines.append(f"  {found.where}: {found.ours} in {run_id}, {found.theirs} in {baseline_id}")
        lines.append(f"    → {_REMEDY.get(found.name, _OTHER)}")
    raise NotComparableError("\n".join(lines))


def differences(
    figure: MetricResult,
    baseline: MetricResult,
    identity: Mapping[str, Any],
    baseline_identity: Mapping[str, Any],
) -> list[Difference]:
    """In what two figures differ that must agree: data, prompt, generation, kind, or the metric's signature."""
    found = [
        Difference(name, f"tasks[{figure.task}].identity.{name}", _brief(identity.get(name)), _brief(theirs))
        for name in {**identity, **baseline_identity}
        if identity.get(name) != (theirs := baseline_identity.get(name))
    ]
    if figure.signature != baseline.signature:
        found.append(Difference("signature", "metric signature", _brief(figure.signature), _brief(baseline.signature)))
    return found


def _brief(value: Any) -> str:
    if value is None:
        return "missing"
    text = str(value)
    # A digest is recognised by its first digits; a signature is shown whole, since its end is what differs.
    is_digest = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return text[:12] if is_digest else text
