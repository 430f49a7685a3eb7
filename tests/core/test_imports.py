"""Modules that are put off: who asks gets the real one, in the same place; who does not pays nothing."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalharness.core.imports import importing, load_now, put_off


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`later_pkg` with modules `near` and `far`, and `later_alone`; each says when its code runs."""
    folder = tmp_path / "later_pkg"
    folder.mkdir()
    say = "import builtins; builtins.later_ran = getattr(builtins, 'later_ran', []) + [__name__]\n"
    (folder / "__init__.py").write_text(f"{say}from . import far\ndef mark(f):\n    return (f, 'real')\nvalue = 7\n")
    (folder / "near.py").write_text(f"{say}here = 'near'\n")
    (folder / "far.py").write_text(f"{say}here = 'far'\n")
    (tmp_path / "later_alone.py").write_text(f"{say}value = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.startswith("later_")]:
        del sys.modules[name]
    import builtins

    vars(builtins).pop("later_ran", None)


def ran() -> list[str]:
    import builtins

    found: list[str] = getattr(builtins, "later_ran", [])
    return found


def test_importing_runs_nothing_until_a_name_is_asked_for(package: Path) -> None:
    put_off("later_alone")
    import later_alone

    assert ran() == []
    assert later_alone.__file__ == str(package / "later_alone.py")
    assert later_alone.value == 8
    assert ran() == ["later_alone"]
    assert type(later_alone) is type(sys)
    assert later_alone.value == 8
    assert not load_now("later_alone")


def test_marks_answer_at_once_and_are_real_afterwards(package: Path) -> None:
    put_off("later_pkg", marks=("mark",), apart=("near",))
    import later_pkg

    assert later_pkg.mark(print) is print
    assert later_pkg.mark()(print) is print
    import later_pkg.near

    assert ran() == ["later_pkg.near"]
    from later_pkg import value

    assert value == 7
    assert ran() == ["later_pkg.near", "later_pkg", "later_pkg.far"]
    assert later_pkg.mark(print) == (print, "real")
    assert later_pkg.near.here == "near"


def test_a_module_of_the_package_loads_it_once(package: Path) -> None:
    put_off("later_pkg")
    import later_pkg.far

    assert ran() == ["later_pkg", "later_pkg.far"]
    assert later_pkg.far.here == "far"
    assert later_pkg.far.__spec__.name == "later_pkg.far"


def test_what_goes_along_is_loaded_first(package: Path) -> None:
    put_off("later_alone")
    put_off("later_pkg", along=("later_alone",))
    import later_alone  # noqa: F401
    import later_pkg

    assert later_pkg.value == 7
    assert ran() == ["later_alone", "later_pkg", "later_pkg.far"]


def test_what_is_not_there_fails_as_ever(package: Path) -> None:
    put_off("later_missing")
    with pytest.raises(ModuleNotFoundError):
        __import__("later_missing")
    put_off("later_alone")
    import later_alone

    with pytest.raises(AttributeError):
        later_alone.nothing  # noqa: B018
    assert not load_now("later_missing")


def test_garbage_is_left_alone_while_importing() -> None:
    with importing():
        assert not gc.isenabled()
        with importing():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()
