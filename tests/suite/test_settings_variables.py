"""`--set`, `${vars.NAME}` and `${env:NAME}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evalharness.core.errors import Problem
from evalharness.suite.load import LoadedSuite

Load = Callable[..., LoadedSuite]
Problems = Callable[..., tuple[Problem, ...]]

SUITE = """\
version: 1
name: s
vars: {split: test, n: 3, rate: 0.5, flag: true, stop: ["a", "b"], nested: "${vars.split}-x", where: {file: p.j2}}
models:
  m: {backend: fake}
  api: {backend: openai, model: x, base_url: "${env:HOST}/v1", api_key: "${env:KEY}", headers: {X-Team: "t ${env:KEY}"}}
datasets:
  d: {rows: [{q: one}]}
tasks:
  - {id: t, dataset: d, model: m, prompt: "{{ q }} of ${vars.split} ${vars.n} ${vars.flag}"}
"""


@pytest.mark.parametrize(
    ("setting", "read", "expected"),
    [
        ("name=other", lambda s: s.name, "other"),
        ("seed=7", lambda s: s.seed, 7),
        ("tasks.t.limit=5", lambda s: s.tasks[0].limit, 5),
        ("tasks.0.limit=5", lambda s: s.tasks[0].limit, 5),
        ("tasks.t.metrics=[error_rate]", lambda s: s.tasks[0].metrics, ("error_rate",)),
        ("tasks.t.generate.temperature=0.7", lambda s: s.tasks[0].generate.temperature, 0.7),
        ("tasks.t.generate={max_tokens: 3}", lambda s: s.tasks[0].generate.max_tokens, 3),
        ("models.m.reply=a=b", lambda s: s.models["m"].reply, "a=b"),
        ("models.m.reply=\"x: '{{ prompt }}'\"", lambda s: s.models["m"].reply, "x: '{{ prompt }}'"),
        ("models.new={backend: fake}", lambda s: s.models["new"].backend, "fake"),
        ("execution.cache=off", lambda s: s.execution.cache, "off"),
        ("execution.cache='off'", lambda s: s.execution.cache, "off"),
        ("tasks.t.prompt=no", lambda s: s.tasks[0].prompt, "no"),
        ("description=2024-01-01", lambda s: s.description, "2024-01-01"),
        ("datasets.d.rows.0.q=two", lambda s: s.datasets["d"].rows[0]["q"], "two"),
        ("vars.split=validation", lambda s: s.tasks[0].prompt, "{{ q }} of validation 3 true"),
        ("matrix.m.generate.temperature=[0.0, 1.0]", lambda s: len(s.models), 3),
    ],
)
def test_set(setting: str, read: Callable[[Any], Any], expected: Any, load_text: Load) -> None:
    loaded = load_text(SUITE, overrides=[setting])
    assert read(loaded.suite) == expected


def test_settings_apply_in_order(load_text: Load) -> None:
    assert load_text(SUITE, overrides=["seed=1", "seed=2"]).suite.seed == 2


@pytest.mark.parametrize("value", ["null", "~", ""])
def test_null_takes_a_key_away(value: str, load_text: Load) -> None:
    assert load_text(SUITE.replace("name: s", "name: s\nseed: 3"), overrides=[f"seed={value}"]).suite.seed == 0


@pytest.mark.parametrize(
    ("setting", "file", "says"),
    [
        ("seed", "--set seed", "key.path=value"),
        ("=5", "--set =5", "key.path=value"),
        ("tasks.tt.limit=5", "--set tasks.tt.limit", "did you mean 't'"),
        ("tasks.9.limit=5", "--set tasks.9.limit", "it has: t"),
        ("datasets.d.rows.4.q=x", "--set datasets.d.rows.4.q", "its items are 0 to 0"),
        ("name.x=5", "--set name.x", "is a text"),
        ("a..b=5", "--set a..b", "part of the path is empty"),
        ("seed=[1", "--set seed", "not YAML"),
        ("seed=x", "--set seed", "whole number"),
        ("extends=b.yaml", "--set extends", "cannot be set"),
        ("models.m.replay=x", "--set models.m.replay", "did you mean 'reply'"),
        ("seed={{ x }}", "--set seed", "in quotes"),
    ],
)
def test_a_wrong_setting_is_its_own_place(setting: str, file: str, says: str, problems_of: Problems) -> None:
    found = problems_of(SUITE, overrides=[setting])
    assert any(problem.place.file == file and says in problem.message for problem in found), found


def test_a_secret_in_a_setting_is_not_printed(problems_of: Problems) -> None:
    for setting in (
        "models.api.api_key=sk-very-secret",
        "models.api.api_key=[sk-very-secret",
        "models.api.headers={A: [sk-very-secret]}",
    ):
        assert "very-secret" not in " ".join(map(str, problems_of(SUITE, overrides=[setting])))


def test_variables_keep_their_type_alone_and_are_written_within_text(load_text: Load) -> None:
    typed = 'limit: "${vars.n}", chat: "${vars.flag}", generate: {stop: "${vars.stop}", temperature: "${vars.rate}"}'
    text = SUITE.replace('prompt: "{{ q }}', typed + ', prompt: "${vars.nested} {{ q }}')
    task: Any = load_text(text).suite.tasks[0]
    assert (task.limit, task.chat, task.generate.stop, task.generate.temperature) == (3, True, ("a", "b"), 0.5)
    assert task.prompt == "test-x {{ q }} of test 3 true"


def test_a_doubled_dollar_stands_for_the_text_itself(load_text: Load) -> None:
    text = SUITE.replace('"{{ q }} of', '"$${vars.split} $${env:KEY} ${x} $${x} $y$ of').replace(
        "${env:HOST}", "http://h"
    )
    task: Any = load_text(text).suite.tasks[0]
    assert task.prompt == "${vars.split} ${env:KEY} ${x} $${x} $y$ of test 3 true"


def test_secrets_stay_placeholders(load_text: Load) -> None:
    suite = load_text(SUITE).suite
    model: Any = suite.models["api"]
    assert model.api_key == "${env:KEY}"
    assert model.headers == {"X-Team": "t ${env:KEY}"}
    assert "a secret" not in suite.model_dump_json()


def test_an_unset_variable_is_reported_where_it_is_asked_for(problems_of: Problems) -> None:
    (problem,) = problems_of(SUITE.replace("env:HOST", "env:GUEST"))
    assert problem.path == "models.api.base_url"
    assert problem.place.line == 6
    assert "GUEST is not set" in problem.message


def test_dummy_keys_of_local_servers_are_allowed(load_text: Load) -> None:
    text = SUITE.replace('"${env:KEY}", headers', "EMPTY, headers")
    model: Any = load_text(text).suite.models["api"]
    assert model.api_key == "EMPTY"
