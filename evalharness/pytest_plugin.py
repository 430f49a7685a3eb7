"""pytest plugin: a release gate as a test.

::

    from evalharness.pytest_plugin import assert_gate, evalharness_suite

    def test_release():
        assert_gate("suites/support-bot.yaml")

    @evalharness_suite("suites/support-bot.yaml")
    def test_no_language_lags_behind(evaluation):
        assert evaluation.figure("triage.accuracy", group="language=de").value > 0.7

It stands beside the command line, which does the same: it runs suites and decides gates. Every pytest in whose
environment evalharness is installed loads it, so that it imports nothing of the package before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import pytest

if TYPE_CHECKING:
    from evalharness.core.types import MetricResult
    from evalharness.gate import GateOutcome
    from evalharness.record import Record

__all__ = ["Evaluation", "assert_gate", "evalharness_suite"]

_MARK = "evalharness_suite"
_RUNS = pytest.StashKey[dict[tuple[object, ...], "Record"]]()
_F = TypeVar("_F", bound=Callable[..., Any])
_Undecided = Literal["fail", "xfail"]
# The test that runs now: a relative path is looked for beside it.
_now: list[pytest.Item] = []


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run and what its gates decided; `outcome` is None where there are no gates."""

    record: Record
    outcome: GateOutcome | None

    def figure(self, name: str, *, model: str | None = None, group: str | None = None) -> MetricResult:
        """The figure `task.metric`, as a gate's rule names it.

        Raises:
            UsageError: if there is none, or more than one; it names those that there are.
        """
        __tracebackhide__ = True
        from evalharness.core.errors import UsageError
        from evalharness.gate.select import describe_missing, figures_of
        from evalharness.suite.schema import Rule

        rule = Rule.model_construct(metric=name, model=model, group=group)
        found = figures_of(rule, self.record.results)
        if not found:
            raise UsageError(describe_missing(rule, self.record.results))
        if len(found) > 1:
            shown = ", ".join(f"{result.task} of {result.model}" for result in found)
            raise UsageError(f"{name!r} has {len(found)} figures ({shown}); name the task's variant, or a model")
        return found[0]


def assert_gate(
    suite: str | Path | None = None,
    *,
    record: Record | str | Path | None = None,
    policy: str | Path | None = None,
    baseline: str | None = None,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    allow_code: bool = False,
    inconclusive: _Undecided | None = None,
) -> Evaluation:
    """Run `suite`, or take `record`, and fail the test unless its gates hold; returns the record and the outcome.

    A relative path is looked for beside the test's file, then in pytest's rootdir. A suite is run once in a session,
    by one of pytest-xdist's workers for all, and answers come from the response store where they are there.

    Args:
        suite: Suite file to run.
        record: A run that exists, in place of a suite: a folder, run id, `latest`, `suite@label`, or a `Record`.
        policy: File with the gates, in place of those that the suite has.
        baseline: The run to compare with, in place of the one that the gates name.
        overrides: `key.path=value` settings, as `--set` takes them.
        limit: Use only the first `limit` samples of each task (default: `--evalharness-limit`).
        allow_code: Whether Python functions, metric scripts and remote code may run.
        inconclusive: What a gate that cannot be decided does (default: `--evalharness-inconclusive`, which is fail).
    """
    __tracebackhide__ = True
    if (suite is None) == (record is None):
        raise TypeError("assert_gate takes a suite or record=…, one of the two")
    _check(overrides, inconclusive)
    evaluation = _evaluation(suite, record, policy, baseline, overrides, limit, allow_code)
    _name(evaluation)
    _require(evaluation, inconclusive)
    return evaluation


