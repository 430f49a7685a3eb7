"""Probes of bias, robustness and privacy: each makes samples and statistics, nothing else."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "bbq": "evalharness.probes.bbq:Bbq",
    "crows_pairs": "evalharness.probes.crows_pairs:CrowsPairs",
    "stereoset": "evalharness.probes.stereoset:StereoSet",
    "winobias": "evalharness.probes.winobias:WinoBias",
    "winogender": "evalharness.probes.winogender:Winogender",
    "counterfactual": "evalharness.probes.counterfactual:Counterfactual",
    "bold": "evalharness.probes.bold:Bold",
    "honest": "evalharness.probes.honest:Honest",
    "realtoxicity": "evalharness.probes.realtoxicity:RealToxicity",
    "robustness": "evalharness.probes.robustness:Robustness",
    "consistency": "evalharness.probes.consistency:Consistency",
    "needle": "evalharness.probes.needle:Needle",
    "canary": "evalharness.probes.canary:Canary",
    "extraction": "evalharness.probes.extraction:Extraction",
    "refusals": "evalharness.probes.refusals:Refusals",
    "injection": "evalharness.probes.injection:Injection",
    "jailbreak": "evalharness.probes.jailbreak:Jailbreak",
}
