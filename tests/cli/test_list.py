from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from evalharness.cli.list import _docstrings, source_docstring, summaries
from evalharness.cli.main import main
from evalharness.core.registry import ROOMS, registry
from evalharness.metrics import BUILTIN


def run(*arguments, env=None):
    code = "import sys; from evalharness.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, "list", *arguments], capture_output=True, text=True, env=env)


def test_rooms(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(ROOMS)
    assert f"metrics   {len(registry('metrics').names())} " in out


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_has_a_line(room, capsys):
    assert main(["list", room]) == 0
    out = capsys.readouterr().out
    names = registry(room).names()
    assert len(out.splitlines()) >= max(len(names), 1)
    for name in names:
        line = next(line for line in out.splitlines() if line.split()[0] == name)
        assert len(line.split()) > 2, "a name without a word on it"
        assert "no description" not in line


@pytest.mark.parametrize("room", ["metrics", "models", "datasets"])
def test_the_line_is_the_docstrings_first(room):
    """The source is read, not imported; what is imported says the same."""
    for name in registry(room).names():
        if "huggingface" not in name and not name.startswith("hf"):
            assert source_docstring(room, name) == registry(room).describe(name)


def test_the_catalogue_is_listed(capsys):
    assert "catalog:smollm2-135m" in summaries("models")
    assert "catalog:movie-sentiment" in summaries("datasets")
    assert main(["list", "models", "catalog:smollm2-135m"]) == 0
    out = capsys.readouterr().out
    assert "Apache-2.0" in out
    assert "evalharness fetch-model smollm2-135m" in out
    assert main(["list", "models", "smollm2-135m"]) == 0


def test_catalogue_says_what_is_not_made_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path))
    assert "(make it: evalharness fetch-model smollm2-135m)" in summaries("models")["catalog:smollm2-135m"]
    (tmp_path / "models" / "smollm2-135m").mkdir(parents=True)
    assert "make it" not in summaries("models")["catalog:smollm2-135m"]


def test_a_metric_is_explained(capsys):
    assert main(["list", "metrics", "token_f1"]) == 0
    out = capsys.readouterr().out
    for part in ("F1 = 2PR/(P+R)", "squad: v1.1 | v2.0 (default: v1.1)", "Source: Rajpurkar"):
        assert part in out


def test_a_backend_is_explained_with_its_keys(capsys):
    assert main(["list", "models", "http"]) == 0
    out = capsys.readouterr().out
    assert "url (required)" in out
    assert "timeout_s (default: 60.0)" in out


def test_json(capsys):
    assert main(["list", "metrics", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == set(registry("metrics").names())
    assert main(["list", "metrics", "bleu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["options"][0]["name"] == "tokenize"
    assert main(["list", "models", "http", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "http"
    assert main(["list", "datasets", "catalog:kjv", "--json"]) == 0
    assert "licence" in json.loads(capsys.readouterr().out)
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] > 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["metrik"], "unknown room 'metrik'; did you mean 'metrics'?"),
        (["metrics", "rogueL"], "unknown metric 'rogueL'; did you mean 'rougeL'?"),
        (["metrics", "qqqqq"], "unknown metric 'qqqqq'; see evalharness list metrics"),
        (["models", "catalog:smolm2-135m"], "did you mean 'catalog:smollm2-135m'?"),
        (["datasets", "jsonlines"], "unknown dataset 'jsonlines'; did you mean 'jsonl'?"),
    ],
)
def test_unknown_names_are_usage_errors(arguments, message, capsys):
    assert main(["list", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_an_encoding_without_greek_is_no_error():
    import os

    done = run("metrics", "bleu", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    assert "Corpus BLEU" in done.stdout


@pytest.mark.alone
@pytest.mark.parametrize(
    "arguments", [[], ["metrics"], ["models"], ["datasets"], ["metrics", "bleu"], ["models", "openai"]]
)
def test_it_costs_few_yardsticks(arguments, cost):
    assert cost("-m", "evalharness", "list", *arguments, times=3).yardsticks < 3


def test_each_source_is_parsed_once(monkeypatch):
    """A module stands for many names; parsing it for each of them was most of what a list cost."""
    parsed = []

    def parse(source, *args, real=ast.parse, **options):
        parsed.append(source)
        return real(source, *args, **options)

    summaries("metrics")  # what is imported meanwhile may be parsed by pytest
    _docstrings.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", parse)
        summaries("metrics")
    modules = {target.partition(":")[0] for target in BUILTIN.values()}
    assert 0 < len(parsed) <= len(modules) < len(BUILTIN)


def test_a_table_imports_no_metric():
    code = (
        "import sys; from evalharness.cli.main import main; main(['list', 'metrics']); main(['list', 'models']);"
        "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'torch', 'pydantic', 'aiohttp', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == []
