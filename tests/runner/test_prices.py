"""Where prices come from, and what a response costs at them."""

from pathlib import Path

import pytest

from evalharness.core.errors import SuiteError
from evalharness.core.types import Response
from evalharness.runner.prices import cost_of, price_problems, tariff_of
from evalharness.suite.load import load_suite
from evalharness.suite.schema import Price

SUITE = """\
version: 1
name: demo
models:
  known: {backend: openai, model: gpt-4o-mini}
  own: {backend: openai, model: gpt-4o-mini, base_url: "${env:LLM_URL}", price: {input: 1, output: 2}}
  other: {backend: openai, model: gpt-4o-mini, base_url: "${env:LLM_URL}"}
  endpoint: {backend: http, url: "https://llm.example.com/ask"}
  here: {backend: fake}
datasets: {d: {rows: [{q: one}]}}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}"}
"""
ENVIRON = {"LLM_URL": "https://llm.example.com/v1"}
FILE = """\
as_of: "2025-01-01"
source: the contract
hosts:
  llm.example.com:
    gpt-4o-mini: {input: 3, output: 4, cached_input: 1}
"""


@pytest.fixture
def load(tmp_path):
    def load(more="", prices=None):
        (tmp_path / "suite.yaml").write_text(SUITE + more, "utf-8")
        if prices is not None:
            (tmp_path / "prices.yaml").write_text(prices, "utf-8")
        return load_suite(tmp_path / "suite.yaml")

    return load


def test_the_suite_wins_over_the_file_which_knows_models_by_their_address(load):
    tariff = tariff_of(load(), ENVIRON)
    assert tariff.prices["own"] == Price(input=1, output=2)
    assert tariff.prices["known"].input > 0
    assert tariff.unknown == {"other", "endpoint"}
    assert "here" not in tariff.prices
    assert tariff.sources["own"] == "the suite"
    assert "as of 20" in tariff.sources["known"]


def test_a_file_of_the_user_replaces_ours(load):
    tariff = tariff_of(load("execution: {prices: prices.yaml}\n", FILE), ENVIRON)
    assert tariff.prices["other"] == Price(input=3, output=4, cached_input=1)
    assert tariff.sources["other"] == "prices.yaml, as of 2025-01-01"
    assert tariff.unknown == {"known", "endpoint"}


def test_a_variable_that_is_not_set_leaves_the_price_unknown(load):
    assert "other" in tariff_of(load(), {}).unknown


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        (None, "suite.yaml:12:21 execution.prices: prices.yaml: there is no such file"),
        ("", "the file is empty"),
        ("[1]", "mapping"),
        ("hosts: {}", "as_of: is missing"),
        (FILE.replace("output: 4", "outputs: 4"), "did you mean 'output'"),
        (FILE.replace("output: 4", "output: -4"), "prices.yaml:5:37 hosts.llm.example.com.gpt-4o-mini.output: "),
        (FILE.replace("input: 3", "input: cheap"), "must be a number, but is 'cheap'"),
        (FILE.replace("source", "sauce"), "did you mean 'source'"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_with_its_place(load, prices, says):
    loaded = load("execution: {prices: prices.yaml}\n", prices)
    with pytest.raises(SuiteError) as caught:
        tariff_of(loaded, ENVIRON)
    assert says in str(caught.value)
    assert [str(p) for p in price_problems(loaded, ENVIRON)] == str(caught.value).splitlines()


def test_a_budget_of_dollars_needs_the_price_of_every_model_in_use(load):
    assert list(price_problems(load(), ENVIRON)) == []
    found = [str(p) for p in price_problems(load("execution: {budget_usd: 1}\n"), ENVIRON)]
    assert len(found) == 2
    assert "models.endpoint.price" in found[0]
    assert "suite.yaml:6:10 models.other.price: " in found[1]
    assert "price: {input: 0.15, output: 0.60}" in found[1]
    loaded = load("execution: {budget_usd: 1, max_tokens: 5}\n")
    narrowed = load_suite(loaded.path, overrides=["tasks.ask.model=[known, own, here]"])
    assert list(price_problems(narrowed, ENVIRON)) == []


def test_a_price_file_of_an_extended_suite_is_found_from_there(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.yaml").write_text(SUITE + "execution: {prices: prices.yaml}\n", "utf-8")
    (tmp_path / "base" / "prices.yaml").write_text(FILE, "utf-8")
    (tmp_path / "suite.yaml").write_text("extends: base/base.yaml\nname: other\n", "utf-8")
    assert tariff_of(load_suite(tmp_path / "suite.yaml"), ENVIRON).prices["other"].input == 3


@pytest.mark.parametrize(
    ("tokens", "meta", "expected"),
    [
        ((1000, 100), {}, (1000 * 2 + 100 * 8) / 1e6),
        ((1000, 100), {"cached_tokens": 400}, (600 * 2 + 400 * 0.5 + 100 * 8) / 1e6),
        ((1000, 100), {"reasoning_tokens": 60}, (1000 * 2 + 100 * 8) / 1e6),  # a part of the output
        ((1000, 100), {"cached_tokens": 5000}, (1000 * 0.5 + 100 * 8) / 1e6),  # never more than there were
        ((1000, 100), {"cached_tokens": "many"}, (1000 * 2 + 100 * 8) / 1e6),
        ((0, 0), {}, 0.0),
        ((1000, None), {}, None),
        ((None, 100), {}, None),
    ],
)
def test_the_cost_of_a_response(tokens, meta, expected):
    price = Price(input=2, output=8, cached_input=0.5)
    found = cost_of(price, Response("k", input_tokens=tokens[0], output_tokens=tokens[1], meta=meta))
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-12))


def test_cached_tokens_cost_as_others_where_nothing_else_is_said():
    response = Response("k", input_tokens=10, output_tokens=0, meta={"cached_tokens": 5})
    assert cost_of(Price(input=1e6, output=0), response) == 10


def test_the_price_file_that_comes_along_is_dated_and_has_cached_input_below_input(load):
    from evalharness.runner import prices

    file = prices._packaged()
    assert file.as_of
    assert file.source
    for models in file.hosts.values():
        for price in models.values():
            assert 0 < price.input <= price.output
            assert price.cached_input is None or price.cached_input < price.input
    assert Path(prices.__file__).parent.parent.joinpath("models/prices.yaml").is_file()
