import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment, PackageLoader

import evalharness.report.compiled as compiled
from evalharness.report.compiled import CompiledTemplates
from evalharness.report.page import environment


@pytest.fixture
def where(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    maker = tmp_path / "maker.py"
    maker.write_text("x = 1", encoding="utf-8")
    return tmp_path, maker


def made(where, source):
    folder, maker = where
    env = Environment(loader=DictLoader({"t": source}), bytecode_cache=CompiledTemplates(folder, maker))
    env.n_compiled = 0
    compile_ = env.compile

    def counted(*args, **options):
        env.n_compiled += 1
        return compile_(*args, **options)

    env.compile = counted
    return env.get_template("t").render(name="you"), env.n_compiled


def files(where):
    return sorted(path.name for path in (where[0] / "__pycache__").glob("*"))


def test_a_template_is_compiled_once_for_all_processes(where):
    assert made(where, "for {{ name }}") == ("for you", 1)
    assert made(where, "for {{ name }}") == ("for you", 0)
    assert len(files(where)) == 1


def test_one_that_was_changed_is_compiled_anew(where):
    made(where, "for {{ name }}")
    assert made(where, "and {{ name }}") == ("and you", 1)


def test_so_is_one_for_another_environment_or_another_jinja(where, monkeypatch):
    made(where, "for {{ name }}")
    where[1].write_text("x = 22", encoding="utf-8")
    assert made(where, "for {{ name }}")[1] == 1
    monkeypatch.setattr(compiled.jinja2, "__version__", "99.9")
    assert made(where, "for {{ name }}")[1] == 1
    assert len(files(where)) == 3


@pytest.mark.parametrize("harm", [b"", b"j2", b"nothing of the kind" * 50])
def test_a_damaged_file_is_made_again(where, harm):
    made(where, "for {{ name }}")
    (path,) = (where[0] / "__pycache__").glob("*")
    whole = path.read_bytes()
    for data in (harm, whole[: len(whole) // 2]):
        path.write_bytes(data)
        assert made(where, "for {{ name }}") == ("for you", 1)
    assert path.read_bytes() == whole


def test_where_nothing_can_be_written_it_is_compiled_each_time(where):
    (where[0] / "__pycache__").write_text("a file in the place of the folder", encoding="utf-8")
    assert made(where, "for {{ name }}") == ("for you", 1)
    assert made(where, "for {{ name }}") == ("for you", 1)


def test_python_says_whether_and_where_bytecode_is_written(where, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made(where, "for {{ name }}")
    assert not files(where)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "prefix"))
    assert made(where, "for {{ name }}")[1] == 1
    assert not files(where)
    assert len(list((tmp_path / "prefix").rglob("*.j2c"))) == 1
    assert made(where, "for {{ name }}")[1] == 0


def test_the_reports_templates_are_kept_beside_them():
    env = environment()
    assert isinstance(env.loader, PackageLoader)
    assert isinstance(env.bytecode_cache, CompiledTemplates)
    folder = Path(compiled.__file__).with_name("templates")
    assert (folder / "report.html.j2").is_file()
    if sys.pycache_prefix is None:
        assert env.bytecode_cache._folder == folder / "__pycache__"
    assert env.bytecode_cache._tag
