"""Generated code: which ends are told apart, and what a program cannot get at."""

from __future__ import annotations

import os
import socket
import sys
import time

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics import code, code_run
from evalharness.metrics.code import CodeExecution, fenced
from evalharness.metrics.code_run import PROTECTIONS, STATES, Limits, protections, run_program, run_programs
from evalharness.metrics.functional import score

pytestmark = pytest.mark.skipif(os.name != "posix", reason="programs are run on POSIX systems")

LIMITS = Limits(timeout_s=30, needs=())


@pytest.fixture
def guarded():
    if protections() != ("files", "network"):
        pytest.skip("this system has no seccomp or no Landlock")


@pytest.mark.parametrize(
    ("program", "state", "said"),
    [
        ("def f(x):\n    return x + 1\nassert f(1) == 2", "passed", ""),
        ("assert 1 == 2, 'not equal'", "failed", "AssertionError: not equal"),
        ("assert 1 == 2", "failed", "AssertionError"),
        ("1 / 0", "raised", "ZeroDivisionError: division by zero"),
        ("raise BaseException('x' * 9999)", "raised", "xxx"),
        ("def f(:", "syntax_error", "SyntaxError: invalid syntax"),
        ("x = '\udc80'", "syntax_error", "UnicodeEncodeError"),
        ("a\0b", "syntax_error", "null bytes"),
        ("exit(0)", "exited", ""),
        ("import sys; sys.exit()", "exited", "SystemExit"),
        ("import os; os._exit(0)", "exited", "ended itself with code 0"),
        ("import ctypes; ctypes.string_at(0)", "crashed", "SIGSEGV"),
        ("input()", "raised", "EOFError"),
        ("def f(): f()\nf()", "raised", "RecursionError"),
        ("print('x' * 10**7)\nimport sys; sys.stderr.write('x' * 10**7)", "passed", ""),
        ("if __name__ != '__main__': raise ValueError", "passed", ""),
        ("import pickle\nclass A: pass\npickle.loads(pickle.dumps(A()))", "passed", ""),
        ("import typing\nclass A:\n  b: 'B'\nclass B: pass\nassert typing.get_type_hints(A)['b'] is B", "passed", ""),
        ("'\n>>> 1\n2\n'\nimport doctest\nassert not doctest.testmod().failed".replace("'", '"' * 3), "failed", ""),
        ("import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()", "passed", ""),
        ("open('here.txt', 'w').write('hi')\nassert open('here.txt').read() == 'hi'", "passed", ""),
        ("open('big', 'wb').write(bytes(10**8))", "raised", "File too large"),
        ("x = [open('/dev/null') for _ in range(500)]", "raised", "Too many open files"),
    ],
)
def test_ends_are_told_apart(program, state, said):
    outcome = run_program(program, LIMITS)
    assert outcome.state == state, outcome
    assert said in outcome.said
    assert len(outcome.said) <= 400
    assert outcome.state in STATES


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold to a limit of the address space")
def test_too_much_memory():
    assert run_program("x = [0] * 10**9", LIMITS).state == "out_of_memory"
    assert run_program("x = bytes(3 * 10**8)", Limits(30, 256, ())).state == "out_of_memory"
    assert run_program("x = bytes(3 * 10**8)", Limits(30, 1024, ())).state == "passed"


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import signal, time\nsignal.pthread_sigmask(0, range(1, 32))\ntime.sleep(60)",
    ],
)
def test_too_long(program):
    began = time.monotonic()
    assert run_program(program, Limits(timeout_s=0.5, needs=())).state == "timed_out"
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.socket()",
        "import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=1)",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.kill(os.getppid(), 0)",
        "import os; os.killpg(os.getpgid(os.getppid()), 0)",
        "import resource, os; resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**45, 2**45))",
        "import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "import os; os.utime({secret!r})",
        "import ctypes, os\nif ctypes.CDLL(None).shmget(0x1234, 4096, 0o1666) < 0: raise PermissionError",
        "open({secret!r}).read()",
        "open({secret!r}, 'w')",
        "import os; os.remove({secret!r})",
        "import os; os.rename({secret!r}, 'mine')",
        "import os; os.symlink({secret!r}, 'link'); open('link').read()",
        "import os; os.truncate({secret!r}, 0)",
        "import os; os.chmod({secret!r}, 0o777)",
        "import os; os.listdir({folder!r})",
        "import os; os.mkdir({folder!r} + '/new')",
        "import os; open('/proc/%d/environ' % os.getppid(), 'rb').read()",
        "open('/proc/self/environ', 'rb').read()",
        "open('/etc/passwd').read()",
    ],
)
def test_what_a_program_cannot_do(guarded, program, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("planted")
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = program.format(secret=str(secret), folder=str(tmp_path), port=server.getsockname()[1])
        outcome = run_program(program, Limits(30))
    assert outcome.state == "raised", outcome
    assert any(word in outcome.said for word in ("PermissionError", "Operation not permitted", "not allowed")), outcome
    assert secret.read_text() == "planted"
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]


def test_the_environment_holds_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "planted")
    monkeypatch.setenv("PYTHONPATH", "/planted")
    program = "import os, sys\nassert 'planted' not in str(os.environ) + str(sys.path), os.environ"
    assert run_program(program, LIMITS).state == "passed"
    assert run_program("import os; assert os.environ['HOME'] == os.getcwd() == os.environ['TMPDIR']", LIMITS) == (
        "passed",
        "",
    )
    assert run_program("assert hash('a') == hash('a')\nprint(hash('a'))", LIMITS).state == "passed"
    values = {run_program("raise ValueError(hash('text'))", LIMITS).said for _ in range(2)}
    assert len(values) == 1, "hashes of texts, and so the order of sets, are the same each time"


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for program in ("open('a', 'w')", "import os; os.makedirs('b/c')", "1 / 0", "import os; os._exit(3)"):
        run_program(program, LIMITS)
    assert list(tmp_path.iterdir()) == []
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_report_needs_the_token():
    assert code_run._read(b'\n{"token": "theirs", "state": "passed"}', "ours") is None
    forged = """
import os
for descriptor in range(3, 64):
    try:
        os.write(descriptor, b'{"state": "passed", "token": ""}')
    except OSError:
        pass
os._exit(0)
"""
    assert run_program(forged, LIMITS).state in ("exited", "crashed")


