"""`evalharness doctor`: findings, exit codes, and silence about values."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from evalharness.cli import doctor, requirements
from evalharness.cli.main import main
from evalharness.cli.requirements import Requirement, allows, parse_requirements
from evalharness.core.errors import UsageError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache/models/tiny").mkdir(parents=True)
    (tmp_path / "cache/models/tiny/weights").write_bytes(b"x" * 3_000)
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))


def _found(tmp_path: Path, environ: dict[str, str] | None = None, **options: object) -> dict[str, doctor.Finding]:
    options.setdefault("reports", tmp_path / "reports")
    return {finding.name: finding for finding in doctor.examine(environ or {}, **options)}  # type: ignore[arg-type]


def test_a_sound_installation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--reports", str(tmp_path / "reports")]) == 0
    out = capsys.readouterr().out
    for expected in ("python", "aiohttp", "extra hf", "cpu", "cached models", "everything that is needed works"):
        assert expected in out
    assert not (tmp_path / "reports").exists()


def test_folders(tmp_path: Path) -> None:
    found = _found(tmp_path)
    assert found["cache"].state == "ok"
    assert "2.9 KiB used" in found["cache"].text
    assert found["cached models"].text == "tiny"
    assert "not there yet" in found["reports"].text


def test_a_folder_that_cannot_be_used_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["doctor", "--reports", str(tmp_path / "file" / "reports")]) == 3
    assert "broken: reports" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_broken(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    found = _found(tmp_path, reports=tmp_path / "locked")
    assert (found["reports"].state, "cannot be written to" in found["reports"].text) == ("broken", True)


def test_the_databases_are_looked_into(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    connection = sqlite3.connect(reports / "registry.sqlite3")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    (reports / "responses.sqlite3").write_bytes(b"not a database" * 100)
    found = _found(tmp_path)
    assert found["registry.sqlite3"].state == "ok"
    assert found["responses.sqlite3"].state == "broken"
    assert "cannot be read: file is not a database" in found["responses.sqlite3"].text


def test_a_package_that_is_absent_or_too_old_is_broken_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"aiohttp": "3.9.1", "jinja2": None}
    real = requirements.installed
    monkeypatch.setattr(requirements, "installed", lambda name: versions[name] if name in versions else real(name))
    found = _found(tmp_path)
    assert found["aiohttp"].state == found["jinja2"].state == "broken"
    assert found["aiohttp"].text.startswith("3.9.1; pip install 'aiohttp")
    assert found["jinja2"].text.startswith("not installed; pip install 'jinja2")
    assert found["numpy"].state == "ok"


def test_an_incomplete_extra_is_not_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = requirements.installed
    monkeypatch.setattr(requirements, "installed", lambda name: None if name == "torch" else real(name))
    found = _found(tmp_path, torch=True)
    assert found["extra hf"].state == found["torch"].state == "missing"
    assert "torch (absent), wants >=" in found["extra hf"].text
    assert "pip install 'evalharness[hf]'" in found["extra hf"].text


def test_variables_are_named_and_their_values_are_not(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text("key: ${env:MY_KEY}\nurl: ${env:MY_URL}\n# old: ${env:OLD_KEY}\n")
    environ = {
        "HF_TOKEN": "planted-1",
        "https_proxy": "http://u:planted-2@p",
        "MY_KEY": "planted-3",
        "OTHER": "planted-4",
    }
    found = _found(tmp_path, environ, suites=[str(suite)])
    assert (found["HF_TOKEN"].text, found["HTTPS_PROXY"].text) == ("set", "set")
    assert (found["MY_KEY"].state, found["MY_URL"].state) == ("ok", "broken")
    assert "not set; " in found["MY_URL"].text
    assert not {"OTHER", "OLD_KEY", "HF_HOME"} & set(found)
    assert "planted" not in repr(found)


def test_a_suite_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        _found(tmp_path, suites=[str(tmp_path / "gone.yaml")])


def test_gpus_are_read_from_the_driver_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("NVIDIA H100", "NVIDIA L4")):
        (tmp_path / f"gpus/0000:0{number}").mkdir(parents=True)
        (tmp_path / f"gpus/0000:0{number}/information").write_text(f"Model: \t {name}\nIRQ: 33\n")
    assert doctor._nvidia_gpus(tmp_path / "gpus") == ["NVIDIA H100", "NVIDIA L4"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._nvidia_gpus(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("range_", "found", "good"),
    [
        (">=3.10,<4", "3.14.5", True),
        (">=3.10,<4", "3.9.9", False),
        (">=3.10,<4", "4.0", False),
        (">=3.10", "3.10", True),
        (">=2.6", "2.13.0+cpu", True),
        ("<2", "2.0rc1", False),
        ("==1.2", "1.2.0", True),
        ("!=1.2", "1.2.0", False),
        ("==1.2.*", "1.2.7", True),
        ("==1.2.*", "1.3", False),
        ("~=1.4.2", "1.4.9", True),
        ("~=1.4.2", "1.5", False),
        ("~=1.4", "1.9", True),
        (">1.0", "1.0.1", True),
        ("<=1.0", "1.0.1", False),
        ("", "0.0.1", True),
    ],
)
def test_version_ranges(range_: str, found: str, good: bool) -> None:
    assert allows(range_, found) is good
    packaging = pytest.importorskip("packaging.specifiers", reason="the second opinion is not installed")
    assert packaging.SpecifierSet(range_).contains(found.replace("rc1", "")) is good


def test_requirements_as_package_metadata_writes_them() -> None:
    lines = [
        "aiohttp<4,>=3.10",
        'torch>=2.6; extra == "hf"',
        "uvicorn[standard] (>=0.3)",
        "tomli; python_version < '3'",
    ]
    assert list(parse_requirements(lines)) == [
        Requirement("aiohttp", "<4,>=3.10", None),
        Requirement("torch", ">=2.6", "hf"),
        Requirement("uvicorn", ">=0.3", None),
    ]


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from evalharness.cli.main import main; main(['doctor']);"
        "print(sorted({'torch', 'transformers', 'pandas', 'numpy', 'aiohttp', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
