"""A suite that is asked in batches, from its file to its record, against a service of both interfaces."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import ModelError, RunError, UsageError
from evalharness.runner.stopping import StopRun

BOTH = pytest.mark.parametrize("api", ["chat", "anthropic"])
N = 12
APIS = ("chat", "completions", "responses", "anthropic")


# ── equal to online ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("api", APIS)
def test_a_batch_gives_what_asking_one_by_one_gives_and_shares_its_store(batched: Any, service: Any, api: str) -> None:
    online = batched(api, "execution.mode=online", "execution.batch=", reports="online")
    assert sum(service.asked_online.values()) == N
    heard = batched.heard()
    record = batched(api, progress=heard)
    assert sum(service.asked_online.values()) == N
    assert len(service.batches) == 1
    assert batched.rows_of(record) == batched.rows_of(online)
    assert {meta["batch_id"] for meta in batched.metas_of(record).values()} == {"batch_1"}
    assert not any("batch_id" in meta for meta in batched.metas_of(online).values())
    execution = record.manifest.execution
    assert (execution["n_asked"], execution["n_failed"], execution["n_retries"]) == (N, 0, 0)
    (entry,) = execution["work"]["api"]["batches"]
    assert (entry["id"], entry["n_requests"], entry["n_answered"], entry["n_failed"]) == ("batch_1", N, N, 0)
    assert "batch batch_1: 6 of 12 done" in heard.lines
    assert "batch batch_1: 12 of 12 done" in heard.lines
    assert batched.open_batches() == []
    # The same answers, whichever way they came.
    for mode in (("execution.mode=online", "execution.batch="), ()):
        assert batched(api, *mode).manifest.execution["n_asked"] == 0
    assert len(service.batches) == 1


@BOTH
def test_batches_are_cut_to_size(batched: Any, service: Any, api: str) -> None:
    record = batched(api, "execution.batch.max_requests=5")
    assert sorted(len(batch["entries"]) for batch in service.batches) == [2, 5, 5]
    assert set(service.submitted.values()) == {1}
    assert all(status == "ok" for status, *_ in batched.rows_of(record).values())


@BOTH
def test_batches_are_cut_to_bytes(batched: Any, service: Any, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.models.anthropic_batches import AnthropicBatches
    from evalharness.models.openai_batches import OpenAIBatches

    for kind in (OpenAIBatches, AnthropicBatches):
        monkeypatch.setattr(kind, "most_bytes", 1_500)
    rows = [{"id": f"s{i:02}", "q": f"question {i}" + "!" * (5_000 if i == 3 else 0)} for i in range(N)]
    Path("lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    record = batched(api)
    assert len(service.batches) > 2
    assert all(len(file) <= 1_500 for name, file in service.files.items() if "output" not in name)
    failed = [row.response for row in record.iter_samples() if row.response.status == "error"]
    assert len(failed) == 1
    assert "larger than a batch may be" in str(failed[0].error)
    assert sum(service.submitted.values()) == N - 1


def test_models_that_run_here_are_asked_while_batches_are_worked_on(batched: Any, service: Any) -> None:
    settings = ("models.other={backend: fake}", "tasks.ask.model=[api, other]")
    record = batched("chat", *settings)
    models = {entry.model for entry in record.manifest.tasks}
    assert models == {"api", "other"}
    assert record.manifest.execution["work"].keys() == {"api"}


def test_two_models_are_handed_in_before_either_is_waited_for(batched: Any, service: Any) -> None:
    second = (
        'models.second={backend: openai, model: y, base_url: "' + service.url + '/v1", api_key: "${env:SERVICE_KEY}"}'
    )
    heard = batched.heard()
    batched("chat", second, progress=heard)
    said = [line for line in heard.lines if line.startswith("batch")]
    assert [line.split(":")[1].split(",")[0] for line in said[:2]] == [" handed in", " handed in"]
    assert set(service.submitted.values()) == {1}


# ── what befalls requests ─────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("fate", [500, 429, "expired", "missing"])
def test_what_may_pass_goes_into_the_next_batch(batched: Any, service: Any, api: str, fate: Any) -> None:
    service.fates = {"question 3": [fate, fate, "ok"], "question 7": [fate, "ok"]}
    record = batched(api)
    assert [len(batch["entries"]) for batch in reversed(service.batches)] == [N, 2, 1]
    assert all(status == "ok" for status, *_ in batched.rows_of(record).values())
    assert record.manifest.execution["n_retries"] == 3
    assert batched.metas_of(record)["s07"]["batch_id"] == "batch_2"


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
    batched: Any, service: Any, api: str, fate: Any, says: str, n_batches: int
) -> None:
    service.fates = {"question 3": [fate]}
    record = batched(api)
    rows = {row.sample.id: row.response for row in record.iter_samples()}
    assert [r.status for r in rows.values()].count("error") == 1
    assert says in str(rows["s03"].error)
    assert str(rows["s03"].error).startswith(f"batch batch_{n_batches}: ")
    assert rows["s03"].n_retries == n_batches - 1
    assert len(service.batches) == n_batches
    # It is asked anew, and alone, by the next run.
    service.fates = {}
    assert batched(api).manifest.execution["n_asked"] == 1
    assert len(service.batches) == n_batches + 1


def test_what_was_cancelled_is_not_handed_in_again_by_itself(batched: Any, service: Any) -> None:
    service.fates = {"question 3": ["cancelled"]}
    assert batched("anthropic").manifest.execution["n_failed"] == 1
    assert len(service.batches) == 1
    service.fates, service.end_as = {"question 4": ["missing"]}, ["cancelled"]
    assert batched("chat").manifest.execution["n_failed"] == 1
    assert len(service.batches) == 2


def test_what_an_expired_batch_has_is_kept(batched: Any, service: Any) -> None:
    service.end_as = ["expired"]
    service.fates = {f"question {i}": ["expired", "ok"] for i in range(5)}
    record = batched("chat")
    assert [len(batch["entries"]) for batch in reversed(service.batches)] == [N, 5]
    assert record.manifest.execution["n_failed"] == 0


def test_a_batch_that_is_refused_as_a_whole_says_why(batched: Any, service: Any) -> None:
    service.end_as = ["failed"]
    rows = [row.response for row in batched("chat").iter_samples()]
    assert {row.status for row in rows} == {"error"}
    assert "the service refused the batch: bad: no (line 1)" in str(rows[0].error)
    assert len(service.batches) == 1


def test_a_file_that_is_being_read_is_waited_for(batched: Any, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.models import openai_batches

    monkeypatch.setattr(openai_batches, "_READ_S", 0.0)
    service.pending = ["pending", "running", "processed"]
    assert batched("chat").manifest.execution["n_failed"] == 0
    assert service.pending == []


def test_a_batch_refused_for_tokens_that_wait_is_handed_in_again(batched: Any, service: Any) -> None:
    service.end_as = ["failed", "failed"]
    service.errors = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]}
    assert batched("chat").manifest.execution["n_failed"] == 0
    assert len(service.batches) == 3


def test_results_that_are_archived_are_asked_anew(batched: Any, service: Any) -> None:
    service.archived = ["batch_1"]
    assert batched("anthropic").manifest.execution["n_failed"] == 0
    assert len(service.batches) == 2


@BOTH
def test_a_service_that_does_not_take_the_batch_fails_its_requests(batched: Any, service: Any, api: str) -> None:
    service.faults = {"create": [400]}
    rows = [row.response for row in batched(api).iter_samples()]
    assert "the service did not take the batch: HTTP 400" in str(rows[0].error)
    assert batched(api).manifest.execution["n_failed"] == 0
    assert set(service.submitted.values()) == {1}


@BOTH
def test_a_server_without_batches_ends_the_run_and_says_the_remedy(batched: Any, service: Any, api: str) -> None:
    service.faults = {"upload": [404], "create": [404]}
    with pytest.raises(ModelError, match=r"model 'api' cannot be asked in batches: HTTP 404 .* execution.mode: online"):
        batched(api)
    service.faults = {}
    assert batched(api).manifest.execution["n_failed"] == 0


def test_a_json_reply_without_an_id_is_not_believed(batched: Any, service: Any) -> None:
    for answer in ({"choices": []}, {"id": "../../evil"}, [1], "x"):
        service.faults = {"upload": [answer]}
        with pytest.raises(ModelError, match="batch interface"):
            batched("chat")
    assert service.batches == []


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────────

PRICE = "models.api.price={input: 1000000, output: 1000000}"  # a dollar a token; half of it in a batch


def test_a_batch_costs_half_and_an_answer_keeps_what_it_cost(batched: Any, service: Any) -> None:
    record = batched("chat", PRICE)
    usage = record.manifest.execution["usage"]
    assert usage["total"]["cost_usd"] == pytest.approx(N * 8 * 0.5)
    assert usage["models"]["api"]["price"]["batch"] == 0.5
    online = batched("chat", PRICE, "execution.mode=online", "execution.batch=")
    assert online.manifest.execution["usage"]["total"]["cost_usd"] == pytest.approx(N * 8 * 0.5)
    assert online.manifest.execution["usage"]["total"]["spent_usd"] == 0


def test_the_share_can_be_given(batched: Any, service: Any) -> None:
    record = batched("chat", PRICE.replace("}", ", batch: 0.25}"))
    assert record.manifest.execution["usage"]["total"]["cost_usd"] == pytest.approx(N * 8 * 0.25)


def test_a_budget_holds_before_anything_is_handed_in(batched: Any, service: Any) -> None:
    from evalharness.core.errors import BudgetError

    settings = ("tasks.ask.generate={max_tokens: 10}", PRICE)
    # Three tokens of prompt and ten of answer, at half a dollar each: 6.5 a request.
    with pytest.raises(BudgetError, match="what was answered is kept"):
        batched("chat", *settings, "execution.budget_usd=20")
    # First as many as fit for certain, then as many as what those left.
    assert service.submitted.total() < N
    spent = 8 * 0.5 * service.submitted.total()
    assert spent <= 20
    with pytest.raises(BudgetError):
        batched("chat", *settings, "execution.max_requests=3")
    assert service.submitted.total() <= N
    batched("chat", *settings, "execution.budget_usd=1000")
    assert set(service.submitted.values()) == {1}


def test_retries_count_as_requests_of_the_budget(batched: Any, service: Any) -> None:
    service.fates = {"question 3": [500]}
    record = batched("chat", f"execution.max_requests={N + 1}")
    assert len(service.batches) == 2
    assert record.manifest.execution["n_failed"] == 1
    assert record.manifest.execution["usage"]["total"]["n_requests"] == N + 1


# ── secrets, and suites that cannot be ────────────────────────────────────────────────────────────────────────────


@BOTH
def test_planted_keys_are_in_nothing_that_is_written(batched: Any, service: Any, planted_key: str, api: str) -> None:
    service.said = lambda text: f"re: {text} {planted_key} {base64.b64encode(planted_key.encode()).decode()}"
    service.fates = {"question 3": [400], "question 4": [500], "question 5": ["nonsense"]}
    heard = batched.heard()
    record = batched(api, progress=heard)
    service.faults = {"create": [{"id": planted_key}] * 9, "list": [404] * 9}
    with pytest.raises(RunError) as caught:
        batched(api, "models.api.model=other", progress=heard)
    words = [planted_key.encode(), base64.b64encode(planted_key.encode())]
    written = [path.read_bytes() for path in Path().rglob("*") if path.is_file()]
    rows = repr(list(record.iter_samples()))  # its tables are compressed
    said = "\n".join([*heard.lines, str(caught.value), rows]).encode()
    for data in [*written, said]:
        assert not any(word in data for word in words)


def test_no_store_no_batches(batched: Any, service: Any) -> None:
    with pytest.raises(UsageError, match=r"--cache off does not go with execution\.mode: batch"):
        batched("chat", cache="off")
    with pytest.raises(UsageError, match="cache: off does not go with mode: batch"):
        batched("chat", "execution.cache=off")
    assert service.batches == []


# ── what is told before ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_plan_says_how_many_batches_at_which_price_and_that_the_time_is_unknown(
    batched: Any, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from evalharness.cli.main import main

    service.looks_needed = 10**9
    settings = [PRICE, "execution.batch={max_requests: 5}", "tasks.ask.generate={max_tokens: 10}"]
    with pytest.raises(StopRun):
        batched("chat", *settings, "execution.batch.wait_s=0", limit=4)
    command = ["plan", "suite.yaml", *(word for setting in settings for word in ("--set", setting))]
    assert main(command) == 0
    out = capsys.readouterr().out
    # 3 tokens of the prompt, by estimate, and up to 10 of the answer, at half a dollar each.
    assert out.splitlines()[1].split()[-4:] == ["up", "to", "$78.0000", "unknown"]
    assert "mode batch: about 2 batches (2 of api), at the price of batches; how long they take is not known" in out
    assert "4 requests are in batches that were handed in before: those are taken up again" in out
    service.looks_needed = 1
    batched("chat", *settings)
    assert set(service.submitted.values()) == {1}
    assert main(command) == 0
    assert "batch" not in capsys.readouterr().out


def test_likelihoods_of_lm_eval_are_refused_once_its_tasks_are_known(batched: Any) -> None:
    from types import SimpleNamespace

    from evalharness.runner.batch_run import refuse_likelihoods
    from evalharness.suite.load import load_suite

    batched("chat")
    loaded = load_suite("suite.yaml").suite
    planned = [
        SimpleNamespace(task=SimpleNamespace(id="mmlu"), model="api", kind=kind)
        for kind in ("generate", "loglikelihood")
    ]
    refuse_likelihoods(loaded, planned[:1])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"task 'mmlu': .* scores likelihoods on the model 'api'"):
        refuse_likelihoods(loaded, planned)  # type: ignore[arg-type]