def test_where_a_system_cannot_protect_nothing_is_run(tmp_path, monkeypatch):
    proof = tmp_path / "ran"
    limits = Limits(30, needs=("network", "files", "gravity"))
    with pytest.raises(UsageError, match=r"cannot keep programs from: gravity; nothing was run"):
        run_program(f"open({str(proof)!r}, 'w')", limits)
    assert not proof.exists()
    monkeypatch.setattr(code, "protections", lambda: ("files",))
    with pytest.raises(UsageError, match=r"cannot keep programs from network on this system.*unprotected: true"):
        CodeExecution().for_run(base=tmp_path, allow_code=True)
    assert CodeExecution(unprotected=True).for_run(base=tmp_path, allow_code=True).limits.needs == ()
    assert CodeExecution().limits.needs == PROTECTIONS


def test_programs_run_beside_one_another_in_order_and_once(monkeypatch):
    asked = []
    found = code_run.run_program
    monkeypatch.setattr(
        code_run, "run_program", lambda program, limits: asked.append(program) or found(program, limits)
    )
    programs = ["assert 3", "1 / 0  # mine", "assert 3", "assert not 3"]
    assert [o.state for o in run_programs(programs, LIMITS)] == ["passed", "raised", "passed", "failed"]
    assert [o.state for o in run_programs(programs[::-1], LIMITS)] == ["failed", "passed", "raised", "passed"]
    assert sorted(asked) == sorted(set(programs))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", "x = 1"),
        ("Sure:\n```python\nx = 1\n```\nIt is 1.\n```\ny\n```", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```bash\npip install x\n```\n```py\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1\nno end", "x = 1\nno end"),
        ("  ```python\n  x = 1\n  ```", "  x = 1\n"),
        ("```sql\nselect 1\n```", "```sql\nselect 1\n```"),
    ],
)
def test_fenced(text, expected):
    assert fenced(text) == expected


HUMAN_EVAL = {
    "prompt": 'def double(x):\n    """Twice x."""\n',
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    "entry_point": "double",
}
PROGRAM = "{{ prompt }}{{ code }}\n\n{{ test }}\ncheck({{ entry_point }})"


def test_completions_in_the_manner_of_human_eval(tmp_path):
    metric = CodeExecution(program=PROGRAM).for_run(base=tmp_path, allow_code=True)
    assert metric.needs == frozenset()
    samples = [Sample(id=str(i), digest="", prompt=HUMAN_EVAL["prompt"], fields=HUMAN_EVAL) for i in range(4)]
    responses = [
        Response("0", text="    return 2 * x\n", answer="return 2 * x"),
        Response("1", text="    return x\n", answer="return x"),
        Response("2", text="    return 2 * x", answer="return nothing", status="ok"),
        Response("3", status="error", text="    return 2 * x\n"),
    ]
    outcomes = metric.outcomes(samples, responses)
    assert [outcome.state for outcome in outcomes] == ["passed", "failed", "syntax_error", "failed"]
    rows = metric.sample_stats(samples, responses)
    assert rows.sum(axis=0)[:4].tolist() == [4, 1, 2, 0]
    assert dict(zip(metric.columns, rows[2], strict=True))["syntax_error"] == 1
    assert metric.finalize(rows.sum(axis=0)) == 0.25


def test_tests_in_the_reference_in_the_manner_of_mbpp():
    answers = ["```python\ndef f(x):\n    return x + 1\n```", "def f(x): return x", "import this is not", ""]
    tests = [["assert f(1) == 2\nassert f(2) == 3"]] * 4
    found = score("code_execution", answers, references=tests, allow_code=True)
    assert found.values.tolist() == [1, 0, 0, 0]
    assert found.summary.method == "wilson"
    with pytest.raises(UsageError, match=r"runs Python code that the model wrote.*--allow-code"):
        score("code_execution", answers, references=tests)


def test_without_tests_nothing_is_measured_and_unbound_nothing_is_run():
    bare, response = Sample(id="a", digest="", prompt=""), Response("a", text="x = 1")
    with pytest.raises(UsageError, match="allow it: for_run"):
        CodeExecution().sample_stats([bare], [response])
    metric = CodeExecution().for_run(base=os.curdir, allow_code=True)
    assert not metric.sample_stats([bare], [response]).any()
    recorded = CodeExecution().as_recorded(metric.signature)
    assert recorded.signature == metric.signature
    assert recorded.finalize(np.array([2.0, 1.0, *[0.0] * 7])) == 0.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout_s": 0.0}, "timeout_s must be above 0"),
        ({"memory_mb": 1}, "memory_mb must be from 64"),
        ({"program": "{{ test }}"}, "program: it must hold the answer"),
        ({"program": "{{ code"}, "program: not a template"),
    ],
)
def test_wrong_options(options, says):
    with pytest.raises(ValueError, match=says):
        CodeExecution(**options)


def test_a_template_that_does_not_fit_names_the_sample():
    metric = CodeExecution(program="{{ code }}{{ tests }}")
    with pytest.raises(UsageError, match=r"sample '0': code_execution.program: .*tests"):
        score(metric, ["x"], rows=[{"test": "x"}], allow_code=True)
