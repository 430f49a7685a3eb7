"""A run of many samples takes about the memory of one of few."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
version: 1
name: many
models: {m: {backend: fake}}
datasets: {d: {path: d.jsonl, groups: [parity]}}
tasks:
  - {id: echo, dataset: d, prompt: "Say {{ q }}", reference: "{{ q }}", metrics: [exact_match, chrf, rougeL]}
"""
RUN = """
import resource, sys
from evalharness.cli.main import main
code = main(["run", "suite.yaml", "--quiet", "--cache", "off"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def peak_kb(folder: Path, n: int) -> int:
    folder.mkdir()
    rows = ({"q": f"number {i}: {'many words of text ' * 20}", "parity": i % 2} for i in range(n))
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "suite.yaml").write_text(SUITE)
    done = subprocess.run([sys.executable, "-c", RUN], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (manifest,) = folder.glob("reports/runs/*/run.json")
    assert json.loads(manifest.read_text())["tasks"][0]["n_samples"] == n
    return int(done.stderr.split()[-1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_samples(tmp_path):
    few, many = peak_kb(tmp_path / "few", 1_000), peak_kb(tmp_path / "many", 8_000)
    # Held in memory, samples of this size cost 15 kB each: 105 MB more.
    assert many - few < 60_000, (few, many)
