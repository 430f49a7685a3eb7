"""The verb `serve`: a process that answers and ends cleanly, and what is wrong said before weights are loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from evalharness.cli.main import main

SUITE = """
version: 1
name: served
models:
  tiny: {{backend: hf-causal, path: {folder}, max_length: 20}}
  many: {{backend: hf-causal, path: {folder}, devices: all}}
  other: {{backend: fake}}
datasets:
  rows: {{rows: [{{q: a}}]}}
tasks:
  - {{id: t, dataset: rows, prompt: "{{{{ q }}}}"}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random Llama."""
    pytest.importorskip("torch", reason="needs the hf extra")
    path = Path(__file__).parents[1] / "models" / "huggingface" / "conftest.py"
    spec = importlib.util.spec_from_file_location("hf_test_models", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    found = tmp_path_factory.mktemp("served") / "tiny-llama"
    maker.make_model("llama", "causal").save_pretrained(found)
    maker.make_tokenizer("plain", template=maker.TEMPLATE).save_pretrained(found)
    return found


def asked(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
        return json.loads(answer.read())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serves_until_a_signal(folder, tmp_path, number, code):
    arguments = [str(folder), "--max-length", "64"]
    if number == signal.SIGTERM:
        (tmp_path / "suite.yaml").write_text(SUITE.format(folder=folder))
        arguments = ["--suite", str(tmp_path / "suite.yaml"), "--name", "tiny", "--dtype", "bfloat16"]
    command = [sys.executable, "-m", "evalharness", "serve", *arguments, "--port", "0", "--device", "cpu"]
    environment = {**os.environ, "EVALHARNESS_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.endswith("; Ctrl-C ends it\n"), line + process.stderr.read()
            name, url = line.split()[1], line.split()[4].rstrip(";")
            (model,) = asked(f"{url}/models")["data"]
            assert model["id"] == name
            assert model["max_model_len"] == (64 if number == signal.SIGINT else 20)
            answer = asked(f"{url}/completions", {"prompt": "The capital", "max_tokens": 3, "temperature": 0})
            assert answer["usage"]["completion_tokens"] <= 3
            turns = [{"role": "user", "content": "yes"}]
            chat = asked(f"{url}/chat/completions", {"messages": turns, "max_tokens": 2, "temperature": 0})
            assert chat["choices"][0]["message"]["role"] == "assistant"
            process.send_signal(number)
            _, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == code
    assert error == ""


def test_a_port_that_is_in_use(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", str(folder), "--port", port, "--device", "cpu"]) == 2
    assert f"port {port} on 127.0.0.1 is in use; name another with --port" in capsys.readouterr().err


def test_only_causal_models_are_served(tmp_path, capsys):
    folder = tmp_path / "translator"
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "is_encoder_decoder": true}'
    )
    (folder / "model.safetensors").write_bytes(b"")
    assert main(["serve", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "T5ForConditionalGeneration, which hf-causal cannot run; only causal language models can be served" in error
    assert "backend:" not in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name what to serve"),
        (["./no-such-folder"], "does not exist"),
        (["{folder}", "--name", "x"], "it needs --suite"),
        (["{folder}", "--suite", "{suite}"], "not both"),
        (["--suite", "{suite}"], "--suite needs --name, one of its models; it has: tiny, many, other"),
        (["--suite", "{suite}", "--name", "tinyy"], "did you mean 'tiny'?"),
        (["--suite", "{suite}", "--name", "other"], "only hf-causal models can be served"),
        (["--suite", "{suite}", "--name", "many"], "'many' has `devices`; one copy is served: choose its GPU"),
        (["{folder}", "--device", "gpu"], "--device 'gpu'"),
        (["{folder}", "--host", "no such host"], "no such address"),
        (["{folder}", "--api-key-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (["{folder}", "--port", "99999"], "must be from 0 to 65535"),
        (["{folder}", "--max-length", "2"], "must be 8 or more"),
    ],
)
def test_what_is_wrong_is_said(folder, tmp_path, capsys, arguments, words):
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.format(folder=folder))
    filled = [argument.format(folder=folder, suite=suite) for argument in arguments]
    assert main(["serve", *filled]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
