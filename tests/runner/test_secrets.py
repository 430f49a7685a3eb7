"""Planted keys, and a server that throws them back in every way it can: they appear in nothing that a run writes."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

import evalharness
from evalharness import Record
from evalharness.runner.store import ResponseStore

KEY = "sk-PLANTED1/0123+456=789-abcdefgh"
URL_KEY = "PLANTED2-in-the-address-0123456789"
HEADER_KEY = "PLANTED3 header with blanks 98765"
PASSWORD = "PLANTED4-password-of-a-proxy"
UNUSED = "PLANTED5-that-no-suite-asks-for"
PLANTED = {"API_KEY": KEY, "URL_KEY": URL_KEY, "HEADER_KEY": HEADER_KEY, "OTHER_SECRET": UNUSED}

SUITE = """\
version: 1
name: leaky
models:
  chat:
    backend: openai
    model: local
    base_url: "http://127.0.0.1:{port}/${{env:URL_KEY}}/v1?sig=${{env:URL_KEY}}"
    api_key: "${{env:API_KEY}}"
    headers: {{X-Own: "${{env:HEADER_KEY}}"}}
    max_retries: 0
  form:
    backend: http
    url: "http://127.0.0.1:{port}/ask?token=${{env:URL_KEY}}"
    headers: {{Authorization: "Bearer ${{env:API_KEY}}", X-Own: "${{env:HEADER_KEY}}"}}
    body: {{q: "{{{{ prompt }}}}"}}
    max_retries: 0
  proxied:
    backend: openai
    model: local
    base_url: http://elsewhere.invalid/v1
    api_key: "${{env:API_KEY}}"
    max_retries: 0
datasets:
  ways: {{path: ways.jsonl}}
tasks:
  - id: ask
    dataset: ways
    model: [chat, form]
    prompt: "{{{{ q }}}}"
    reference: x
    metrics: [exact_match]
  - id: ask-through-a-proxy
    dataset: ways
    model: proxied
    prompt: "{{{{ q }}}}"
    reference: x
    metrics: [exact_match]
    limit: 5
execution: {{on_error: exclude}}
"""
STATUSES = (200, 200, 400, 401, 404, 429, 500)
FORMS = ("plain", "url", "base64", "basic", "hex", "lines", "html", "json", "redirect")


def twisted(secret: str, form: str) -> str:
    data = secret.encode()
    return {
        "url": quote(secret, safe=""),
        "base64": base64.b64encode(data).decode(),
        "basic": base64.b64encode(b"user:" + data).decode(),
        "hex": data.hex(),
        "lines": "\n".join(textwrap.wrap(secret, 6, drop_whitespace=False)),
        "html": "<br/>".join(textwrap.wrap(secret, 9, drop_whitespace=False)),
        "json": json.dumps(json.dumps({"headers": {"key": "\n".join(textwrap.wrap(secret, 8))}})),
    }.get(form, secret)


def forms_of(secret: str) -> set[str]:
    """What must not be found, white space aside."""
    found = {secret, *(twisted(secret, form) for form in ("url", "base64", "hex"))}
    found.add(base64.b64encode(b"user:" + secret.encode()).decode()[8:-4])
    found |= {form[:14] for form in found} | {form[-14:] for form in found if not form.endswith("=")}
    return {"".join(form.split()) for form in found}


async def _misbehave(request: web.Request) -> web.Response:
    text = await request.text()
    heard = [*request.headers.values(), str(request.rel_url), text]
    assert any("PLANTED" in part for part in heard)
    asked = json.loads(text)
    status, form = json.loads(asked["q"] if "q" in asked else asked["messages"][-1]["content"])
    said = " and ".join(twisted(secret, form) for secret in (KEY, URL_KEY, HEADER_KEY))
    if form == "redirect":
        return web.Response(status=307, headers={"Location": f"http://127.0.0.1:9/{quote(said)}"})
    if form == "html":
        return web.Response(status=status, text=f"<html><body>{said}</body></html>", content_type="text/html")
    whole = {
        **{"id": said, "model": said, "system_fingerprint": said, "text": said, "error": {"message": said}},
        "choices": [{"message": {"content": said, "reasoning_content": said}, "finish_reason": said}],
        "usage": {"prompt_tokens": said},
    }
    return web.json_response(whole, status=status, reason="No", headers={"X-Request-Id": quote(said)})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", _misbehave)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield runner.addresses[0][1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(runner.cleanup())
    loop.close()


@pytest.fixture
def folder(tmp_path: Path, port: int) -> Path:
    (tmp_path / "suite.yaml").write_text(SUITE.format(port=port), encoding="utf-8")
    ways = [(status, form) for form in FORMS for status in STATUSES]
    lines = [{"id": f"{status}-{form}-{i}", "q": json.dumps([status, form])} for i, (status, form) in enumerate(ways)]
    (tmp_path / "ways.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return tmp_path


def evalharness_says(folder: Path, *words: str, **environ: str) -> str:
    """What the command prints; its temporary files, caches and home are in `folder`."""
    (folder / "tmp").mkdir(exist_ok=True)
    root = Path(evalharness.__file__).parent.parent
    around = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-m", "evalharness", *words],
        cwd=folder,
        env={
            **around,
            **PLANTED,
            **{"PYTHONPATH": str(root), "TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")},
            **{"PYTHONASYNCIODEBUG": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            "http_proxy": f"http://user:{PASSWORD}@127.0.0.1:9",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 2, 3), done.stderr
    return done.stdout + done.stderr


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """All that lies in `folder`, the compressed parts of record and store as text, too."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "replace")
    for run in (folder / "reports" / "runs").iterdir():
        record = Record.open(run)
        yield f"{run.name}: samples", repr([list(row) for row in record.samples().itertuples()])
        yield f"{run.name}: manifest", repr(record.manifest)
    with ResponseStore.open(folder / "reports" / "responses.sqlite3") as store:
        yield "store", "".join(map(repr, store))


