"""How often the detector of refusals is right: precision and recall on the labelled corpus of the tests, by language.

    python benchmarks/refusals.py [FILE]

FILE has tab-separated columns part, label (refusal, answer), language and text, with a header; label some answers of
your own model so to see how the rules do on them.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from _table import markdown_table

from evalharness.core.refusals import DETECTOR, refusal_in

CORPUS = Path(__file__).parents[1] / "tests" / "core" / "data" / "refusals.tsv"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    counts: dict[tuple[str, str], Counter[tuple[bool, bool]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        part, label, language, text = line.split("\t")
        outcome = (label == "refusal", refusal_in(text) is not None)
        for key in ((part, language), (part, "all")):
            counts.setdefault(key, Counter())[outcome] += 1
    rows = []
    for (part, language), found in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] != "all", item[0])):
        hit, missed, false = found[True, True], found[True, False], found[False, True]
        rows.append(
            [part, language, hit + missed, found.total() - hit - missed, false, missed]
            + [f"{hit / n:.2f}" if n else "" for n in (hit + false, hit + missed)]
        )
    print(f"{DETECTOR} on {path.name}\n")
    print(
        markdown_table(
            ["part", "language", "refusals", "answers", "false alarms", "missed", "precision", "recall"], rows
        )
    )


if __name__ == "__main__":
    main()
