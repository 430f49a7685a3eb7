"""report.xlsx: the figures of a record, its verdicts, answers and scores as sheets. No cell is a formula."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.cells import neutral
from ..core.errors import UsageError
from ..core.files import write_atomic
from .frames import metrics_frame, samples_frame, scores_frame
from .gateview import GateOutcomeLike, GateView

if TYPE_CHECKING:
    import pandas as pd

    from ..record import Record

__all__ = ["write_workbook"]

# What a sheet and a cell of the format hold at most.
_MAX_ROWS, _MAX_CHARS = 1_048_576, 32_767
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_WIDEST, _NARROWEST, _FIGURE = 60, 8, 12
_LINE = 15.0  # points
# Sheets that are read, and printed: each as wide as a page, long texts in several lines. The others are worked with.
_READ = frozenset({"verdict", "run", "rules"})


def write_workbook(
    record: Record, path: Path, gate: GateOutcomeLike | Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Write the workbook; returns what had to be left out, a sentence each.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, as in CSV files, and every text is
    stored as text. Characters that the format cannot hold are shown as �.

    Raises:
        UsageError: if the package openpyxl is missing.
    """
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise UsageError(
            "a workbook is written by the package openpyxl, which is not here: pip install 'evalharness[report]'"
        ) from None
    import pandas as pd

    left_out: list[str] = []
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="openpyxl") as writer:
        for name, frame in _sheets(record, gate):
            shown, said = _fit(name, frame)
            left_out += said
            shown.to_excel(writer, sheet_name=name, index=False, freeze_panes=(1, 0))
            _finish(writer.sheets[name], shown)
    write_atomic(path, buffer.getvalue())
    return tuple(left_out)


def _sheets(record: Record, gate: GateOutcomeLike | Mapping[str, Any] | None) -> Iterator[tuple[str, pd.DataFrame]]:
    import pandas as pd

    manifest = record.manifest
    about = [
        ("suite", manifest.suite_name),
        ("run", manifest.id),
        ("created", manifest.created_utc),
        ("suite digest", manifest.suite_digest),
        ("seed", str(manifest.seed)),
        ("evalharness", manifest.evalharness_version),
    ]
    if gate is not None:
        view = GateView.of(gate if isinstance(gate, Mapping) else gate.to_dict())
        yield (
            "verdict",
            pd.DataFrame(
                [("verdict", view.state), ("reason", view.reason), ("baseline", view.baseline_id or ""), *about],
                columns=["what", "is"],
            ),
        )
        yield "rules", pd.DataFrame([_rule(v) for v in view.verdicts])
    else:
        yield "run", pd.DataFrame(about, columns=["what", "is"])
    yield "metrics", metrics_frame(record)
    yield "samples", samples_frame(record)
    yield "scores", scores_frame(record)


def _rule(verdict: Any) -> dict[str, Any]:
    names = ("rule", "state", "tier", "task", "model", "metric", "value", "ci_low", "ci_high", "limit", "n", "reason")
    return {name: getattr(verdict, name) for name in names}


def _fit(name: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What of a frame a sheet can hold, each text made harmless, and what was left out."""
    import pandas as pd

    said = []
    if len(frame) >= _MAX_ROWS:
        said.append(f"{name}: {len(frame) - _MAX_ROWS + 1:,} rows that a sheet has no room for; take --format parquet")
        frame = frame.head(_MAX_ROWS - 1)
    columns: dict[str, Any] = {}
    n_cut = 0
    for column in frame.columns:
        cells = []
        for cell in frame[column].tolist():
            text = _cell(cell)
            if isinstance(text, str) and len(text) > _MAX_CHARS:
                n_cut += 1
                text = text[: _MAX_CHARS - 1] + "…"
            cells.append(text)
        columns[_cell(str(column))] = pd.Series(cells, dtype=object)
    if n_cut:
        said.append(f"{name}: the ends of {n_cut:,} texts of more than {_MAX_CHARS:,} characters")
    return pd.DataFrame(columns), said


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return neutral(_ILLEGAL.sub("\ufffd", value))
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value


def _finish(sheet: Any, frame: pd.DataFrame) -> None:
    """Columns as wide as what stands in them, a filter over the heads, and every text stored as text.

    Figures keep all their digits, of which a column shows as many as it has room for.
    """
    from openpyxl.styles import Alignment, Border, Font, Side
    from openpyxl.utils import get_column_letter

    for index, column in enumerate(frame.columns, start=1):
        cells = frame[column].head(200)
        longest = max(
            [len(str(column)), *(_FIGURE - 2 if isinstance(cell, float) else len(str(cell)) for cell in cells)]
        )
        sheet.column_dimensions[get_column_letter(index)].width = min(max(longest + 2, _NARROWEST), _WIDEST)
    is_read = sheet.title in _READ
    bold, line = Font(name="Calibri", bold=True), Border(bottom=Side(style="thin"))
    folded = Alignment(wrap_text=True, vertical="top")
    for number, row in enumerate(sheet.iter_rows()):
        for cell in row:
            if isinstance(cell.value, str):
                cell.data_type = "s"
            if number == 0 and cell.column <= frame.shape[1]:
                numbers = frame.iloc[:, cell.column - 1].dropna().head(50)
                is_number = len(numbers) > 0 and all(isinstance(n, int | float) for n in numbers)
                cell.font, cell.border = bold, line
                cell.alignment = Alignment(horizontal="right" if is_number else "left")
            elif is_read:
                cell.alignment = folded
        if number and is_read:
            lines = max(1 + len(str(cell.value)) // _WIDEST for cell in row)
            sheet.row_dimensions[number + 1].height = _LINE * lines
    if is_read:
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.print_title_rows = "1:1"
    if len(frame):
        sheet.auto_filter.ref = sheet.dimensions
