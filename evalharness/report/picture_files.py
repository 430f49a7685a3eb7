"""The charts of a Markdown report as SVG files beside it, for hosts that show pictures and no HTML."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from ..core.files import write_atomic
from .charts import Chart, svg_file

__all__ = ["PictureFolder"]

_NAME = re.compile(r"[^a-z0-9]+")


class PictureFolder:
    """Writes each chart that it is called with into `FILE-pictures/` beside the Markdown file, and gives its path.

    File names are made of a number and of the letters of the title that are safe in paths and addresses. Pictures of an
    earlier report are removed, so that none is left over: files that this did not name are left alone.
    """

    def __init__(self, markdown: Path) -> None:
        self.folder = markdown.with_name(f"{markdown.stem}-pictures")
        self._count = 0
        for old in sorted(self.folder.glob("[0-9][0-9]-*.svg")):
            old.unlink()

    def __call__(self, chart: Chart) -> str:
        """Write the chart; returns its path from the Markdown file."""
        self._count += 1
        name = _NAME.sub("-", chart.title.casefold())[:60].strip("-") or "chart"
        path = self.folder / f"{self._count:02d}-{name}.svg"
        self.folder.mkdir(exist_ok=True)
        write_atomic(path, svg_file(chart))
        return f"{quote(self.folder.name)}/{path.name}"
