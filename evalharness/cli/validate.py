"""Check a suite in levels, and say which one it reached; no model is asked unless --live is given.

syntax       strict YAML in the shape of a suite
references   names, metrics and their options, prompts, environment variables; what models can do
data         datasets are read, every row is rendered, and one sample of each task is shown
models       with --live: each model is loaded or reached, and asked once for each thing that its tasks need of it:
             text, likelihoods; servers for a few tokens
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalharness.core.errors import DataError, EvalHarnessError, SuiteError, UsageError

from .run import add_suite_arguments

if TYPE_CHECKING:
    from evalharness.core.errors import Problem
    from evalharness.core.types import Prompt, Request, Response
    from evalharness.runner.judged import Judgements
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.plan import PlannedTask

__all__ = ["add_arguments", "run"]

_LEVELS = ("syntax", "references", "data", "models")
_WIDTH = max(map(len, _LEVELS))
_MAX_LINES = 12
_MAX_JUDGE_LINES = 40
_LISTED = 6
# What a probe of a server may cost: OpenAI's Responses API takes no smaller max_output_tokens.
_PROBE_TOKENS = 16
_PROBE_TEXT = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `validate`."""
    parser.add_argument("suite", help="suite file (YAML)")
    add_suite_arguments(parser)
    parser.add_argument("--level", choices=_LEVELS[:3], default="data", help="stop after this level (default: data)")
    parser.add_argument("--live", action="store_true", help="go on to the level models: ask each model once")
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="let code of lm-eval tasks run and, with --live, Python functions, metric scripts and code of checkpoints",
    )


def run(args: argparse.Namespace) -> int:
    """Check the suite; returns 0, or raises what is wrong after saying which level was reached."""
    # Loading makes thousands of lasting objects and no garbage: collecting meanwhile is a tenth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _check(args)
    finally:
        if collecting:
            gc.enable()


def _check(args: argparse.Namespace) -> int:
    levels = _LEVELS if args.live else _LEVELS[: _LEVELS.index(args.level) + 1]
    work = _Validation(args)
    reached = ""
    for level in levels:
        try:
            work.check(level)
        except EvalHarnessError as error:
            _line(False, level, _count(error))
            _say(f"level reached: {reached or 'none'}")
            sys.stdout.flush()
            if isinstance(error, UsageError):
                raise
            # A model that cannot be loaded or reached is what this verb was asked to find.
            raise UsageError(str(error)) from error
        reached = level
    _say(f"level reached: {reached}" + ("" if args.live or reached != "data" else " (--live asks each model once)"))
    return 0