def evalharness_suite(
    suite: str | Path,
    *,
    gate: bool = True,
    policy: str | Path | None = None,
    baseline: str | None = None,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    allow_code: bool = False,
    inconclusive: _Undecided | None = None,
) -> Callable[[_F], _F]:
    """Run `suite` before the test, and hand it the fixture `evaluation`: the record and what its gates decided.

    The test fails, before its own first line, unless the gates hold; with `gate=False` it is handed the evaluation
    whatever they say, and decides itself. The other arguments are those of `assert_gate`. A suite that cannot be run
    is an error of the test, not a failure.
    """
    _check(overrides, inconclusive)
    options = {
        "policy": policy,
        "baseline": baseline,
        "overrides": tuple(overrides),
        "limit": limit,
        "allow_code": allow_code,
    }
    marked = getattr(pytest.mark, _MARK)(suite, gate=gate, inconclusive=inconclusive, options=options)

    def decorate(test: _F) -> _F:
        return pytest.mark.usefixtures("evaluation")(marked(test))  # type: ignore[no-any-return]

    return decorate


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("evalharness", "evalharness: release gates as tests")
    group.addoption("--evalharness-reports", metavar="DIR", help="folder of records (default: reports in the rootdir)")
    group.addoption(
        "--evalharness-registry", metavar="URL", help="database of runs (default: SQLite among the reports)"
    )
    group.addoption("--evalharness-limit", metavar="N", type=int, help="use only the first N samples of each task")
    group.addoption(
        "--evalharness-inconclusive",
        choices=("fail", "xfail"),
        default="fail",
        help="what becomes of a test whose gate cannot be decided yet (default: fail)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark, for those who allow only known ones."""
    config.addinivalue_line("markers", f"{_MARK}: set by @evalharness_suite(FILE), which runs a suite before the test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember which test runs."""
    _now.append(item)
    try:
        return (yield)
    finally:
        _now.pop()


@pytest.fixture
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    """The run of the suite that @evalharness_suite names, and what its gates decided."""
    mark = request.node.get_closest_marker(_MARK)
    if mark is None:
        pytest.fail('the fixture `evaluation` comes with a suite: @evalharness_suite("suite.yaml")', pytrace=False)
    options = mark.kwargs["options"]
    return _evaluation(
        mark.args[0],
        None,
        options["policy"],
        options["baseline"],
        options["overrides"],
        options["limit"],
        options["allow_code"],
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Hold the gate against a decorated test as it is called: one that fails is a failure and no error of a fixture."""
    mark = pyfuncitem.get_closest_marker(_MARK)
    if mark is not None:
        found = pyfuncitem.funcargs["evaluation"]
        assert isinstance(found, Evaluation)  # the decorator asks for the fixture
        _name(found)
        if mark.kwargs["gate"]:
            _require(found, mark.kwargs["inconclusive"])


def _check(overrides: Sequence[str], inconclusive: object) -> None:
    """Refuse what a slip of the pen makes of the arguments, before anything is run."""
    __tracebackhide__ = True
    if isinstance(overrides, str):
        raise TypeError(f"overrides takes a list of settings, not one text: overrides=[{overrides!r}]")
    if inconclusive not in (None, "fail", "xfail"):
        raise ValueError(f"inconclusive is {inconclusive!r}; it takes 'fail' or 'xfail'")


def _option(name: str) -> Any:
    return _now[-1].config.getoption(f"evalharness_{name}") if _now else None


def _reports() -> Path:
    chosen = _option("reports")
    if chosen is not None:
        return Path(_now[-1].config.invocation_params.dir, chosen)
    return (_now[-1].config.rootpath if _now else Path()) / "reports"


def _found(path: str | Path) -> Path:
    """The file that `path` names: beside the test, else in the rootdir; as it stands where there is neither."""
    path = Path(path)
    if path.is_absolute() or not _now:
        return path
    places = [_now[-1].path.parent / path, _now[-1].config.rootpath / path]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        pytest.fail(f"there is no {path}: looked at {' and '.join(map(str, dict.fromkeys(places)))}", pytrace=False)
    return found


def _evaluation(
    suite: str | Path | None,
    record: Record | str | Path | None,
    policy: str | Path | None,
    baseline: str | None,
    overrides: Sequence[str],
    limit: int | None,
    allow_code: bool,
) -> Evaluation:
    __tracebackhide__ = True
    from evalharness.core.errors import EvalHarnessError

    reports, url = _reports(), _option("registry")
    limit = _option("limit") if limit is None else limit
    try:
        if suite is not None:
            found = _run(_found(suite), tuple(overrides), limit, allow_code, reports, url)
        else:
            assert record is not None  # one of the two is given
            found = _opened(record, reports, url)
        return _decided(found, None if policy is None else _found(policy), baseline, reports, url)
    except EvalHarnessError as error:
        wrong = error
    _give_up(wrong)


def _give_up(error: Exception) -> NoReturn:
    """Fail with what is wrong and how to mend it; where in our code it came to light helps nobody.

    Called when the error has been handled, for pytest prints what was being handled, too.
    """
    __tracebackhide__ = True
    problems = getattr(error, "problems", None)
    text = "\n".join(map(str, problems)) if problems else str(error)
    pytest.fail(f"evalharness: {text}", pytrace=False)


def _run(
    suite: Path, overrides: tuple[str, ...], limit: int | None, allow_code: bool, reports: Path, url: str | None
) -> Record:
    runs = _now[-1].config.stash.setdefault(_RUNS, {}) if _now else {}
    key = (suite.resolve(), overrides, limit, allow_code)
    if key not in runs:

        def made() -> Record:
            from evalharness.runner import run

            return run(
                suite, overrides=overrides, limit=limit, allow_code=allow_code, reports=reports, registry_url=url
            )

        note = _noted_at(repr((*map(str, key), str(reports.absolute()), url)))
        runs[key] = made() if note is None else _made_by_one(made, note)
    return runs[key]


def _noted_at(what: str) -> Path | None:
    """The file in which pytest-xdist's workers tell one another of a run; None outside of them."""
    from hashlib import sha256

    config = _now[-1].config if _now else None
    folder = getattr(config, "workerinput", None) and config.getoption("basetemp")  # type: ignore[union-attr]
    return Path(folder).parent / f"evalharness-{sha256(what.encode()).hexdigest()[:16]}" if folder else None


def _made_by_one(made: Callable[[], Record], note: Path) -> Record:
    """The run that the first worker makes; the others wait for it: nobody pays for the same answers twice."""
    from evalharness.core.alive import hold, release
    from evalharness.record import Record

    note.touch()
    held = hold(note)
    try:
        if folder := note.read_text(encoding="utf-8"):
            return Record.open(Path(folder))
        record = made()
        note.write_text(str(record.folder.absolute()), encoding="utf-8")
        return record
    finally:
        release(held)


def _opened(record: Record | str | Path, reports: Path, url: str | None) -> Record:
    from evalharness.record import Record
    from evalharness.record.resolve import resolve_run

    return record if isinstance(record, Record) else Record.open(resolve_run(str(record), reports, url=url))


def _decided(record: Record, policy: Path | None, baseline: str | None, reports: Path, url: str | None) -> Evaluation:
    from evalharness.gate import decide_record, publish
    from evalharness.gate.policy import load_policy
    from evalharness.report import write_reports

    gates = None if policy is None else load_policy(policy)
    outcome = decide_record(record, gates=gates, baseline=baseline, reports=reports, registry_url=url)
    if outcome is not None:
        publish(outcome, record, environ={})  # the summary of a job belongs to the whole of its tests
        _note(record, outcome, reports, url)
    write_reports(record, outcome)
    return Evaluation(record, outcome)


def _note(record: Record, outcome: GateOutcome, reports: Path, url: str | None) -> None:
    """Note the verdict with the run, as the command line does; a record from elsewhere is not in the registry."""
    from evalharness.record import register

    if record.folder.resolve().parent == (reports / "runs").resolve():
        register(record, url, reports=reports, verdict=outcome.state)


def _name(evaluation: Evaluation) -> None:
    """Name the run and its verdict in pytest's own JUnit XML."""
    if _now:
        state = "none" if evaluation.outcome is None else evaluation.outcome.state
        _now[-1].user_properties += [("evalharness_run", evaluation.record.id), ("evalharness_verdict", state)]


def _require(evaluation: Evaluation, inconclusive: _Undecided | None) -> None:
    __tracebackhide__ = True
    record, outcome = evaluation.record, evaluation.outcome
    if outcome is None:
        pytest.fail(
            f"the suite {record.manifest.suite_name} has no gates, so nothing can fail: add some, name a policy=, or "
            "take gate=False and look at the figures",
            pytrace=False,
        )
    if outcome.state == "pass":
        return
    message = _message(evaluation, outcome)
    if outcome.state == "inconclusive" and (inconclusive or _option("inconclusive")) == "xfail":
        pytest.xfail(message)
    pytest.fail(message, pytrace=False)


def _message(evaluation: Evaluation, outcome: GateOutcome) -> str:
    record = evaluation.record
    word = "fails" if outcome.state == "fail" else "is inconclusive"
    lines = [f"the gate of {record.manifest.suite_name} {word}: {outcome.reason}"]
    missed = [v for v in outcome.verdicts if v.state != "pass"]
    lines += [f"  {v.state} ({v.tier}) {v.rule}: {v.reason}" for v in missed if v.reason != outcome.reason]
    against = f" against {outcome.baseline_id}" if outcome.baseline_id else ""
    return "\n".join([*lines, f"  run {record.id}{against}; report: {record.folder / 'report.html'}"])
