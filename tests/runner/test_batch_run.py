"""A suite that is asked in batches, from its file to its record, against a service of both interfaces."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.core.errors import ModelError, RunError, UsageError
from evalharness.runner import batch_submit
from evalharness.runner.batch_ledger import BatchLedger
from evalharness.runner.progress import SilentProgress
from evalharness.runner.stopping import StopRun

SUITE = """\
version: 1
name: batched
models:
  api: {MODEL, api_key: "${env:SERVICE_KEY}", max_retries: 1}
datasets:
  lines: {path: lines.jsonl}
tasks:
  - id: ask
    dataset: lines
    prompt: "{{ q }}"
    reference: "re: {{ q }}"
    metrics: [exact_match]
execution:
  mode: batch
  batch: {poll_s: 0.01, longest_poll_s: 0.02}
  on_error: exclude
"""
MODELS = {
    "chat": 'backend: openai, model: x, base_url: "URL/v1"',
    "completions": 'backend: openai, model: x, api: completions, base_url: "URL/v1"',
    "responses": 'backend: openai, model: x, api: responses, base_url: "URL/v1"',
    "anthropic": 'backend: anthropic, model: x, base_url: "URL"',
}
BOTH = pytest.mark.parametrize("api", ["chat", "anthropic"])
N = 12
Say = Callable[..., Any]


class Heard(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def suite(tmp_path: Path, service: Any, planted_key: str, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Writes the suite of an interface and runs it; `settings` are those of `--set`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_KEY", planted_key)
    monkeypatch.setattr(batch_submit, "SETTLED_AFTER_S", 0.0)
    rows = [{"id": f"s{i:02}", "q": f"question {i}"} for i in range(N)]
    Path("lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def run(api: str = "chat", *settings: str, reports: str = "reports", **more: Any) -> Any:
        Path("suite.yaml").write_text(SUITE.replace("MODEL", MODELS[api]).replace("URL", service.url), "utf-8")
        return evalharness.run("suite.yaml", overrides=settings, reports=reports, **more)

    return run


def rows_of(record: Any) -> dict[str, tuple[Any, ...]]:
    return {
        row.sample.id: (row.response.status, row.response.text, row.response.answer, row.response.output_tokens)
        for row in record.iter_samples()
    }


def metas_of(record: Any) -> dict[str, Any]:
    return {row.sample.id: dict(row.response.meta) for row in record.iter_samples()}


def open_batches(reports: str = "reports") -> list[Any]:
    with BatchLedger.open(Path(reports) / "responses.sqlite3") as ledger:
        return ledger.batches()


# ── equal to online ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("api", MODELS)
def test_a_batch_gives_what_asking_one_by_one_gives_and_shares_its_store(suite: Say, service: Any, api: str) -> None:
    online = suite(api, "execution.mode=online", "execution.batch=", reports="online")
    assert sum(service.asked_online.values()) == N
    heard = Heard()
    batched = suite(api, progress=heard)
    assert sum(service.asked_online.values()) == N
    assert len(service.batches) == 1
    assert rows_of(batched) == rows_of(online)
    assert {meta["batch_id"] for meta in metas_of(batched).values()} == {"batch_1"}
    assert not any("batch_id" in meta for meta in metas_of(online).values())
    execution = batched.manifest.execution
    assert (execution["n_asked"], execution["n_failed"], execution["n_retries"]) == (N, 0, 0)
    (entry,) = execution["work"]["api"]["batches"]
    assert (entry["id"], entry["n_requests"], entry["n_answered"], entry["n_failed"]) == ("batch_1", N, N, 0)
    assert "batch batch_1: 6 of 12 done" in heard.lines
    assert "batch batch_1: 12 of 12 done" in heard.lines
    assert open_batches() == []
    # The same answers, whichever way they came.
    for mode in (("execution.mode=online", "execution.batch="), ()):
        assert suite(api, *mode).manifest.execution["n_asked"] == 0
    assert len(service.batches) == 1


@BOTH
def test_batches_are_cut_to_size(suite: Say, service: Any, api: str) -> None:
    record = suite(api, "execution.batch.max_requests=5")
    assert sorted(len(batch["entries"]) for batch in service.batches) == [2, 5, 5]
    assert set(service.submitted.values()) == {1}
    assert all(status == "ok" for status, *_ in rows_of(record).values())


@BOTH
def test_batches_are_cut_to_bytes(suite: Say, service: Any, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.models.anthropic_batches import AnthropicBatches
    from evalharness.models.openai_batches import OpenAIBatches

    for kind in (OpenAIBatches, AnthropicBatches):
        monkeypatch.setattr(kind, "most_bytes", 1_500)
    rows = [{"id": f"s{i:02}", "q": f"question {i}" + "!" * (5_000 if i == 3 else 0)} for i in range(N)]
    Path("lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    record = suite(api)
    assert len(service.batches) > 2
    assert all(len(file) <= 1_500 for name, file in service.files.items() if "output" not in name)
    failed = [row.response for row in record.iter_samples() if row.response.status == "error"]
    assert len(failed) == 1
    assert "larger than a batch may be" in str(failed[0].error)
    assert sum(service.submitted.values()) == N - 1


def test_models_that_run_here_are_asked_while_batches_are_worked_on(suite: Say, service: Any) -> None:
    settings = ("models.other={backend: fake}", "tasks.ask.model=[api, other]")
    record = suite("chat", *settings)
    models = {entry.model for entry in record.manifest.tasks}
    assert models == {"api", "other"}
    assert record.manifest.execution["work"].keys() == {"api"}


def test_two_models_are_handed_in_before_either_is_waited_for(suite: Say, service: Any) -> None:
    second = (
        'models.second={backend: openai, model: y, base_url: "' + service.url + '/v1", api_key: "${env:SERVICE_KEY}"}'
    )
    heard = Heard()
    suite("chat", second, progress=heard)
    said = [line for line in heard.lines if line.startswith("batch")]
    assert [line.split(":")[1].split(",")[0] for line in said[:2]] == [" handed in", " handed in"]
    assert set(service.submitted.values()) == {1}


# ── what befalls requests ─────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("fate", [500, 429, "expired", "missing"])
def test_what_may_pass_goes_into_the_next_batch(suite: Say, service: Any, api: str, fate: Any) -> None:
    service.fates = {"question 3": [fate, fate, "ok"], "question 7": [fate, "ok"]}
    record = suite(api)
    assert [len(batch["entries"]) for batch in reversed(service.batches)] == [N, 2, 1]
    assert all(status == "ok" for status, *_ in rows_of(record).values())
    assert record.manifest.execution["n_retries"] == 3
    assert metas_of(record)["s07"]["batch_id"] == "batch_2"


@BOTH
@pytest.mark.parametrize(
    ("fate", "says", "n_batches"),
    [
        (400, "planned [redacted]", 1),
        ("nonsense", "reply", 1),
        (500, "(tried in 3 batches)", 3),
        ("missing", "without a result for this request (tried in 3 batches)", 3),
    ],
)
def test_what_does_not_pass_is_an_error_of_its_row_alone(
    suite: Say, service: Any, api: str, fate: Any, says: str, n_batches: int
) -> None:
    service.fates = {"question 3": [fate]}
    record = suite(api)
    rows = {row.sample.id: row.response for row in record.iter_samples()}
    assert [r.status for r in rows.values()].count("error") == 1
    assert says in str(rows["s03"].error)
    assert str(rows["s03"].error).startswith(f"batch batch_{n_batches}: ")
    assert rows["s03"].n_retries == n_batches - 1
    assert len(service.batches) == n_batches
    # It is asked anew, and alone, by the next run.
    service.fates = {}
    assert suite(api).manifest.execution["n_asked"] == 1
    assert len(service.batches) == n_batches + 1


def test_what_was_cancelled_is_not_handed_in_again_by_itself(suite: Say, service: Any) -> None:
    service.fates = {"question 3": ["cancelled"]}
    assert suite("anthropic").manifest.execution["n_failed"] == 1
    assert len(service.batches) == 1
    service.fates, service.end_as = {"question 4": ["missing"]}, ["cancelled"]
    assert suite("chat").manifest.execution["n_failed"] == 1
    assert len(service.batches) == 2


def test_what_an_expired_batch_has_is_kept(suite: Say, service: Any) -> None:
    service.end_as = ["expired"]
    service.fates = {f"question {i}": ["expired", "ok"] for i in range(5)}
    record = suite("chat")
    assert [len(batch["entries"]) for batch in reversed(service.batches)] == [N, 5]
    assert record.manifest.execution["n_failed"] == 0


def test_a_batch_that_is_refused_as_a_whole_says_why(suite: Say, service: Any) -> None:
    service.end_as = ["failed"]
    rows = [row.response for row in suite("chat").iter_samples()]
    assert {row.status for row in rows} == {"error"}
    assert "the service refused the batch: bad: no (line 1)" in str(rows[0].error)
    assert len(service.batches) == 1


def test_a_file_that_is_being_read_is_waited_for(suite: Say, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.models import openai_batches

    monkeypatch.setattr(openai_batches, "_READ_S", 0.0)
    service.pending = ["pending", "running", "processed"]
    assert suite("chat").manifest.execution["n_failed"] == 0
    assert service.pending == []


def test_a_batch_refused_for_tokens_that_wait_is_handed_in_again(suite: Say, service: Any) -> None:
    service.end_as = ["failed", "failed"]
    service.errors = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]}
    assert suite("chat").manifest.execution["n_failed"] == 0
    assert len(service.batches) == 3


def test_results_that_are_archived_are_asked_anew(suite: Say, service: Any) -> None:
    service.archived = ["batch_1"]
    assert suite("anthropic").manifest.execution["n_failed"] == 0
    assert len(service.batches) == 2


@BOTH
def test_a_service_that_does_not_take_the_batch_fails_its_requests(suite: Say, service: Any, api: str) -> None:
    service.faults = {"create": [400]}
    rows = [row.response for row in suite(api).iter_samples()]
    assert "the service did not take the batch: HTTP 400" in str(rows[0].error)
    assert suite(api).manifest.execution["n_failed"] == 0
    assert set(service.submitted.values()) == {1}


@BOTH
def test_a_server_without_batches_ends_the_run_and_says_the_remedy(suite: Say, service: Any, api: str) -> None:
    service.faults = {"upload": [404], "create": [404]}
    with pytest.raises(ModelError, match=r"model 'api' cannot be asked in batches: HTTP 404 .* execution.mode: online"):
        suite(api)
    service.faults = {}
    assert suite(api).manifest.execution["n_failed"] == 0


def test_a_json_reply_without_an_id_is_not_believed(suite: Say, service: Any) -> None:
    for answer in ({"choices": []}, {"id": "../../evil"}, [1], "x"):
        service.faults = {"upload": [answer]}
        with pytest.raises(ModelError, match="batch interface"):
            suite("chat")
    assert service.batches == []


# ── nothing is handed in twice ────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("fault", ["lost", 429])
def test_a_reply_that_is_lost_costs_no_second_batch(suite: Say, service: Any, api: str, fault: Any) -> None:
    service.faults = {"create": [fault]}
    suite(api)
    assert set(service.submitted.values()) == {1}
    assert service.calls["create"] == (1 if fault == "lost" else 2)


@BOTH
def test_after_a_500_the_service_is_asked_before_a_second_try(suite: Say, service: Any, api: str) -> None:
    service.faults = {"create": [500]}
    suite(api)
    assert set(service.submitted.values()) == {1}
    assert (service.calls["create"], service.calls["list"]) == (2, 1)


@BOTH
def test_where_nobody_says_whether_a_batch_was_taken_the_next_run_finds_out(suite: Say, service: Any, api: str) -> None:
    service.faults = {"create": ["lost"], "list": [500] * 2}
    with pytest.raises(ModelError, match=r"was handed in is not known.*run the same command again"):
        suite(api)
    assert len(open_batches()) == 1
    record = suite(api)
    assert set(service.submitted.values()) == {1}
    assert record.manifest.execution["n_failed"] == 0


@pytest.mark.parametrize("hidden", ["metadata", "input_file_id"])
def test_a_lost_batch_is_known_by_our_name_or_by_its_file(suite: Say, service: Any, hidden: str) -> None:
    service.hidden = (hidden,)
    service.faults = {"create": ["lost"]}
    suite("chat")
    assert service.calls["create"] == 1


@BOTH
def test_a_lost_batch_is_found_on_a_later_page(suite: Say, service: Any, api: str) -> None:
    other = {"model": "z", "messages": [{"role": "user", "content": "theirs"}]}
    foreign = {"custom_id": "0" * 64, "params": other, "body": other, "url": "/v1/chat/completions"}
    service.page, service.late = 2, 5
    service.others = lambda: service.batch([foreign], file="file-other", metadata=None)
    service.faults = {"create": ["lost"]}
    suite(api)
    assert service.calls["list"] == 3
    assert service.calls["create"] == 1


@BOTH
def test_where_it_cannot_be_known_the_record_says_so(suite: Say, service: Any, api: str) -> None:
    service.faults = {"create": ["lost"], "list": [404]}
    record = suite(api)
    assert set(service.submitted.values()) == {2}
    assert any("could not be known" in note and "twice" in note for note in record.manifest.notes)


CHILD = """
import os, sys
import evalharness
from evalharness.models.anthropic_batches import AnthropicBatches
from evalharness.models.openai_batches import OpenAIBatches
from evalharness.runner.batch_ledger import BatchLedger
from evalharness.runner.batch_take import Taker
from evalharness.runner.store import ResponseStore

