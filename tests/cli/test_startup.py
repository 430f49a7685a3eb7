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


@pytest.mark.alone
@pytest.mark.parametrize("command", [["-m", "evalharness", "--help"], ["-c", "import evalharness"]])
def test_start_up_costs_less_than_a_yardstick_and_40_mib(command, cost):
    found = cost(*command)
    assert found.yardsticks < 0.75
    assert found.peak_kib < 40 * 1024


@pytest.fixture
def starter(tmp_path, monkeypatch):
    """The suite that `evalharness init` writes."""
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    return tmp_path / "suite.yaml"


@pytest.mark.alone
def test_a_suite_is_validated_in_few_yardsticks(starter, cost):
    assert cost("-m", "evalharness", "validate", str(starter)).yardsticks < 8


def test_validating_a_suite_loads_no_array_library(starter):
    code = "import sys\nfrom evalharness.cli.main import main\nassert main(['validate', sys.argv[1]]) == 0\n"
    done = python(f"{code}import json; print(json.dumps(sorted(sys.modules)))", str(starter))
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint({"numpy", "scipy", *HEAVY} - {"pydantic"})


@pytest.mark.parametrize(("own", "frozen"), [("", True), ("['doctor']", False)])
def test_a_process_of_its_own_looks_for_no_garbage_on_its_way_out(own, frozen):
    """Only there: a process that others share goes on, and needs its garbage collected."""
    code = "import gc, sys; from evalharness.cli.main import main\nmain(%s); print(gc.get_freeze_count())"
    done = python(code % own, "doctor")
    assert (int(done.stdout.splitlines()[-1]) > 1000) is frozen, done.stderr
