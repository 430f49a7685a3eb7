"""A drift report with everything in it that can be hard to show."""

from __future__ import annotations

import math

import numpy as np

from evalharness.core.drifting import DriftFinding, DriftReport
from evalharness.drift.decide import decided
from evalharness.drift.policy import Policy

EVIL = "<script>alert(1)</script>|*x*\x1b[31m‮"


def drift_line(column, p, effect, *, kind="numeric", segment="", state="no_drift"):
    return DriftFinding(
        column=column,
        kind=kind,
        test="anderson_darling",
        state=state,
        reason="",
        p_value=p,
        q_value=math.nan,
        effect=effect,
        effect_name="distance",
        effect_threshold=0.1,
        smallest_effect=0.04,
        statistic=3.2,
        n_reference=1000,
        n_current=900,
        segment=segment,
        effect_low=effect - 0.03,
        effect_high=effect + 0.03,
    )


def drift_report(**changes):
    edges = np.linspace(0, 500, 41)
    shares = [np.diff(1 / (1 + np.exp(-(edges - centre) / 40))).tolist() for centre in (200, 260)]
    found = decided(
        [
            drift_line("latency_s", 1e-6, 0.04),
            drift_line("output.characters", 1e-9, 0.21),
            drift_line("output.characters", 1e-9, 0.3, segment="language=de"),
            drift_line(EVIL, 0.4, 0.01, kind="category"),
            drift_line("empty", math.nan, math.nan, state="too_few"),
        ],
        Policy(),
    )
    whole = {
        "reference": "before.parquet",
        "current": "now.parquet",
        "n_reference": 1000,
        "n_current": 900,
        "findings": found,
        "alpha": 0.05,
        "correction": "bh",
        "notes": ("3 columns were left out",),
        "pictures": {
            "output.characters": {
                "kind": "numeric",
                "edges": edges.tolist(),
                "reference": shares[0],
                "current": shares[1],
            },
            EVIL: {"kind": "category", "labels": [EVIL, "b"], "reference": [0.7, 0.3], "current": [0.65, 0.35]},
        },
        "summaries": {"output.characters": [("mean", 200.0, 260.0), ("missing", 0.0, 0.01)]},
        "terms": ((EVIL, "refund", 12.0, 0.02, 0.3), (EVIL, "order", -4.0, 0.4, 0.2)),
        "examples": ((EVIL, "current", EVIL, "refund"), (EVIL, "reference", "Where is my order", "order")),
    }
    return DriftReport(**{**whole, **changes})