def dying_after(kind, name, n=1, wait=False):
    whole, left = getattr(kind, name), [n]
    def count():
        left[0] -= 1
        if not left[0]:
            os._exit(9)
    if wait:
        async def dying(*args, **more):
            found = await whole(*args, **more)
            count()
            return found
    else:
        def dying(*args, **more):
            found = whole(*args, **more)
            count()
            return found
    setattr(kind, name, dying)

{dying}
evalharness.run("suite.yaml", overrides=sys.argv[1:])
"""
SERVICES = "for k in (OpenAIBatches, AnthropicBatches): "
MOMENTS = {
    "after the intent": 'dying_after(BatchLedger, "intend")',
    "after the second intent": 'dying_after(BatchLedger, "intend", 2)',
    "after the file": 'dying_after(BatchLedger, "sent")',
    "between the request and its reply": SERVICES + "dying_after(k, 'create', wait=True)",
    "at the second batch": SERVICES + "dying_after(k, 'create', 2, wait=True)",
    "after it is handed in": 'dying_after(BatchLedger, "submitted")',
    "while it waits": SERVICES + "dying_after(k, 'look', wait=True)",
    "while it takes the answers": 'dying_after(Taker, "_read", 4)',
    "after some answers are stored": 'dying_after(ResponseStore, "put")',
}


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_is_resumed_and_hands_nothing_in_twice(
    suite: Say, service: Any, api: str, moment: str
) -> None:
    if moment == "after the file" and api == "anthropic":
        pytest.skip("this interface takes no file")
    settings = ["execution.batch.max_requests=7"]
    online = suite(api, "execution.mode=online", "execution.batch=", reports="online")
    suite_text = SUITE.replace("MODEL", MODELS[api]).replace("URL", service.url)
    Path("suite.yaml").write_text(suite_text, "utf-8")
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD).replace("{dying}", MOMENTS[moment]), *settings],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(evalharness.__file__).parents[1])},
    )
    assert child.returncode == 9, child.stderr
    assert not Path("reports/runs").exists()
    resumed = suite(api, *settings)
    assert set(service.submitted.values()) == {1}, "a request was handed in twice"
    assert len(service.submitted) == N
    assert rows_of(resumed) == rows_of(online)
    assert open_batches() == []


def test_a_batch_of_somebody_elses_is_not_taken_for_ours(suite: Say, service: Any) -> None:
    """Anthropic's list tells neither whose a batch is nor what is in it."""
    foreign = [{"custom_id": f"{i:064}", "params": {"model": "z", "prompt": "theirs"}} for i in range(N)]
    with BatchLedger.open(Path("reports/responses.sqlite3")) as ledger:
        keys = _keys(suite, service)
        ledger.intend(keys, identity=_identity_of(service), model="api", address=service.url)
    service.batch(foreign)
    heard = Heard()
    record = suite("anthropic", progress=heard)
    assert any("batch batch_1 may be the one" in line for line in heard.lines)
    assert any("batch batch_1 is not ours" in line for line in heard.lines)
    assert record.manifest.execution["n_failed"] == 0
    assert {meta["batch_id"] for meta in metas_of(record).values()} == {"batch_2"}
    assert set(service.submitted.values()) == {1}


