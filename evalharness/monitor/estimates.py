"""`EstimatePart`: quality estimated without labels, and beside it what labels that have arrived say.

Both ways learn from the labelled responses of the fixed reference, of which at most 20,000 are kept beside it:
probabilities of classes (`cbpe`, see `stats.label_free`), or losses of numbers and what they go with (`dle`, see
`loss_estimates`). Where the reference does not bear an estimate, there is none, and the reason stands in
`estimate.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from evalharness.core.drifting import DriftFinding
from evalharness.stats.arrays import Bools, np
from evalharness.suite.monitor_entry import PathReference, RunReference, WindowReference

from .estimating import Estimate, Refused
from .kept_rows import KeptRows
from .measurement import FigureRow
from .parts import Found, Responses, Setting
from .scored import level_of

if TYPE_CHECKING:
    from .define import Definition

__all__ = ["EstimateKeeper", "EstimatePart", "estimate_fault"]

FILE: Final = "estimate.json"
_ROWS: Final = "rows.npz"


def estimate_fault(reference: object) -> str | None:
    """Why nothing can be estimated with this `reference:`, None where it can."""
    if isinstance(reference, RunReference | WindowReference | PathReference):
        return None
    return (
        f"estimates learn from labelled responses that stay the same, and the reference is {reference}; name a fixed "
        "one: {window: START/END}, {path: …} or {run: suite@label}"
    )


class EstimatePart:
    """Keeps what estimates need of the responses, at most 20,000 of them, drawn by their ids."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._monitor = setting.definition.monitor
        self._rows = KeptRows(setting.definition)
        self._levels = {name: set[str]() for name in self._monitor.segments}

    @property
    def input_digest(self) -> str:
        """Nothing is read beside the responses, their labels and the reference, which have digests of their own."""
        return ""

    def add(self, responses: Responses) -> Responses:
        """Keep what is needed; the responses stay as they are."""
        self._rows.add(responses)
        for name, levels in self._levels.items():
            if len(levels) < 50:
                levels |= {level_of(one.attributes.get(name)) or "missing" for one in responses}
        return responses

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """The estimates of the whole and of each segment, or why there are none."""
        if not self._rows.n:
            return Found()
        reference = self._reference()
        figures: list[FigureRow] = []
        told: dict[str, Any] = {}
        for way in self._monitor.estimate:
            self._setting.beat()
            found = self._by(way, reference)
            told[way] = found.told if isinstance(found, Refused) else [one.told for one in found]
            figures += () if isinstance(found, Refused) else (row for one in found for row in one.figures())
        page = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        refused = [one for one in told.values() if isinstance(one, str)]
        note = f"no estimate: {'; '.join(refused)}" if refused else ""
        return Found(figures=tuple(figures), files={FILE: page.encode()}, note=note)

    def _by(self, way: str, reference: KeptRows) -> Sequence[Estimate] | Refused:
        groups = dict(self._groups())
        if way == "cbpe":
            from .class_estimates import class_estimates

            return class_estimates(reference, self._rows, groups)
        from .loss_estimates import loss_estimates

        return loss_estimates(reference, self._rows, groups)

    def _groups(self) -> Iterator[tuple[str, Bools]]:
        yield "", np.ones(self._rows.n, dtype=np.bool_)
        for name, levels in self._levels.items():
            values = self._rows.levels(name)
            for level in sorted(levels):
                yield f"{name}={level}", values == level

    def _reference(self) -> KeptRows:
        """What is kept of the reference: no rows where it has none."""
        rows = KeptRows(self._setting.definition)
        fixed = self._setting.fixed
        assert fixed is not None  # `estimate_fault` has looked
        files = fixed.files(EstimateKeeper.kind)
        if files is not None:
            rows.load(files[_ROWS])
        return rows


class EstimateKeeper:
    """Keeps the labelled rows of a fixed reference (`fixed_reference.Keeper`)."""

    kind: Final = "estimate"
    identity: Final = ()
    of_labels: Final = True

    def __init__(self, definition: Definition) -> None:
        self._rows = KeptRows(definition)

    def add(self, responses: Responses) -> None:
        """Keep those that have a label."""
        self._rows.add(responses, only_labelled=True)

    def files(self) -> dict[str, bytes]:
        """The rows."""
        return {_ROWS: self._rows.to_bytes()}
