"""What all tests share: a cache of their own, turns among workers, and no silent skip of what CI must run."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# CI looks at the same hundred examples of each property every time, so that what passed once passes again; a
# developer's machine looks at twenty new ones, and `--hypothesis-profile=deep` at two thousand.
settings.register_profile("ci", derandomize=True)
settings.register_profile("quick", max_examples=20)
settings.register_profile("deep", max_examples=2_000)
settings.load_profile("ci" if os.environ.get("EVALHARNESS_CI") else "quick")

# Workers share the cores: without this, each one's torch would start a thread for every core of the machine. Set
# before anything imports torch; the processes that tests start inherit it.
if _WORKERS := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // _WORKERS, 1)))

# More workers than this would want for memory (each may hold torch and models) before they want for cores.
_MOST_WORKERS = 8

# The contrast (WCAG 2) of each text that is seen with what is behind it, by tag and class.
_CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const behind = (node) => {
    for (let e = node; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const node of document.querySelectorAll('main *, header *, nav *, footer *')) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!text || !node.checkVisibility() || getComputedStyle(node).opacity === '0') continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const name = `${node.tagName}.${node.className}`;
    found[name] = Math.min(found[name] || 99, (a + 0.05) / (b + 0.05));
  }
  return found;
}"""


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test wraps its lines by the terminal that the tests were started in, or by what an earlier one left behind."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep tests out of the user's cache, but for those that fetch real models, which are made once and kept there."""
    if request.node.get_closest_marker("real_cache") is None:
        monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path_factory.getbasetemp() / "evalharness-cache"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; for a module, since its event loop would be in the way of others."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "/usr/bin/chromium"))), None)
    if chromium is None:
        pytest.skip("no Chromium here; install one: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, reached over a Unix socket; its database is empty."""
    pytest.importorskip("psycopg")
    found = shutil.which("initdb") or next(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None or os.name != "posix":
        pytest.skip("no PostgreSQL here; install it: apt-get install postgresql")
    tools = Path(found).resolve().parent
    # It refuses to run as root: the server then runs as nobody. A short path: the name of a socket has little room.
    owner = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        folder.chmod(0o777)
        options: dict[str, Any] = {"cwd": folder, "capture_output": True, "check": True, **owner}
        init = [str(tools / "initdb"), "-D", "data", "-A", "trust", "-U", "tester", "--no-sync", "-E", "UTF8"]
        subprocess.run(init, **options)
        control = [str(tools / "pg_ctl"), "-D", "data"]
        start = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run([*control, "-w", "-l", "log", "-o", start, "start"], **options)
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **options)


@pytest.fixture
def contrast() -> str:
    """A script for a page that gives the contrast of each of its texts."""
    return _CONTRAST


WORDS = [
    "The capital of France is Paris, and the capital of Germany is Berlin.",
    "A film that is as good as it is long; the actors are wonderful. Nobody knows why.",
    "the cat sat on the mat . He ran quickly through studies. naïve café 北京 numbers 12345!",
]


def _tokenizer(style: str) -> Any:
    """A byte-level BPE tokenizer that puts what a BERT (or RoBERTa) expects around texts and pairs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    cls, sep, pad = ("[CLS]", "[SEP]", "[PAD]") if style == "bert" else ("<s>", "</s>", "<pad>")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[cls, pad, sep],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(WORDS, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, backend.token_to_id(cls)), (sep, backend.token_to_id(sep))],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"] if style == "bert" else ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token=cls,
        sep_token=sep,
        pad_token=pad,
        model_max_length=64,
        model_input_names=names,
    )


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`networks(style, labels=…, problem=…, seed=…)`: the folder of a tiny random checkpoint."""
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    transformers = pytest.importorskip("transformers", reason="needs the hf extra")
    torch.set_num_threads(1)

    @functools.cache
    def make(style: str = "bert", *, labels: tuple[str, ...] = (), problem: str | None = None, seed: int = 0) -> Path:
        folder = tmp_path_factory.mktemp(f"{style}-{'-'.join(labels) or 'encoder'}".replace(" ", "_"))
        settings = {
            "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "max_position_embeddings": 66, "pad_token_id": 1, "initializer_range": 0.4,
        }  # fmt: skip
        if labels:
            settings |= {"id2label": dict(enumerate(labels)), "problem_type": problem}
            settings |= {"label2id": {label: i for i, label in enumerate(labels)}}
        name = "Bert" if style == "bert" else "Roberta"
        config = getattr(transformers, f"{name}Config")(**settings)
        torch.manual_seed(seed)
        kind = getattr(transformers, f"{name}ForSequenceClassification" if labels else f"{name}Model")
        kind(config).eval().save_pretrained(folder)
        _tokenizer(style).save_pretrained(folder)
        return folder

    return make


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many workers `-n auto` means: the cores that this process may use, up to a number that memory allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)


@contextlib.contextmanager
def _locked(path: Path, *, alone: bool) -> Iterator[None]:
    """Hold the lock of `path`: with others who share it, or alone."""
    import fcntl

    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            # By name: a process that a test has forked keeps a copy of the descriptor, and would keep the lock.
            fcntl.flock(file, fcntl.LOCK_UN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """With several workers, a test marked `alone` waits until the others rest, and they rest until it is over."""
    worker = getattr(item.config, "workerinput", None)
    if worker is None or os.name != "posix":
        return (yield)
    # The folder above the workers' own, which is of this run only.
    folder = Path(item.config._tmp_path_factory.getbasetemp()).parent  # type: ignore[attr-defined]
    with contextlib.ExitStack() as stack:
        # All pass by the door, so that who waits to be alone is not overtaken for ever by those who share.
        with _locked(folder / "alone.door", alone=True):
            stack.enter_context(_locked(folder / "alone.lock", alone=item.get_closest_marker("alone") is not None))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """CI has all that tests need: one that is skipped there for want of it hides a fault."""
    report = yield
    needed = any(
        item.get_closest_marker(name)
        for name in ("browser", "office", "postgresql", "promtool", "real_cache", "served")
    )
    if report.skipped and needed and os.environ.get("EVALHARNESS_CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longrepr}"
    return report
