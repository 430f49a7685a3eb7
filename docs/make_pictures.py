"""Makes `reports/sample/` and the screenshots of README and docs from a run of suites/quickstart.yaml.

    python docs/make_pictures.py [--record FOLDER]

Without `--record` the suite is run first, which needs what `make quickstart` fetches. Needs Chromium and Playwright.
The sample is what `evalharness report` writes of the run: the page, Markdown with its pictures, the verdict as JSON.
make_dashboard_pictures.py takes the pictures of the dashboard.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SAMPLE, PICTURES = ROOT / "reports" / "sample", ROOT / "docs" / "pictures"
MOST_BYTES = 200_000


class Shot(NamedTuple):
    """A picture: its name, the size and scheme of the screen, and the part of the page that is at the top."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]
    section: str = ""


SHOTS = (
    Shot("report-light", 1280, 860, "light"),
    Shot("report-dark", 1280, 860, "dark"),
    Shot("report-results", 1280, 900, "light", "results"),
    Shot("report-samples", 1280, 760, "light", "samples"),
    Shot("report-phone", 390, 844, "light"),
)


def main() -> int:
    """Make all of them; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="a sealed run of the suite, instead of a new one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        write_sample(args.record or run_suite(Path(temporary)))
    take_pictures()
    return 0


def run_suite(reports: Path) -> Path:
    """Run the suite; returns the folder of its record."""
    suite = str(Path("suites", "quickstart.yaml"))
    command = [sys.executable, "-m", "evalharness", "run", suite, "--reports", str(reports)]
    subprocess.run(command, cwd=ROOT, check=True)
    (record,) = (reports / "runs").iterdir()
    return record


def write_sample(record: Path) -> None:
    """Write the reports of `record` into the folder of the sample."""
    shutil.rmtree(SAMPLE, ignore_errors=True)
    SAMPLE.mkdir(parents=True)
    for name in ("report.html", "report.md"):
        command = [sys.executable, "-m", "evalharness", "report", str(record), "--out", str(SAMPLE / name)]
        # A folder that is no reports folder: neither history nor ratings of this machine come into the sample.
        subprocess.run([*command, "--reports", str(record / "none")], cwd=ROOT, check=True)
    shutil.copy(record / "gate.json", SAMPLE / "gate.json")


def take_pictures() -> None:
    """Screenshots of the sample's page."""
    with chromium() as browser:
        for shot in SHOTS:
            shoot(browser, shot, (SAMPLE / "report.html").as_uri(), ready="#explorer:not([hidden])")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser that takes them."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def shoot(browser: Any, shot: Shot, address: str, *, ready: str = "main") -> None:
    """Take a picture of the page at `address` once `ready` is there."""
    size = {"width": shot.width, "height": shot.height}
    page = browser.new_page(viewport=size, color_scheme=shot.scheme)
    page.goto(address)
    page.wait_for_selector(ready)
    if shot.section:
        page.evaluate("id => document.getElementById(id).scrollIntoView({behavior: 'instant'})", shot.section)
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{shot.name}.png"
    page.screenshot(path=path)
    page.close()
    written = path.stat().st_size
    assert written < MOST_BYTES, f"{path.name} has {written:,} bytes; show less of the page"
    print(f"{path.relative_to(ROOT)}: {written:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