def assert_clean(name: str, text: str) -> None:
    for variant in {"".join(text.split()), "".join(re.sub(r"\\+n|<br/>", "", text).split())}:
        for secret in (KEY, URL_KEY, HEADER_KEY, PASSWORD, UNUSED):
            for form in forms_of(secret):
                assert form not in variant, (name, form)


@pytest.mark.slow
def test_planted_keys_appear_in_nothing_that_is_written(folder: Path) -> None:
    said = evalharness_says(folder, "run", "suite.yaml")
    assert "[redacted]" in said
    assert_clean("run", said)
    for words in (
        ("run", "suite.yaml", "--quiet"),
        ("validate", "suite.yaml", "--live"),
        ("report", "latest"),
        ("runs", "show", "latest"),
        ("cache", "stats"),
        ("cache", "export", "-"),
    ):
        assert_clean(" ".join(words), evalharness_says(folder, *words))
    texts = dict(written(folder))
    assert {"suite.yaml", "reports/responses.sqlite3", "reports/registry.sqlite3", "store"} <= texts.keys()
    assert sum(name.endswith("report.html") for name in texts) == 2
    assert "[redacted]" in texts["store"]
    for name, text in texts.items():
        assert_clean(name, text)


@pytest.mark.slow
def test_the_details_of_an_internal_error_hide_what_the_environment_calls_secret(folder: Path) -> None:
    """A fault of ours, made on purpose, with the key in its message and in a line of its traceback."""
    (folder / "sitecustomize.py").write_text(
        "import os\n"
        "import evalharness.cli.schema as verb\n"
        "def run(args):\n"
        "    raise RuntimeError('\\n'.join([os.environ['API_KEY'], os.environ['OTHER_SECRET']]))\n"
        "verb.run = run\n",
        encoding="utf-8",
    )
    root = Path(evalharness.__file__).parent.parent
    said = evalharness_says(folder, "schema", PYTHONPATH=f"{folder}{os.pathsep}{root}")
    assert "internal error: RuntimeError: [redacted]" in said
    assert_clean("error", said)
    [log] = (folder / "tmp").glob("evalharness-*.log")
    assert "RuntimeError" in log.read_text(encoding="utf-8")
    assert_clean("log", log.read_text(encoding="utf-8"))
