"""Probes of bias, robustness and privacy: each makes samples and statistics, nothing else."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "consistency": "evalharness.probes.consistency:Consistency",
    "needle": "evalharness.probes.needle:Needle",
    "canary": "evalharness.probes.canary:Canary",
    "extraction": "evalharness.probes.extraction:Extraction",
    "refusals": "evalharness.probes.refusals:Refusals",
    "injection": "evalharness.probes.injection:Injection",
    "jailbreak": "evalharness.probes.jailbreak:Jailbreak",
}
