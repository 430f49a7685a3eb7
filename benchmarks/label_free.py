"""Quality estimated without labels, beside what labels say, and beside NannyML's CBPE and DLE.

    python benchmarks/label_free.py [--worlds 200] [--nannyml PYTHON] [--write]

Worlds with and without a change of the inputs (and, to show the limit, with a change of the labels themselves): a
reference of 2,000 labelled rows, a window of 1,000 whose labels nobody is shown. Told is the mean absolute error of the
estimate, its bias, how often the interval holds the figure that the labels of the window have, and how often an
estimate is refused. The classifier is overconfident; the errors of the numbers go with the length of the input. NannyML
needs an environment of its own, and sees the same rows; its interval is that of its sampling error.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.monitor.class_estimates import class_estimates
from evalharness.monitor.estimating import Refused
from evalharness.monitor.kept_rows import KeptRows
from evalharness.monitor.loss_estimates import loss_estimates

N_REFERENCE, N_WINDOW = 2000, 1000
CLASS_WORLDS: Mapping[str, Mapping[str, float]] = {
    "as before": {},
    "easier inputs": {"shift": 1.5},
    "harder inputs": {"spread": 0.7, "shift": 0.0},
    "conversations of 5": {"size": 5},
    "labels themselves change": {"flipped": 0.15},
}
NUMBER_WORLDS: Mapping[str, Mapping[str, float]] = {
    "as before": {},
    "longer inputs": {"long": 1.2},
    "errors themselves change": {"factor": 1.5},
}


def classes(rng: Any, n: int, *, shift: float = 0.5, spread: float = 1.2, flipped: float = 0.0, size: int = 1) -> Any:
    """Rows of a classifier; within a conversation the inputs, and what makes answers right, are alike."""
    within = math.sqrt(0.5) if size > 1 else 0.0
    groups = np.arange(n) // size
    logit = shift + spread * (
        within * rng.normal(size=groups[-1] + 1)[groups] + math.sqrt(1 - within**2) * rng.normal(size=n)
    )
    truth = rng.random(n) < 1 / (1 + np.exp(-logit))
    truth ^= rng.random(n) < flipped
    stated = 1 / (1 + np.exp(-1.6 * logit))
    positive = stated >= 0.5
    return {
        "prediction": np.where(positive, "yes", "no"),
        "label": np.where(truth, "yes", "no"),
        "probability": np.where(positive, stated, 1 - stated),
        "score": stated,
        "tokens": np.full(n, 1.0),
        "conversation": groups,
    }


def numbers(rng: Any, n: int, *, long: float = 1.0, factor: float = 1.0) -> Any:
    """Rows of a regressor whose errors grow with the input."""
    tokens = rng.gamma(3.0, 100.0 * long, n)
    truth = rng.normal(50, 10, n)
    return {
        "prediction": truth + factor * rng.normal(0, 1, n) * tokens / 100,
        "label": truth,
        "probability": np.full(n, np.nan),
        "score": np.full(n, np.nan),
        "tokens": tokens,
        "conversation": np.arange(n),
    }


def kept(rows: Any, *, labelled: bool) -> KeptRows:
    from datetime import UTC, datetime

    from evalharness.core.production import ProductionResponse

    found = KeptRows(SimpleNamespace(monitor=SimpleNamespace(segments=(), watch=())))  # type: ignore[arg-type]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    names = ("prediction", "label", "probability", "tokens", "conversation")
    found.add(
        [
            ProductionResponse(
                str(i),
                now,
                prediction=str(prediction),
                label=str(label) if labelled else None,
                probability=float(probability),
                input_tokens=float(tokens),
                conversation=str(conversation),
            )
            for i, (prediction, label, probability, tokens, conversation) in enumerate(
                zip(*(rows[name].tolist() for name in names), strict=True)
            )
        ]
    )
    return found


def realised(rows: Any) -> dict[str, float]:
    if rows["label"].dtype.kind == "f":
        off = np.abs(rows["prediction"] - rows["label"])
        return {"mae": float(off.mean()), "rmse": math.sqrt(float((off**2).mean()))}
    from sklearn.metrics import f1_score, roc_auc_score

    truth, said = rows["label"] == "yes", rows["prediction"] == "yes"
    return {
        "accuracy": float((truth == said).mean()),
        "f1": float(f1_score(truth, said)),
        "auroc": float(roc_auc_score(truth, rows["score"])),
    }


def ours(reference: Any, window: Any, kind: str) -> dict[str, tuple[float, float, float]] | None:
    make = class_estimates if kind == "class" else loss_estimates
    found = make(kept(reference, labelled=True), kept(window, labelled=False), {"": np.ones(N_WINDOW, dtype=bool)})
    if isinstance(found, Refused):
        return None
    return {one.metric: (one.value, one.interval.low, one.interval.high) for one in found}


_PEER = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, nannyml as nml
kind, worlds = json.load(open(sys.argv[1]))
out = []
for reference, window in worlds:
    ref, cur = pd.DataFrame(reference), pd.DataFrame(window)
    n = len(cur)
    try:
        if kind == "class":
            for d in (ref, cur):
                d["y_pred"] = (d.prediction == "yes").astype(int); d["y_true"] = (d.label == "yes").astype(int)
            e = nml.CBPE(y_pred_proba="score", y_pred="y_pred", y_true="y_true", problem_type="classification_binary",
                         metrics=["accuracy", "f1", "roc_auc"], chunk_size=n)
            names = {"accuracy": "accuracy", "f1": "f1", "roc_auc": "auroc"}
        else:
            e = nml.DLE(feature_column_names=["tokens"], y_pred="prediction", y_true="label",
                        metrics=["mae", "rmse"], chunk_size=n)
            names = {"mae": "mae", "rmse": "rmse"}
        e.fit(ref)
        r = e.estimate(cur.drop(columns=["label"] + (["y_true"] if kind == "class" else []))).to_df()
        r = r[r[("chunk", "period")] == "analysis"] if ("chunk", "period") in r.columns else r
        row = r.iloc[-1]
        out.append({ours: [float(row[(theirs, "value")]), float(row[(theirs, "lower_confidence_boundary")]),
                           float(row[(theirs, "upper_confidence_boundary")])] for theirs, ours in names.items()})
    except Exception as error:
        out.append({"error": repr(error)[:200]})
json.dump(out, open(sys.argv[2], "w"))
"""


