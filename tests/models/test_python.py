"""Functions of the user's: what they are called with, what they may return, and how they fail."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.models.python import make

Write = Callable[[str, str], Path]


@pytest.fixture
def model(kit: Any, tmp_path: Path) -> Callable[..., Any]:
    def build(function: str, *, concurrency: int = 4, environ: Any = None, **entry: Any) -> Any:
        spec = kit.spec_of(backend="python", function=function, **entry)
        return make("m", spec, base=tmp_path, environ=environ or {}, concurrency=concurrency, allow_code=True)

    return build


def test_it_runs_only_when_code_is_allowed(kit: Any, write: Write, tmp_path: Path) -> None:
    write("user_a.py", "raise SystemExit('ran')")
    spec = kit.spec_of(backend="python", function="user_a:f")
    with pytest.raises(UsageError, match=r"models\.m: .*user_a:f.* add --allow-code"):
        make("m", spec, base=tmp_path, environ={}, concurrency=1, allow_code=False)


def test_identity_runs_nothing(model: Any, write: Write) -> None:
    write("user_a.py", "raise SystemExit('ran')")
    assert model("user_a:f").identity()["modules"] == ["user_a"]
    assert "user_a" not in sys.modules


def test_it_is_called_with_the_prompt_and_the_options(kit: Any, model: Any, write: Write) -> None:
    write("user_a.py", "def f(prompt, *, tail, key): return f'{prompt}|{tail}|{key}'")
    built = model("user_a:f", options={"tail": "!", "key": "${env:K}"}, environ={"K": "abc"})
    assert kit.answer(built, kit.request(prompt="p")).text == "p|!|abc"
    turns = kit.answer(built, kit.request(prompt=[("user", "hi")])).text
    assert turns == "[{'role': 'user', 'content': 'hi'}]|!|abc"


def test_methods_and_packages_are_found(kit: Any, model: Any, write: Write) -> None:
    write("pack_a/__init__.py", "TAIL = '?'")
    write(
        "pack_a/inner.py",
        "from . import TAIL\nfrom .other import up\nclass C:\n  @staticmethod\n  def f(p): return up(p) + TAIL",
    )
    write("pack_a/other.py", "def up(p): return p.upper()")
    built = model("pack_a.inner:C.f")
    assert kit.answer(built, kit.request(prompt="p")).text == "P?"
    assert built.identity()["modules"] == ["pack_a", "pack_a.inner", "pack_a.other"]


def test_an_installed_module_is_found_too(kit: Any, model: Any) -> None:
    built = model("textwrap:dedent")
    assert kit.answer(built, kit.request(prompt="  p")).text == "p"
    assert built.identity()["modules"] == ["textwrap"]


def test_the_search_path_is_left_as_it_was(kit: Any, model: Any, write: Write, tmp_path: Path) -> None:
    write("user_a.py", "import sys\nSEEN = sys.path[0]\ndef f(p): return SEEN")
    before = list(sys.path)
    assert kit.answer(model("user_a:f")).text == str(tmp_path.resolve())
    assert sys.path == before
    assert not (tmp_path / "__pycache__").exists()


def test_what_runs_is_what_the_identity_names(kit: Any, model: Any, write: Write) -> None:
    write("user_a.py", "import user_b\ndef f(p): return user_b.WORD")
    write("user_b.py", "WORD = 'one'")
    first = model("user_a:f")
    assert kit.answer(first).text == "one"
    write("user_b.py", "WORD = 'two'")
    with pytest.raises(UsageError, match="the source of user_a has just changed; run again"):
        asyncio.run(first.open())
    second = model("user_a:f")
    assert kit.answer(second).text == "two"
    assert first.identity()["source_sha256"] != second.identity()["source_sha256"]


def test_identity_is_complete_and_does_not_depend_on_the_folder(kit: Any, model: Any, tmp_path: Path) -> None:
    identities = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "user_a.py").write_text("def f(p, x=0): return p")
        spec = kit.spec_of(backend="python", function="user_a:f")
        built = make("m", spec, base=tmp_path / folder, environ={}, concurrency=1, allow_code=True)
        identities.append(built.identity())
    assert identities[0] == identities[1]
    (tmp_path / "user_a.py").write_text("def f(p, x=0): return p")
    seen = [
        model("user_a:f").identity(),
        model("user_a:f", version="2").identity(),
        model("user_a:f", options={"x": 1}).identity(),
        model("user_a:f", kind="classify").identity(),
    ]
    assert len({str(identity) for identity in seen}) == 4


def test_plain_functions_run_at_once_but_no_more_than_allowed(kit: Any, model: Any, write: Write) -> None:
    write(
        "user_a.py",
        "import threading\nBARRIER = threading.Barrier(3)\nNAMES = set()\n"
        "def f(p):\n    BARRIER.wait(10)\n    NAMES.add(threading.current_thread().name)\n    return str(len(NAMES))",
    )
    found = kit.answers(model("user_a:f", concurrency=3), [kit.request(str(i)) for i in range(30)])
    assert all(response.status == "ok" for response in found.values())
    assert max(int(response.text) for response in found.values()) <= 3


def test_async_functions_run_on_the_event_loop(kit: Any, model: Any, write: Write) -> None:
    write(
        "user_a.py",
        "import asyncio, threading\nasync def f(p):\n  await asyncio.sleep(0)\n"
        "  return threading.current_thread().name",
    )
    assert kit.answer(model("user_a:f")).text == threading.current_thread().name
    write("user_b.py", "class F:\n  async def __call__(self, p): return p + '!'\nf = F()")
    assert kit.answer(model("user_b:f"), kit.request(prompt="p")).text == "p!"


def test_a_mapping_says_more_than_text(kit: Any, model: Any, write: Write) -> None:
    write(
        "user_a.py",
        "def f(p): return {'text': 'cut', 'finish_reason': 'length', "
        "'input_tokens': 3, 'output_tokens': 1, 'docs': (1,)}",
    )
    found = kit.answer(model("user_a:f"))
    assert (found.status, found.text, found.finish_reason) == ("truncated", "cut", "length")
    assert (found.input_tokens, found.output_tokens, found.meta) == (3, 1, {"docs": [1]})
    assert found.latency_s < 5


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("generate", "None", "expected a str, or a mapping with a str under 'text'; got NoneType None"),
        ("generate", "b'x'", "got bytes b'x'"),
        ("generate", "{'txt': 'x'}", "got dict {'txt': 'x'}"),
        ("generate", "{'text': 'x', 'input_tokens': '3'}", "input_tokens must be a whole number or None, not str '3'"),
        ("generate", "{'text': 'x', 'finish_reason': 3}", "finish_reason must be a str or None, not int 3"),
        ("classify", "''", "expected a label, or a mapping of label to probability; got str ''"),
        ("classify", "{}", "got dict {}"),
        ("classify", "{'a': 1.5}", "the probability of label 'a' must lie between 0 and 1; got float 1.5"),
        ("classify", "{'a': float('nan')}", "must lie between 0 and 1; got float nan"),
        ("classify", "{'a': True}", "got bool True"),
        ("classify", "['a']", "got list ['a']"),
        ("loglikelihood", "-1.0", "expected a list of 2 log-likelihoods; got float -1.0"),
        ("loglikelihood", "'ab'", "expected a list of 2 log-likelihoods; got str 'ab'"),
        ("loglikelihood", "[-1.0]", "expected 2 log-likelihoods, one for each continuation; got 1"),
        ("loglikelihood", "[-1.0, float('nan')]", "must be a number, not NaN and not infinite; got float nan"),
        ("loglikelihood", "[-1.0, '-2']", "got str '-2'"),
        ("loglikelihood", "[-1.0, {'n_tokens': 2}]", "got dict"),
    ],
)
def test_a_wrong_return_is_an_error_that_says_what_came(
    kit: Any, model: Any, write: Write, kind: str, value: str, said: str
) -> None:
    write("user_a.py", f"def f(*p): return {value}")
    more = {"continuations": (" a", " b")} if kind == "loglikelihood" else {}
    found = kit.answer(model("user_a:f", kind=kind), kit.request(kind=kind, **more))
    assert found.status == "error"
    assert said in found.error


def test_labels(kit: Any, model: Any, write: Write) -> None:
    write(
        "user_a.py",
        "import numpy as np\ndef f(p): return {'b': np.float32(0.25), 'a': 0.75, 0: 0}\ndef g(p): return ' a '",
    )
    found = kit.answer(model("user_a:f", kind="classify"), kit.request(kind="classify"))
    assert (found.answer, dict(found.label_probabilities)) == ("a", {"b": 0.25, "a": 0.75, "0": 0.0})
    found = kit.answer(model("user_a:g", kind="classify"), kit.request(kind="classify"))
    assert (found.answer, dict(found.label_probabilities)) == ("a", {})


def test_loglikelihoods(kit: Any, model: Any, write: Write) -> None:
    write(
        "user_a.py",
        "import numpy as np\n"
        "def f(p, c): return np.array([-float(len(x)) for x in c], dtype=np.float32)\n"
        "def g(p, c): return [{'total': -2, 'n_tokens': 3, 'is_greedy': True}, float('-inf')]",
    )
    request = kit.request(kind="loglikelihood", continuations=(" a", " bc"))
    found = kit.answer(model("user_a:f", kind="loglikelihood"), request)
    assert [ll.total for ll in found.loglikelihoods] == [-2.0, -3.0]
    found = kit.answer(model("user_a:g", kind="loglikelihood"), request)
    assert [(ll.total, ll.n_tokens, ll.is_greedy) for ll in found.loglikelihoods] == [
        (-2, 3, True),
        (-np.inf, 0, False),
    ]


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise StopIteration", "StopIteration"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import user_b; user_b.fail()", "ZeroDivisionError"),
        ("__import__('json').loads('{')", "JSONDecodeError"),
    ],
)
def test_an_exception_is_a_state_with_the_place_in_the_users_file(
    kit: Any, model: Any, write: Write, prefix: str, line: str, said: str
) -> None:
    path = write("user_a.py", f"import user_b\n\n{prefix}def f(prompt):\n    {line}\n")
    helper = write("user_b.py", "def fail():\n    return 1 / 0\n")
    found = kit.answer(model("user_a:f"))
    assert found.status == "error"
    assert said in found.error
    if "StopIteration" not in line or not prefix:
        assert f"({helper}:2 in fail)" in found.error or f"({path}:4 in f)" in found.error


def test_a_late_import_of_a_neighbour_is_explained(kit: Any, model: Any, write: Write) -> None:
    write("user_a.py", "def f(p):\n    import user_late\n    return 'x'")
    write("user_late.py", "")
    found = kit.answer(model("user_a:f"))
    assert "No module named 'user_late'" in found.error
    assert "import it at the top of the file" in found.error


@pytest.mark.parametrize(
    ("source", "function", "said"),
    [
        ("", "user_gone:f", "there is no Python module 'user_gone'"),
        ("", "user_a.inner:f", "there is no Python module 'user_a.inner'"),
    ],
)
def test_a_missing_module_is_refused_when_the_model_is_made(
    model: Any, write: Write, source: str, function: str, said: str
) -> None:
    write("user_a.py", source)
    with pytest.raises(UsageError, match=r"^models\.m\.function: ") as caught:
        model(function)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def g(p): pass\ndef ff(p): pass", "user_a has no function 'f'; did you mean 'ff'?"),
        ("f = 3", "user_a:f is a int, which cannot be called"),
        ("def f(: pass", "user_a cannot be imported: SyntaxError"),
        ("x = 1\nimport nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all' ("),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("1 / 0", "user_a.py:1)"),
        ("def f(): pass", "user_a:f cannot be called as (prompt): too many positional arguments"),
        ("def f(p, *, q): pass", "missing a required argument: 'q'"),
    ],
)
def test_what_cannot_be_called_is_refused_when_the_model_is_opened(
    model: Any, write: Write, source: str, said: str
) -> None:
    write("user_a.py", source)
    built = model("user_a:f")
    with pytest.raises(UsageError, match=r"models\.m\.function: ") as caught:
        asyncio.run(built.open())
    assert said in str(caught.value)


def test_the_name_of_a_module_of_pythons_own_is_refused(model: Any, write: Write) -> None:
    write("json.py", "def f(p): return p")
    import json

    with pytest.raises(UsageError, match="has the name of a module of Python's own; rename it"):
        asyncio.run(model("json:f").open())
    assert sys.modules["json"] is json
