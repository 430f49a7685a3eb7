"""What a gate hands to the CI system around it, beside gate.json: files for its pages, annotations for its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from ..core.errors import UsageError
from ..core.files import write_atomic
from .annotations import annotation_lines, in_github_actions
from .chart import chart_svg
from .comment import comment_markdown
from .outcome import GateOutcome

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["CiOutputs", "hand_out"]


@dataclass(frozen=True, slots=True)
class CiOutputs:
    """What is asked for: `comment` writes its chart beside it; `annotations` auto means within a GitHub job."""

    comment: Path | None = None
    chart_url: str | None = None
    verdict: Path | None = None
    annotations: Literal["auto", "always", "never"] = "auto"


def hand_out(
    outcome: GateOutcome, record: Record, outputs: CiOutputs, *, environ: Mapping[str, str], log: TextIO
) -> None:
    """Write the files of `outputs`, and annotations to `log`.

    Raises:
        UsageError: if one of the files cannot be written.
    """
    suite = record.manifest.suite_name
    try:
        if outputs.comment is not None:
            chart = outputs.comment.with_suffix(".svg")
            if chart == outputs.comment:
                raise UsageError(f"--comment {chart}: a comment is Markdown, its chart takes that name; end it in .md")
            shown = outputs.chart_url or chart.name
            text = comment_markdown(outcome, suite=suite, chart=shown, linked=outputs.chart_url is not None)
            write_atomic(outputs.comment, text)
            write_atomic(chart, chart_svg(outcome, suite=suite))
        if outputs.verdict is not None:
            body = {"suite": suite, **outcome.to_dict()}
            # A lone surrogate from the data becomes \\ud800, which is how JSON writes it.
            text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
            write_atomic(outputs.verdict, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written ({error.strerror}); choose another place") from error
    if outputs.annotations == "always" or (outputs.annotations == "auto" and in_github_actions(environ)):
        path = record.manifest.execution.get("suite_path")
        lines = annotation_lines(outcome, suite=suite, suite_path=str(path) if path else None, environ=environ)
        print(*lines, sep="\n", file=log)
