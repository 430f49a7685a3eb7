"""Bodies, queries and answers of any endpoint, over a fake transport."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Sampling

ENTRY = {"backend": "http", "url": "http://host.example/ask"}
CHAT = [("system", "Be brief."), ("user", "Hi?")]
TURNS = [{"role": role, "content": content} for role, content in CHAT]


def _sent(kit: Any, request: Any = None, *, environ: Any = None, **entry: Any) -> Any:
    transport = kit.FakeTransport([kit.reply({"text": "hello"})])
    found = kit.answer(kit.api_model({**ENTRY, **entry}, transport, environ=environ or {}), request)
    assert found.status == "ok", found.error
    return transport.body() if entry.get("method") != "GET" else transport.sent[0].url


def test_by_default_the_prompt_is_posted_and_the_text_read(kit: Any) -> None:
    transport = kit.FakeTransport([kit.reply({"text": "hello"})])
    found = kit.answer(kit.api_model(ENTRY, transport), kit.request(prompt='say "hi"\n'))
    assert transport.body() == {"prompt": 'say "hi"\n'}
    assert transport.sent[0].method == "POST"
    assert transport.sent[0].headers["Content-Type"] == "application/json"
    assert (found.text, found.input_tokens, found.output_tokens, found.n_retries) == ("hello", None, None, 0)


def test_strings_at_any_depth_are_templates_and_keep_the_type_of_a_lone_expression(kit: Any) -> None:
    body = {
        "turns": "{{ messages }}",
        "config": {"n": "{{ sampling.max_tokens }}", "seed": "{{ sampling.seed }}", "k": 3, "no": None, "on": True},
        "list": ["id {{ sample_id }}/{{ repeat }}", "{{ sampling.stop }}"],
    }
    request = kit.request("k", CHAT, sample_id="s1", repeat=2, sampling=Sampling(max_tokens=9, stop=("a",)))
    assert _sent(kit, request, body=body) == {
        "turns": TURNS,
        "config": {"n": 9, "seed": None, "k": 3, "no": None, "on": True},
        "list": ["id s1/2", ["a"]],
    }


def test_a_body_may_be_a_lone_template_or_nothing(kit: Any) -> None:
    assert _sent(kit, kit.request("k", CHAT), body="{{ messages }}") == TURNS
    transport = kit.FakeTransport([kit.reply({"text": "x"})])
    kit.answer(kit.api_model({**ENTRY, "method": "PUT", "body": None}, transport))
    assert (transport.sent[0].method, transport.sent[0].body) == ("PUT", None)


def test_turns_as_text(kit: Any) -> None:
    assert _sent(kit, kit.request("k", CHAT)) == {"prompt": "system: Be brief.\n\nuser: Hi?"}
    assert _sent(kit, kit.request("k", [("user", "Hi?")])) == {"prompt": "Hi?"}


def test_what_the_data_says_is_no_template_and_no_placeholder(kit: Any) -> None:
    prompt = "{{ 7 * 7 }} ${env:HOME} {% raw %}"
    assert _sent(kit, kit.request(prompt=prompt), environ={"HOME": "/planted"}) == {"prompt": prompt}


def test_secrets_are_put_in_as_they_are(kit: Any) -> None:
    environ = {"K": "{{ 7 * 7 }}${env:L}", "L": "planted"}
    body = {"key": "${env:K}", "mixed": "{{ prompt }}-${env:K}"}
    assert _sent(kit, kit.request(prompt="p"), environ=environ, body=body) == {
        "key": environ["K"],
        "mixed": f"p-{environ['K']}",
    }


def test_get_puts_the_fields_into_the_query(kit: Any) -> None:
    body = {"q": "{{ prompt }}", "n": "{{ sampling.max_tokens }}", "none": None, "stop": ["a"]}
    url = _sent(kit, kit.request(prompt="a&b =ü+"), method="GET", url="http://h/ask?v=1#top", body=body)
    assert url == "http://h/ask?v=1&q=a%26b+%3D%C3%BC%2B&n=256&stop=%5B%22a%22%5D"


@pytest.mark.parametrize(
    ("path", "content", "text"),
    [
        ("text", {"text": "a"}, "a"),
        ("answer", {"answer": ""}, ""),
        ("choices.0.text", {"choices": [{"text": "b"}]}, "b"),
        ("$.data[0].text", {"data": [{"text": "c"}]}, "c"),
        ("$.data[-1]['a.b']", {"data": [1, {"a.b": "d"}]}, "d"),
        ("[1]", ["x", "e"], "e"),
        ("n", {"n": 3}, "3"),
        ("n", {"n": 0.5}, "0.5"),
        ("ok", {"ok": False}, "false"),
        ("o", {"o": {"ü": [1, None]}}, '{"ü": [1, null]}'),
        (".", {"a": 1}, '{"a": 1}'),
        ("$", "just text in JSON", "just text in JSON"),
    ],
)
def test_where_the_answer_stands(kit: Any, path: str, content: Any, text: str) -> None:
    import json

    reply = kit.reply(json.dumps(content), content_type="application/json")
    found = kit.answer(kit.api_model({**ENTRY, "response": path}, kit.FakeTransport([reply])))
    assert (found.status, found.text) == ("ok", text)


def test_plain_text_is_the_whole_reply_in_its_own_encoding(kit: Any) -> None:
    for body, kind in (("grün\n", "text/plain"), ("grün\n".encode("latin-1"), "text/html; charset=ISO-8859-1")):
        transport = kit.FakeTransport([kit.reply(body, content_type=kind)])
        assert kit.answer(kit.api_model({**ENTRY, "response": "."}, transport)).text == "grün\n"


@pytest.mark.parametrize(
    ("path", "content", "probabilities"),
    [
        ("scores", {"scores": {"pos": 0.25, "neg": 0.75}}, {"pos": 0.25, "neg": 0.75}),
        (".", [[{"label": "neg", "score": 0.75}, {"label": "pos", "score": 0.25}]], {"neg": 0.75, "pos": 0.25}),
        ("label", {"label": " neg "}, {}),
    ],
)
def test_labels_and_their_scores(kit: Any, path: str, content: Any, probabilities: dict[str, float]) -> None:
    import json

    model = kit.api_model(
        {**ENTRY, "kind": "classify", "response": path, "keep": {}},
        kit.FakeTransport([kit.reply(json.dumps(content), content_type="application/json")]),
    )
    assert model.capabilities == {"classify"}
    assert model.identity()["kind"] == "classify"
    found = kit.answer(model, kit.request(kind="classify"))
    assert (found.status, found.answer, dict(found.label_probabilities or {})) == ("ok", "neg", probabilities)
    assert "kind" not in kit.api_model(ENTRY, kit.FakeTransport([])).identity()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"label": "a", "score": 0.5}, {"label": "a", "score": 0.5}], "no label twice"),
        ([{"name": "a"}], "must have a label and a score"),
        ({"a": 7}, "7"),
        ({"a": "x"}, "x"),
        ([], "expected a label, or a mapping of label to probability"),
        (None, "expected a label"),
    ],
)
def test_what_are_no_labels_is_an_error(kit: Any, content: Any, said: str) -> None:
    import json

    reply = kit.reply(json.dumps({"at": content}), content_type="application/json")
    model = kit.api_model({**ENTRY, "kind": "classify", "response": "at"}, kit.FakeTransport([reply]))
    found = kit.answer(model, kit.request(kind="classify"))
    assert found.status == "error"
    assert said in found.error


@pytest.mark.parametrize(
    ("path", "reply_body", "said"),
    [
        ("text", "Hello, I am text.", "(HTTP 200, text/html) is not JSON: Hello, I am text."),
        ("text", "", "is not JSON: it is empty"),
        ("text", '{"answer": "x"}', "the reply has no 'text'; it has: answer"),
        ("anwser", '{"answer": "x"}', "the reply has no 'anwser'; did you mean 'answer'?"),
        ("a.0", '{"a": []}', "a is a list of 0, and has no element 0"),
        ("a.b", '{"a": []}', "a is a list, so 'b' must be a number"),
        ("a.b.c", '{"a": {"b": 3}}', "a.b is int 3, and has no 'c'"),
        ("a", '{"a": null}', "the answer at 'a' is null"),
    ],
)
def test_no_answer_is_an_error_that_says_what_is_there(kit: Any, path: str, reply_body: str, said: str) -> None:
    found = kit.answer(kit.api_model({**ENTRY, "response": path}, kit.FakeTransport([kit.reply(reply_body)])))
    assert (found.status, found.text) == ("error", None)
    assert said in found.error


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"body": {"q": "{{ promt }}"}},
            "models.m.body.q: the template '{{ promt }}' uses 'promt', which is not known",
        ),
        ({"body": {"q": ["{{ prompt"]}}, "models.m.body.q[0]: not a template"),
        ({"body": ["x"], "method": "GET"}, "models.m.body: with GET"),
        ({"response": "a..b"}, "models.m.response: 'a..b' is no path"),
        ({"response": "a[b]"}, "'a[b]' is no path"),
        ({"url": "host/ask"}, "models.m.url: 'host/ask' is not an address"),
        ({"headers": {"X-Token": "planted"}}, "models.m.headers.X-Token: a secret must not be written"),
    ],
)
def test_wrong_settings_are_refused_when_the_model_is_made(kit: Any, entry: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        kit.api_model({**ENTRY, **entry})
    assert said in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_template_that_fails_fails_its_request_alone(kit: Any) -> None:
    transport = kit.FakeTransport([kit.reply({"text": "x"})])
    model = kit.api_model({**ENTRY, "body": {"q": "{{ messages[1].content }}"}}, transport)
    found = kit.answers(model, [kit.request("one", "text"), kit.request("two", CHAT)])
    assert (found["one"].status, found["two"].status) == ("error", "ok")
    assert "messages[1].content" in found["one"].error


def test_identity(kit: Any) -> None:
    entry = {**ENTRY, "version": "2026-03", "body": {"q": "{{ prompt }}", "k": "${env:K}"}}
    identity = kit.api_model(entry, environ={"K": "planted-key"}).identity()
    assert identity["version"] == "2026-03"
    assert identity["body"] == entry["body"]
    assert identity["by_sample_id"] is False
    assert "planted" not in str(identity)
    keyed = kit.api_model({**ENTRY, "body": {"id": "{{ sample_id }}"}}).identity()
    assert keyed["by_sample_id"] is True


def test_parts_of_the_reply_are_kept_for_metrics(kit: Any) -> None:
    entry = {**ENTRY, "keep": {"docs": "found.docs", "first": "found.docs[0].id", "none": "no.such.thing"}}
    reply = {"text": "yes", "found": {"docs": [{"id": "d1", "text": "one"}, {"id": "d2"}]}}
    found = kit.answer(kit.api_model(entry, kit.FakeTransport([kit.reply(reply)])))
    assert found.text == "yes"
    assert found.meta == {"docs": [{"id": "d1", "text": "one"}, {"id": "d2"}], "first": "d1"}
    plain, keeping = kit.api_model(ENTRY).identity(), kit.api_model(entry).identity()
    assert "keep" not in plain
    assert keeping["keep"] == entry["keep"], "a stored answer without its parts is another one"
    with pytest.raises(UsageError, match=r"models.m.keep.docs: 'a..b' is no path"):
        kit.api_model({**ENTRY, "keep": {"docs": "a..b"}})


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"keep": {"docs": "x"}, "stream": True}, "keep has no effect with stream: true"),
        ({"keep": {"judged": "x"}}, "keep: the name 'judged' is one of ours; choose another"),
        ({"keep": {"a b": "x"}}, "keep"),
        ({"keep": {"docs": ""}}, "keep.docs"),
    ],
)
def test_what_cannot_be_kept(entry: Any, says: str) -> None:
    from pydantic import ValidationError

    from evalharness.suite.model_entries import HttpModel

    with pytest.raises(ValidationError, match=says):
        HttpModel(**ENTRY, **entry)