def theirs(python: str, kind: str, worlds: list[Any]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:  # its own errors stand in what it gives back
        given, taken = Path(folder) / "given.json", Path(folder) / "taken.json"
        plain = [[{k: v.tolist() for k, v in side.items()} for side in pair] for pair in worlds]
        given.write_text(json.dumps([kind, plain]))
        subprocess.run([python, "-c", _PEER, str(given), str(taken)], check=True, capture_output=True)
        found: list[dict[str, Any]] = json.loads(taken.read_text())
        return found


def line(who: str, world: str, metric: str, estimates: list[Any], real: list[dict[str, float]]) -> list[str]:
    pairs = [(one[metric], truth[metric]) for one, truth in zip(estimates, real, strict=True) if one and metric in one]
    refused = 1 - len(pairs) / len(real)
    if not pairs:
        return [who, world, metric, "", "", "", f"{refused:.0%}"]
    errors = np.array([value - truth for (value, *_), truth in pairs])
    held = np.mean([low <= truth <= high for (_, low, high), truth in pairs])
    return [
        who,
        world,
        metric,
        f"{np.abs(errors).mean():.4f}",
        f"{errors.mean():+.4f}",
        f"{held:.1%}",
        f"{refused:.0%}" if refused else "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--nannyml", metavar="PYTHON")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    args = parser.parse_args()
    body = []
    for kind, draw, table, metrics in (
        ("class", classes, CLASS_WORLDS, ("accuracy", "f1", "auroc")),
        ("number", numbers, NUMBER_WORLDS, ("mae", "rmse")),
    ):
        n_worlds = args.worlds if kind == "class" else max(2, args.worlds // 4)
        for world, change in table.items():
            pairs = []
            for seed in range(n_worlds):
                rng = np.random.default_rng([seed, len(world)])
                before = {key: value for key, value in change.items() if key == "size"}
                pairs.append((draw(rng, N_REFERENCE, **before), draw(rng, N_WINDOW, **change)))
            real = [realised(window) for _, window in pairs]
            found = {"evalharness": [ours(*pair, kind) for pair in pairs]}
            if args.nannyml:
                found["NannyML"] = theirs(args.nannyml, kind, pairs)
                if failed := next((one["error"] for one in found["NannyML"] if "error" in one), None):
                    print(f"NannyML: {failed}", flush=True)
            for metric in metrics:
                body += [line(who, world, metric, estimates, real) for who, estimates in found.items()]
                print(*body[-len(found) :], sep="\n", flush=True)
    head = ["who", "window", "figure", "mean absolute error", "bias", "interval holds it", "refused"]
    shown = markdown_table(head, body)
    text = (
        f"## Quality without labels\n\n`python benchmarks/label_free.py --worlds {args.worlds}`: {args.worlds} worlds "
        f"of classes and {max(2, args.worlds // 4)} of numbers a line; {N_REFERENCE:,} labelled rows, {N_WINDOW:,} "
        f"without. "
        f"{machine()}.\n\n{shown}\n\n"
        "A change of the labels themselves, given the inputs, cannot be seen without labels."
    )
    print(text)
    if args.write:
        replace_section("label_free", text)


if __name__ == "__main__":
    main()
