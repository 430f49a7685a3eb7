"""The receiver as a process of its own: what it acknowledged is on the disk, however it ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from evalharness.cli import monitor_receive

RUN = """
import argparse, sys
from evalharness.cli import monitor_receive
parser = argparse.ArgumentParser()
monitor_receive.add_arguments(parser)
sys.exit(monitor_receive.run(parser.parse_args()))
"""


def _body(number: int) -> bytes:
    attributes = [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]
    span = {"spanId": f"{number:016x}", "endTimeUnixNano": "1795343415000000000", "attributes": attributes}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_what_was_acknowledged_is_kept(tmp_path: Path, number: int, code: int) -> None:
    spool = tmp_path / "spool"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(spool), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+/v1/traces", line)
        assert found is not None, line
        for k in range(20):
            request = urllib.request.Request(found[0], data=_body(k), headers={"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200
        process.send_signal(number)
        assert process.wait(timeout=30) == code
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    (file,) = spool.iterdir()
    assert [json.loads(row)["id"] for row in file.read_text().splitlines()] == [f"{k:016x}" for k in range(20)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--token-env"),
        (["--token-env", "NO_SUCH_VARIABLE"], "export NO_SUCH_VARIABLE"),
        (["--redact", "emial"], "did you mean 'email'"),
    ],
)
def test_bad_options(tmp_path: Path, arguments: list[str], message: str) -> None:
    import argparse

    from evalharness.core.errors import UsageError

    parser = argparse.ArgumentParser()
    monitor_receive.add_arguments(parser)
    with pytest.raises(UsageError, match=message):
        monitor_receive.run(parser.parse_args([str(tmp_path / "spool"), *arguments]))
    assert not (tmp_path / "spool").exists()