def _keys(suite: Say, service: Any) -> list[str]:
    from evalharness.runner.prepare import prepare

    Path("suite.yaml").write_text(SUITE.replace("MODEL", MODELS["anthropic"]).replace("URL", service.url), "utf-8")
    return [request.key for request in prepare("suite.yaml").requests]


def _identity_of(service: Any) -> str:
    from evalharness.core.canonical import digest
    from evalharness.runner.prepare import prepare

    return digest(prepare("suite.yaml").models["api"].identity())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the signal is that of POSIX")
def test_an_interrupted_command_says_that_the_batch_goes_on(suite: Say, service: Any) -> None:
    service.looks_needed = 10**9
    Path("suite.yaml").write_text(SUITE.replace("MODEL", MODELS["chat"]).replace("URL", service.url), "utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "evalharness", "run", "suite.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(evalharness.__file__).parents[1])},
    ) as child:
        assert child.stderr is not None
        said = []
        for line in child.stderr:
            said.append(line)
            if "6 of 12 done" in line:
                child.send_signal(signal.SIGINT)
                break
        said += child.stderr.readlines()
    assert child.returncode == 130
    assert "batch batch_1 (12 requests of model 'api') goes on at the service, and the same" in "".join(said)
    assert "interrupted" in said[-1]
    service.looks_needed = 1
    assert suite("chat").manifest.execution["n_failed"] == 0
    assert set(service.submitted.values()) == {1}


