"""What `plan` tells before anything is sent, and that the run keeps to it."""

import json
from pathlib import Path

import pytest

import evalharness
from evalharness.core.types import Message, Request, Sampling
from evalharness.runner.estimate import Tokens, estimate, estimated_usd, most_output_tokens
from evalharness.runner.forecast import forecast
from evalharness.suite.load import load_suite
from evalharness.suite.schema import Price

SUITE = """\
version: 1
name: demo
models:
  paid: {backend: fake, reply: "a b c", price: {input: 100000, output: 200000}}
  free: {backend: fake}
datasets:
  d: {path: d.jsonl}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}", generate: {max_tokens: 10}}
  - {id: again, dataset: d, prompt: "{{ q }}", generate: {max_tokens: 10}, model: paid}
  - {id: pick, dataset: d, prompt: "{{ q }}", choices: [aaaa, bbbb], model: free}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "suite.yaml").write_text(SUITE, "utf-8")
    # 40 bytes and 8 words: 10 tokens by the estimate, 8 as the fake model counts.
    rows = [{"id": str(i), "q": f"{i:04} aaaa bbbb cccc dddd eeee ffff ggggg"} for i in range(10)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_place(found):
    return {(work.task, work.model): work for work in found.work}


def test_before_the_first_run_it_knows_the_most_and_nothing_is_written(folder):
    found = forecast("suite.yaml")
    work = by_place(found)
    ask = work["ask", "paid"]
    assert (ask.n_requests, ask.n_in_store, ask.n_to_ask) == (10, 0, 10)
    assert (ask.input_tokens, ask.most_output_tokens, ask.likely_output_tokens) == (100, 100, None)
    assert ask.most_usd == pytest.approx(100 * 0.1 + 100 * 0.2)
    assert (ask.likely_usd, ask.seconds) == (None, None)
    assert work["ask", "free"].cost == "none"
    assert work["ask", "free"].most_usd is None
    assert sorted(p.name for p in folder.iterdir()) == ["d.jsonl", "suite.yaml"]


def test_what_two_tasks_ask_alike_is_asked_once(folder):
    again = by_place(forecast("suite.yaml"))["again", "paid"]
    assert (again.n_requests, again.n_to_ask, again.most_usd) == (10, 0, 0.0)


def test_a_likelihood_reads_the_prompt_with_each_choice(folder):
    pick = by_place(forecast("suite.yaml"))["pick", "free"]
    # " aaaa" is five bytes: two tokens.
    assert (pick.input_tokens, pick.most_output_tokens) == (10 * 2 * 12, 0)


def test_stored_answers_make_it_likely(folder):
    evalharness.run("suite.yaml", limit=4)
    found = forecast("suite.yaml")
    ask = by_place(found)["ask", "paid"]
    assert (ask.n_in_store, ask.n_to_ask) == (4, 6)
    assert ask.input_tokens == 6 * 8
    assert (ask.likely_output_tokens, ask.most_output_tokens) == (18, 60)
    assert ask.likely_usd == pytest.approx(48 * 0.1 + 18 * 0.2)
    assert ask.most_usd == pytest.approx(48 * 0.1 + 60 * 0.2)
    record = evalharness.run("suite.yaml")
    usage = record.manifest.execution["usage"]["models"]["paid"]
    assert found.total.n_to_ask == record.manifest.execution["n_asked"]
    assert usage["spent_usd"] == pytest.approx(ask.likely_usd)
    assert by_place(forecast("suite.yaml"))["ask", "paid"].n_to_ask == 0
    assert by_place(forecast("suite.yaml", cache="refresh"))["ask", "paid"].n_to_ask == 10


def test_times_follow_from_stored_answers_and_the_requests_in_flight(folder):
    from evalharness.runner import forecast as module

    work, seen = module.Work("t", "m", "none", n_to_ask=40), module._Seen(n_timed=2, latency_s=1.0)
    module._guess(work, seen, None, 4)
    assert work.seconds == pytest.approx(40 * 0.5 / 4)
    suite = load_suite("suite.yaml").suite
    assert module._concurrency(suite, "free") is None


def test_it_warns_of_budgets_that_may_not_do(folder):
    settings = ["execution.max_requests=5", "execution.max_tokens=7", "execution.budget_usd=0.5"]
    found = forecast("suite.yaml", overrides=settings)
    assert [text.partition("execution.")[2].partition(" ")[0] for text in found.warnings] == [
        "max_requests",
        "max_tokens",
        "budget_usd",
    ]
    assert forecast("suite.yaml").warnings == ()


def test_totals_are_unknown_where_a_part_is(folder):
    text = SUITE.replace("free: {backend: fake}", "free: {backend: fake}\n  api: {backend: openai, model: no-such}")
    Path("suite.yaml").write_text(text.replace("max_tokens: 10}}", "max_tokens: 10}, model: [paid, api]}"), "utf-8")
    total = forecast("suite.yaml").total
    assert (total.cost, total.most_usd) == ("unknown", None)
    assert total.n_requests == 40


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"prompt": ""}, Tokens(0, 5)),
        ({"prompt": "12345"}, Tokens(2, 5)),
        ({"prompt": "北京是中国"}, Tokens(4, 5)),
        ({"prompt": (Message("user", "1234"), Message("assistant", "1234"))}, Tokens(10, 5)),
        ({"prompt": "1234", "kind": "classify"}, Tokens(1, 0)),
        ({"prompt": "1234", "kind": "loglikelihood", "continuations": ("1", "12345")}, Tokens(5, 0)),
    ],
)
def test_estimates(asked, expected):
    request = Request(**{"key": "k", "model": "m", "kind": "generate", "sample_id": "s", **asked})
    assert (
        estimate(Request(**{f: getattr(request, f) for f in request.__slots__} | {"sampling": Sampling(5)})) == expected
    )
    assert estimated_usd(expected, Price(input=1, output=2)) == pytest.approx(
        (expected.input + 2 * expected.output) / 1e6
    )


def test_the_body_of_a_model_may_say_another_most(folder):
    text = SUITE.replace(
        "free: {backend: fake}",
        "free: {backend: fake}\n"
        "  api: {backend: openai, model: o1, extra_body: {max_tokens: null, max_completion_tokens: 512}}",
    )
    Path("suite.yaml").write_text(text, "utf-8")
    assert most_output_tokens(load_suite("suite.yaml").suite) == {"api": 512}
