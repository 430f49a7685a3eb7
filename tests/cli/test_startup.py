"""Start-up is part of the product: what `--help` costs, and what importing the package pulls in."""

import json
import subprocess
import sys

import pytest

from evalharness.cli.main import main

HEAVY = (
    "torch",
    "transformers",
    "pandas",
    "sklearn",
    "evaluate",
    "lm_eval",
    "numpy",
    "pydantic",
    "aiohttp",
    "sqlalchemy",
)


def python(code, *args):
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "code",
    [
        "import evalharness",
        "from evalharness.cli.main import main; main(['--help'])",
        "from evalharness.cli.main import main; main(['--version'])",
        "from evalharness.cli.main import main; main(['run', '--help'])",
    ],
)
def test_importing_and_helping_load_nothing_heavy(code):
    done = python(f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("room", ["core", "stats", "suite"])
def test_the_light_rooms_load_nothing_heavy(room):
    code = (
        "import importlib, json, pkgutil, sys\n"
        f"package = importlib.import_module('evalharness.{room}')\n"
        "for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = python(code)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint({"torch", "transformers", "pandas", "aiohttp", "sklearn", "evaluate", "lm_eval"})


# A small launcher measures: a child forked from this process would inherit its peak memory.
LAUNCHER = """
import json, os, sys, time
quiet = os.open(os.devnull, os.O_WRONLY)
began = time.perf_counter()
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ,
                     file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""


def measured(*command, times=7):
    """(seconds, peak KiB) of each whole process; the best of several is the program's cost, the rest the machine's."""
    runs = [json.loads(python(LAUNCHER, *command).stdout) for _ in range(times)]
    assert {code for _, _, code in runs} == {0}
    return [(seconds, kib) for seconds, kib, _ in runs]


@pytest.mark.parametrize("command", [["-m", "evalharness", "--help"], ["-c", "import evalharness"]])
def test_start_up_takes_under_150_ms_and_40_mib(command):
    runs = measured(*command)
    assert min(seconds for seconds, _ in runs) < 0.15
    assert max(kib for _, kib in runs) < 40 * 1024


@pytest.fixture
def starter(tmp_path, monkeypatch):
    """The suite that `evalharness init` writes."""
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    return tmp_path / "suite.yaml"


def test_a_suite_is_validated_in_under_half_a_second(starter):
    runs = measured("-m", "evalharness", "validate", str(starter))
    assert min(seconds for seconds, _ in runs) < 0.5


def test_validating_a_suite_loads_no_array_library(starter):
    code = "import sys\nfrom evalharness.cli.main import main\nassert main(['validate', sys.argv[1]]) == 0\n"
    done = python(f"{code}import json; print(json.dumps(sorted(sys.modules)))", str(starter))
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint({"numpy", "scipy", *HEAVY} - {"pydantic"})