class _Validation:
    """The levels, each building on the one before."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.loaded: LoadedSuite
        self.planned: list[PlannedTask]
        self.judgements: Judgements = {}

    def check(self, level: str) -> None:
        """Check one level and print its line."""
        {"syntax": self.syntax, "references": self.references, "data": self.data, "models": self.models}[level]()

    def syntax(self) -> None:
        from evalharness.suite.load import load_suite

        self.loaded = load_suite(self.args.suite, overrides=self.args.overrides)
        suite = self.loaded.suite
        parts = ((suite.models, "model"), (suite.datasets, "dataset"), (suite.tasks, "task"))
        _line(True, "syntax", f"{suite.name}: {', '.join(_plural(len(part), word) for part, word in parts)}")

    def references(self) -> None:
        from evalharness.runner.lm_eval_plan import lm_eval_problems
        from evalharness.suite.batches import batch_problems
        from evalharness.suite.check import check_references

        more = [*lm_eval_problems(self.loaded), *self._price_problems(), *batch_problems(self.loaded)]
        check_references(self.loaded, more=more)
        metrics = sum(len(task.metrics) for task in self.loaded.suite.tasks)
        _line(True, "references", f"names, {_plural(metrics, 'metric')}, prompts and environment variables are there")
        for note in self._judge_notes():
            _say(f"    note: {note}")

    def _price_problems(self) -> Iterable[Problem]:
        execution = self.loaded.suite.execution
        if execution.prices is None and execution.budget_usd is None:
            return ()  # most suites: spare them the import
        from evalharness.runner.prices import price_problems

        return price_problems(self.loaded)

    def _has_judges(self) -> bool:
        from evalharness.suite.judgings import judges_of

        return bool(judges_of(self.loaded.suite))

    def _judge_notes(self) -> Iterable[str]:
        from evalharness.suite.judges import judge_notes

        return judge_notes(self.loaded.suite)

    def _judgements(self, tasks: Sequence[PlannedTask]) -> Judgements:
        if not self._has_judges():
            return {}
        from evalharness.runner.judging import judgements_of

        return judgements_of(self.loaded, tasks, {name: {} for name in self.loaded.suite.models})

    def data(self) -> None:
        from evalharness.runner.build import load_datasets
        from evalharness.runner.lm_eval_plan import plan_lm_eval
        from evalharness.suite.check import check_plan
        from evalharness.suite.names import owner_of
        from evalharness.suite.plan import make_plan

        rows = {name: dataset.rows for name, dataset in load_datasets(self.loaded).items()}
        suite = self.loaded.suite
        plan = make_plan(
            suite,
            rows,
            {name: {} for name in suite.models},
            base=self.loaded.base,
            place_of=self.loaded.place_of,
        )
        check_plan(self.loaded, plan)
        bridged = plan_lm_eval(self.loaded, {}, {name: {} for name in suite.models}, allow_code=self.args.allow_code)
        self.planned = [*plan.tasks, *(planned for work in bridged for planned in work.planned)]
        if suite.execution.mode == "batch":
            from evalharness.runner.batch_run import refuse_likelihoods

            refuse_likelihoods(suite, self.planned)
        self.judgements = self._judgements(plan.tasks)
        counts = [f"{name} {_plural(len(part), 'row')}" for name, part in rows.items()]
        read = {planned.task.id: len(planned.samples) for work in bridged for planned in work.planned}
        counts += [f"{name} {_plural(n, 'document')}" for name, n in list(read.items())[:_LISTED]]
        counts += [f"{len(read) - _LISTED} more lm-eval tasks"] if len(read) > _LISTED else []
        total = sum(len(planned.requests) for planned in self.planned)
        asked = {(planned.task.id, planned.model): len(planned.requests) for planned in plan.tasks}
        verdicts = sum(asked[place] * len(one.slots) for place, found in self.judgements.items() for one in found)
        judged = f", and up to {verdicts:,} to judges" if verdicts else ""
        _line(True, "data", f"{', '.join(counts)}; {_plural(total, 'request')} in all{judged}")
        _say("")
        shown: set[str] = set()
        for planned in self.planned:
            # Of an lm-eval group with its many tasks one sample tells enough.
            owner = owner_of(planned.task.id)
            if owner not in shown:
                _show(planned, list(dict.fromkeys(p.model for p in self.planned if p.task.id == planned.task.id)))
                others = {p.task.id for p in self.planned if owner_of(p.task.id) == owner} - {planned.task.id}
                if others:
                    _say(f"    {owner}: {_plural(len(others), 'more task')} of lm-eval's, not shown\n")
            shown.add(owner)
        self._show_judges()

    def _show_judges(self) -> None:
        """The first request to the judges of each figure, with a text in the place of the answer."""
        if not self.judgements:
            return
        from evalharness.runner.judge_forecast import probes

        shown: set[str] = set()
        for judgement, requests in probes(self.planned, self.judgements):
            name = f"{judgement.task}.{judgement.figure}"
            if name not in shown:
                answers = f"{_plural(len(requests), 'verdict')} an answer"
                _say(f"    {name} judged by {_listed(judgement.metric.judges)}: {answers}")
                _prompt(requests[0].prompt, most=_MAX_JUDGE_LINES)
                _say("")
            shown.add(name)

    def models(self) -> None:
        import asyncio
        import os

        from evalharness.runner.build import load_metrics, make_models

        load_metrics(self.loaded, allow_code=self.args.allow_code)
        suite = self.loaded.suite
        first: dict[str, list[Request]] = {}
        for planned in self.planned:
            kinds = {request.kind for request in first.get(planned.model, ())}
            for request in planned.requests:
                if request.kind not in kinds:
                    kinds.add(request.kind)
                    short = _short_of(request) if _is_served(suite.models[planned.model]) else request
                    first.setdefault(planned.model, []).append(short)
        if self.judgements:
            from evalharness.runner.judge_forecast import live_probes

            for judge, request in live_probes(self.planned, self.judgements):
                first.setdefault(judge, []).append(_short_of(request) if _is_served(suite.models[judge]) else request)
        models = make_models(
            suite, base=self.loaded.base, allow_code=self.args.allow_code, environ=os.environ, only=frozenset(first)
        )
        asked = sum(len(first[name]) for name in models if _is_served(suite.models[name]))
        if asked:
            _say(f"    servers are asked {_plural(asked, 'short question')}, for {_PROBE_TOKENS} tokens at most each")
        failed = [fault for name, model in models.items() for fault in asyncio.run(_ask(name, model, first[name]))]
        if failed:
            raise UsageError("\n".join(_redacted(text, suite.models) for text in failed))
        _line(True, "models", f"{_plural(len(models), 'model')} answered")


def _is_served(spec: object) -> bool:
    """Whether a server answers, which may cost money."""
    return hasattr(spec, "timeout_s")


def _short_of(request: Request) -> Request:
    """`request` as a probe: it shows whether the server does such a thing at all, for a few tokens."""
    sampling = replace(request.sampling, max_tokens=min(request.sampling.max_tokens, _PROBE_TOKENS))
    prompt = request.prompt[:_PROBE_TEXT] if request.kind == "loglikelihood_rolling" else request.prompt
    return replace(request, sampling=sampling, prompt=prompt, continuations=request.continuations[:1])


async def _ask(name: str, model: object, requests: Sequence[Request]) -> list[str]:
    """Ask `model` once for each kind; what went wrong, each with the kind that does not work."""
    faults: list[str] = []
    try:
        await model.open()  # type: ignore[attr-defined]
        for request in requests:
            answers: list[Response] = [answer async for answer in getattr(model, request.kind)([request])]
            bad = [answer.error or answer.status for answer in answers if answer.status == "error"]
            bad += [fault for answer in answers if (fault := _unheeded(request, answer)) is not None]
            if bad or not answers:
                faults.append(f"models.{name}: {request.kind}: {bad[0] if bad else 'it gave no answer'}")
                _say(f"    {name} ({request.kind}): does not work, see below")
            else:
                _say(f"    {name} ({request.kind}): {_answer(answers[0])}")
    except EvalHarnessError as error:
        faults.append(f"models.{name}: {error}")
    finally:
        await model.close()  # type: ignore[attr-defined]
    return faults


def _unheeded(request: Request, response: Response) -> str | None:
    """What is wrong where an answer was to obey a JSON schema and does not even begin so; a short one may be cut."""
    import json

    text = (response.text or "").lstrip()
    if request.sampling.json_schema is None or not text:
        return None
    schema = json.loads(request.sampling.json_schema)
    kind = schema.get("type") if isinstance(schema, dict) else None
    begins = {"object": "{", "array": "["}.get(kind if isinstance(kind, str) else "", '{["-0123456789tfn')
    if text[0] in begins:
        return None
    return (
        f"the server ignores `json_schema`: its answer is no JSON but {_short(text, 60)!r}; ask a server that holds "
        "answers to a schema, or leave it out and say in the prompt what is wanted"
    )


def _answer(response: Response) -> str:
    if response.loglikelihoods:
        return "log-likelihood " + ", ".join(f"{found.total:.3f}" for found in response.loglikelihoods[:8])
    if response.label_probabilities:
        best = sorted(response.label_probabilities.items(), key=lambda item: -item[1])
        return ", ".join(f"{label} {value:.3f}" for label, value in best[:8])
    return _short(response.text if response.text is not None else str(response.answer), 200)


def _redacted(text: str, models: Mapping[str, object]) -> str:
    import os

    from evalharness.core.secrets import Redactor, placeholders

    names = {name for spec in models.values() for name in placeholders(repr(spec))}
    return Redactor(os.environ.get(name, "") for name in names)(text)


def _show(planned: PlannedTask, models: Sequence[str]) -> None:
    """One rendered sample of a task."""
    count = _plural(len(planned.samples), "sample")
    _say(f"    {planned.task.id} on {_listed(models)}: {planned.kind}, {count}")
    if not planned.samples:
        _say("      (no rows)\n")
        return
    sample = planned.samples[0]
    _prompt(sample.prompt)
    for choice in sample.choices:
        _say(f"      {'->' if choice == sample.target else '  '} choice: {_short(choice, 120)}")
    for reference in sample.references:
        _say(f"      reference: {_short(reference, 120)}")
    if sample.target is not None and not sample.choices:
        _say(f"      target: {_short(sample.target, 120)}")
    _say("")


def _prompt(prompt: Prompt, *, most: int = _MAX_LINES) -> None:
    if isinstance(prompt, str):
        _block(prompt, most)
        return
    for turn in prompt:
        _say(f"      [{turn.role}]")
        _block(turn.content, most)


def _block(text: str, most: int) -> None:
    lines = text.split("\n")
    for line in lines[:most]:
        _say(f"      | {_short(line, 160)}")
    if len(lines) > most:
        _say(f"      | … {len(lines) - most} more lines")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _short(text: str, most: int) -> str:
    line = text.replace("\n", "\\n").replace("\x1b", "\\x1b")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _count(error: EvalHarnessError) -> str:
    if isinstance(error, SuiteError | DataError):
        return _plural(len(error.problems), "problem")
    return _plural(len(str(error).splitlines()), "problem")


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _line(good: bool, level: str, text: str) -> None:
    _say(f"{'✓' if good else '✗'} {level:<{_WIDTH}}  {text}")


def _say(text: str) -> None:
    """Print, also where the terminal cannot show every character."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        marks = text.replace("✓", "ok").replace("✗", "FAILED")
        text = marks.encode(encoding, "backslashreplace").decode(encoding)
    print(text)