# ── waiting, stopping, coming back ────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("settings", [("execution.batch.wait_s=0",), ("execution.deadline_s=3",)])
def test_a_run_that_stops_waiting_leaves_the_batch_and_the_same_command_takes_it(
    suite: Say, service: Any, api: str, settings: tuple[str, ...]
) -> None:
    service.looks_needed = 10**9
    began = time.monotonic()
    with pytest.raises(
        StopRun, match=r"batch batch_1 \(12 requests of model 'api'\) goes on at the service, and the same"
    ):
        # The next look would be too late to stop in time.
        suite(api, "execution.batch={poll_s: 100}", *settings)
    assert time.monotonic() - began < 25
    service.looks_needed = 1
    record = suite(api)
    assert set(service.submitted.values()) == {1}
    assert record.manifest.execution["n_failed"] == 0


def test_looks_grow_apart_and_the_longest_pause_holds(
    suite: Say, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    from evalharness.models.retry import Timing
    from evalharness.runner import batch_model

    now = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(batch_model, "Timing", lambda: Timing(clock=lambda: now[0], sleep=sleep))
    service.looks_needed = 12
    suite("chat", "execution.batch={poll_s: 10, longest_poll_s: 60}")
    # The first look finds news (half of it is done), and so the pause begins anew.
    assert slept[:6] == [10, 15, 22.5, 33.75, 50.625, 60]
    assert max(slept) == 60
    assert service.calls["look"] == 12


def test_a_service_that_is_away_for_a_while_does_not_end_the_wait(suite: Say, service: Any) -> None:
    service.faults = {"look": [503, 503, 429, {"id": "batch_1"}, 500, 500, 500], "results": [503, 503, 503]}
    heard = Heard()
    record = suite("chat", "models.api.max_retries=0", progress=heard)
    assert record.manifest.execution["n_failed"] == 0
    assert any("could not be looked at, and is again later: HTTP 503" in line for line in heard.lines)
    assert any("results could not be read, and are again later" in line for line in heard.lines)


def test_a_batch_that_the_service_does_not_know_is_told_with_its_remedy(suite: Say, service: Any) -> None:
    service.looks_needed = 10**9
    with pytest.raises(StopRun):
        suite("chat", "execution.batch.wait_s=0")
    lost, service.batches = service.batches, []
    with pytest.raises(ModelError, match=r"batch batch_1, .*evalharness cache batches --forget batch_1"):
        suite("chat")
    from evalharness.cli.main import main

    assert main(["cache", "batches"]) == 0
    assert main(["cache", "batches", "--forget", "batch_1"]) == 0
    service.looks_needed = 1
    assert suite("chat").manifest.execution["n_failed"] == 0
    assert len(lost) == 1


@BOTH
def test_results_that_are_kept_no_longer_are_asked_anew(suite: Say, service: Any, api: str) -> None:
    service.faults = {"results": [404]}
    record = suite(api)
    assert record.manifest.execution["n_failed"] == 0
    assert set(service.submitted.values()) == {2}


def test_a_refreshed_run_hands_in_anew_and_a_batch_in_flight_is_taken(suite: Say, service: Any) -> None:
    suite("chat")
    suite("chat", cache="refresh")
    assert set(service.submitted.values()) == {2}
    service.looks_needed = 10**9
    with pytest.raises(StopRun):
        suite("chat", "execution.batch.wait_s=0", cache="refresh")
    service.looks_needed = 1
    suite("chat", cache="refresh")
    assert set(service.submitted.values()) == {3}


def test_asking_one_by_one_what_is_in_a_batch_is_told(suite: Say, service: Any) -> None:
    service.looks_needed = 10**9
    with pytest.raises(StopRun):
        suite("chat", "execution.batch.wait_s=0")
    heard = Heard()
    suite("chat", "execution.mode=online", "execution.batch=", progress=heard)
    assert any("12 requests are in batches that were handed in before" in line for line in heard.lines)


@pytest.mark.slow
@BOTH
def test_two_processes_on_one_store_hand_in_once_and_both_take_the_answers(suite: Say, service: Any, api: str) -> None:
    service.looks_needed = 40
    Path("suite.yaml").write_text(SUITE.replace("MODEL", MODELS[api]).replace("URL", service.url), "utf-8")
    environ = {**os.environ, "PYTHONPATH": str(Path(evalharness.__file__).parents[1])}
    command = [sys.executable, "-c", "import evalharness; evalharness.run('suite.yaml')"]
    children = [subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [child.communicate(timeout=100)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], said
    assert set(service.submitted.values()) == {1}
    assert len(list(Path("reports/runs").iterdir())) == 3
    assert open_batches() == []


def test_part_of_a_suite_leaves_the_rest_of_its_batch_to_the_whole(suite: Say, service: Any) -> None:
    service.looks_needed = 10**9
    with pytest.raises(StopRun):
        suite("chat", "execution.batch.wait_s=0")
    service.looks_needed = 1
    assert suite("chat", limit=4).manifest.execution["n_asked"] == 4
    assert len(open_batches()) == 1
    assert suite("chat").manifest.execution["n_asked"] == N - 4
    assert open_batches() == []
    assert len(service.batches) == 1


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────────

PRICE = "models.api.price={input: 1000000, output: 1000000}"  # a dollar a token; half of it in a batch


def test_a_batch_costs_half_and_an_answer_keeps_what_it_cost(suite: Say, service: Any) -> None:
    record = suite("chat", PRICE)
    usage = record.manifest.execution["usage"]
    assert usage["total"]["cost_usd"] == pytest.approx(N * 8 * 0.5)
    assert usage["models"]["api"]["price"]["batch"] == 0.5
    online = suite("chat", PRICE, "execution.mode=online", "execution.batch=")
    assert online.manifest.execution["usage"]["total"]["cost_usd"] == pytest.approx(N * 8 * 0.5)
    assert online.manifest.execution["usage"]["total"]["spent_usd"] == 0


def test_the_share_can_be_given(suite: Say, service: Any) -> None:
    record = suite("chat", PRICE.replace("}", ", batch: 0.25}"))
    assert record.manifest.execution["usage"]["total"]["cost_usd"] == pytest.approx(N * 8 * 0.25)


def test_a_budget_holds_before_anything_is_handed_in(suite: Say, service: Any) -> None:
    from evalharness.core.errors import BudgetError

    settings = ("tasks.ask.generate={max_tokens: 10}", PRICE)
    # Three tokens of prompt and ten of answer, at half a dollar each: 6.5 a request.
    with pytest.raises(BudgetError, match="what was answered is kept"):
        suite("chat", *settings, "execution.budget_usd=20")
    # First as many as fit for certain, then as many as what those left.
    assert service.submitted.total() < N
    spent = 8 * 0.5 * service.submitted.total()
    assert spent <= 20
    with pytest.raises(BudgetError):
        suite("chat", *settings, "execution.max_requests=3")
    assert service.submitted.total() <= N
    suite("chat", *settings, "execution.budget_usd=1000")
    assert set(service.submitted.values()) == {1}


def test_retries_count_as_requests_of_the_budget(suite: Say, service: Any) -> None:
    service.fates = {"question 3": [500]}
    record = suite("chat", f"execution.max_requests={N + 1}")
    assert len(service.batches) == 2
    assert record.manifest.execution["n_failed"] == 1
    assert record.manifest.execution["usage"]["total"]["n_requests"] == N + 1


# ── secrets, and suites that cannot be ────────────────────────────────────────────────────────────────────────────


@BOTH
def test_planted_keys_are_in_nothing_that_is_written(suite: Say, service: Any, planted_key: str, api: str) -> None:
    service.said = lambda text: f"re: {text} {planted_key} {base64.b64encode(planted_key.encode()).decode()}"
    service.fates = {"question 3": [400], "question 4": [500], "question 5": ["nonsense"]}
    heard = Heard()
    record = suite(api, progress=heard)
    service.faults = {"create": [{"id": planted_key}] * 9, "list": [404] * 9}
    with pytest.raises(RunError) as caught:
        suite(api, "models.api.model=other", progress=heard)
    words = [planted_key.encode(), base64.b64encode(planted_key.encode())]
    written = [path.read_bytes() for path in Path().rglob("*") if path.is_file()]
    rows = repr(list(record.iter_samples()))  # its tables are compressed
    said = "\n".join([*heard.lines, str(caught.value), rows]).encode()
    for data in [*written, said]:
        assert not any(word in data for word in words)


def test_no_store_no_batches(suite: Say, service: Any) -> None:
    with pytest.raises(UsageError, match=r"--cache off does not go with execution\.mode: batch"):
        suite("chat", cache="off")
    with pytest.raises(UsageError, match="cache: off does not go with mode: batch"):
        suite("chat", "execution.cache=off")
    assert service.batches == []


# ── what is told before ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_plan_says_how_many_batches_at_which_price_and_that_the_time_is_unknown(
    suite: Say, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from evalharness.cli.main import main

    service.looks_needed = 10**9
    settings = [PRICE, "execution.batch={max_requests: 5}", "tasks.ask.generate={max_tokens: 10}"]
    with pytest.raises(StopRun):
        suite("chat", *settings, "execution.batch.wait_s=0", limit=4)
    command = ["plan", "suite.yaml", *(word for setting in settings for word in ("--set", setting))]
    assert main(command) == 0
    out = capsys.readouterr().out
    # 3 tokens of the prompt, by estimate, and up to 10 of the answer, at half a dollar each.
    assert out.splitlines()[1].split()[-4:] == ["up", "to", "$78.0000", "unknown"]
    assert "mode batch: about 2 batches (2 of api), at the price of batches; how long they take is not known" in out
    assert "4 requests are in batches that were handed in before: those are taken up again" in out
    service.looks_needed = 1
    suite("chat", *settings)
    assert set(service.submitted.values()) == {1}
    assert main(command) == 0
    assert "batch" not in capsys.readouterr().out


def test_likelihoods_of_lm_eval_are_refused_once_its_tasks_are_known(suite: Say) -> None:
    from types import SimpleNamespace

    from evalharness.runner.batch_run import refuse_likelihoods
    from evalharness.suite.load import load_suite

    suite("chat")
    loaded = load_suite("suite.yaml").suite
    planned = [
        SimpleNamespace(task=SimpleNamespace(id="mmlu"), model="api", kind=kind)
        for kind in ("generate", "loglikelihood")
    ]
    refuse_likelihoods(loaded, planned[:1])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"task 'mmlu': .* scores likelihoods on the model 'api'"):
        refuse_likelihoods(loaded, planned)  # type: ignore[arg-type]
