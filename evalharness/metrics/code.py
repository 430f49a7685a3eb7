"""Generated Python, run against the tests of its sample in a process with few rights."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array, Need
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import np

from .base import (
    NEEDS_NOTHING,
    NEEDS_REFERENCES,
    PROPORTION,
    BaseMetric,
    answer_as_it_came,
    check_batch,
    golds,
    ratio,
    require,
)
from .code_run import PROTECTIONS, STATES, Limits, Outcome, protections, run_programs

if TYPE_CHECKING:
    from evalharness.core.templating import Template

__all__ = ["CodeExecution", "fenced"]

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_PROGRAM = "{{ code }}\n\n{{ reference }}\n"
_PYTHON = ("", "python", "python3", "py")


def fenced(text: str) -> str:
    """The first fenced block of Python in `text`, or of no language; the whole text where there is none."""
    return next((match[2] for match in _FENCE.finditer(text) if match[1].lower() in _PYTHON), text)


@dataclass(frozen=True, kw_only=True)
class CodeExecution(BaseMetric):
    """Share of answers whose code passes the tests of its sample.

        value = Σ_i [program_i runs to its end without an exception] / n,  program_i: the code, then the tests

    It runs what a model wrote, so it is off without --allow-code. Each program has a process of its own with a bare
    environment (no keys), a folder of its own, and limits of time, memory and file size; it and what it started are
    killed at the end. On Linux the kernel keeps it from sockets and further processes (seccomp) and from all files but
    Python's own (Landlock); where that cannot be had nothing is run, unless `unprotected` says that a container stands
    around it. It shares the kernel and the installed packages with you, it may fill the disk with small files, and a
    program that knows its judge can claim to have passed: this guards against slips and mischief, not against an
    attacker with a hole in the kernel. `exit(0)` before the last test does not pass. Time is wall time, so a machine
    that is busy can fail what passes on an idle one. With repeats the figure is the mean pass rate, which is pass@1.

    Options:
        program: template of what is run, over code, answer, prompt, reference, target and the fields of the row
            (default: the code, and below it the reference, which holds the tests).
        code: fenced takes the first fenced block (of python, or unnamed), else the whole text; all takes the text as
            it is.
        timeout_s: seconds after which a program is killed.
        memory_mb: megabytes of address space it may have.
        unprotected: run it even where the system cannot keep it from network and files.

    Source: Chen et al. 2021 (HumanEval: a sample is right if all tests pass), Austin et al. 2021 (MBPP).
    """

    program: str | None = None
    code: Literal["fenced", "all"] = "fenced"
    timeout_s: float = 5.0
    memory_mb: int = 512
    unprotected: bool = False

    name = "code_execution"
    interval = PROPORTION

    def __post_init__(self) -> None:
        require(0 < self.timeout_s <= 600, f"timeout_s must be above 0 and at most 600, not {self.timeout_s:g}")
        require(64 <= self.memory_mb <= 65_536, f"memory_mb must be from 64 to 65536, not {self.memory_mb}")
        try:
            names = self._template.names
        except UsageError as error:
            require(False, f"program: {error}")
        else:
            known = bool(names & {"code", "answer"})
            require(known, "program: it must hold the answer: {{ code }}, or {{ answer }} as it came")
            object.__setattr__(self, "_references", bool(names & {"reference", "references"}))
        object.__setattr__(self, "_allowed", False)

    @property
    def _template(self) -> Template:
        from evalharness.core.templating import Template

        return Template(_PROGRAM if self.program is None else self.program, where="program")

    @property
    def columns(self) -> tuple[str, ...]:
        """`n`, and how many programs ended in which way, `passed` first."""
        return ("n", *STATES)

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """A reference, where the program holds it."""
        return NEEDS_REFERENCES if self._references else NEEDS_NOTHING  # type: ignore[attr-defined]

    @property
    def limits(self) -> Limits:
        """What a program may take."""
        return Limits(self.timeout_s, self.memory_mb, () if self.unprotected else PROTECTIONS)

    def for_run(self, *, base: Path, allow_code: bool) -> CodeExecution:
        """Ready to run programs.

        Raises:
            UsageError: code is not allowed, or this system cannot keep programs from network and files.
        """
        if not allow_code:
            raise UsageError(
                "the metric code_execution runs Python code that the model wrote; it is off unless you allow it: "
                "--allow-code"
            )
        if os.name != "posix":
            raise UsageError("the metric code_execution runs on Linux and macOS; on Windows use WSL or a container")
        missing = [] if self.unprotected else [name for name in PROTECTIONS if name not in protections()]
        if missing:
            raise UsageError(
                f"the metric code_execution cannot keep programs from {' and '.join(missing)} on this system (it takes "
                "Linux with seccomp and Landlock, 5.13 or newer); run it in a container without network and secrets, "
                "and set unprotected: true there"
            )
        found = replace(self)
        object.__setattr__(found, "_allowed", True)
        return found

    def as_recorded(self, signature: str) -> CodeExecution:
        """As the metric of a record: its rows are read without running anything."""
        return self

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        rows = np.zeros((len(samples), len(self.columns)))
        for place, outcome in enumerate(self.outcomes(samples, responses)):
            if outcome is not None:
                rows[place, 0] = 1.0
                rows[place, 1 + STATES.index(outcome.state)] = 1.0
        return rows

    def outcomes(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[Outcome | None]:
        """How the program of each sample ended; None where there are no tests. A failed call has not even begun.

        Raises:
            UsageError: code was not allowed, or the template does not fit a sample.
        """
        if not self._allowed and len(samples):  # type: ignore[attr-defined]
            raise UsageError("the metric code_execution runs code; allow it: for_run(base=…, allow_code=True)")
        template, tested = self._template, self._references  # type: ignore[attr-defined]
        programs: dict[int, str] = {}
        found: list[Outcome | None] = [None] * len(samples)
        for place, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            texts = golds(sample)
            if tested and not texts:
                continue
            if response.status in FAILED_STATES:
                found[place] = Outcome("failed", "no answer came")
                continue
            try:
                programs[place] = template.text(self._values(sample, response, texts))
            except UsageError as error:
                raise UsageError(f"sample {sample.id!r}: code_execution.program: {error}") from error
        for place, outcome in zip(programs, run_programs(list(programs.values()), self.limits), strict=True):
            found[place] = outcome
        return found

    def _values(self, sample: Sample, response: Response, texts: Sequence[str]) -> dict[str, object]:
        # A completion may continue an indented block.
        answer = answer_as_it_came(response)
        prompt = sample.prompt if isinstance(sample.prompt, str) else "\n\n".join(m.content for m in sample.prompt)
        row = dict(sample.fields)
        return {
            **row,
            "row": row,
            "answer": answer,
            "code": fenced(answer) if self.code == "fenced" else answer,
            "prompt": prompt,
            "reference": "\n\n".join(texts),
            "references": list(texts),
            "target": sample.target,
        }

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return ratio(totals[..., 1], totals[..., 0])
