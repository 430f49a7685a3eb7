"""What a page holds for its explorer, and how samples stand beside the baseline's."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.cli.main import main
from evalharness.core.spool import Spool
from evalharness.core.types import Message
from evalharness.record import seal
from evalharness.report.explorer_data import _Column, explorer_blocks
from evalharness.report.html import render_html
from evalharness.report.sample_baseline import Baseline, change_of
from evalharness.report.sample_rows import SharedTexts, size_of
from evalharness.report.samples import CHANGES, SampleBundle, bundle_samples

from .blocks import blocks_of, columns_of, rows_of


def find(rows, sample_id):
    return next(row for row in rows if row["id"] == sample_id)


def test_a_row_comes_out_as_it_went_in(make_record):
    text = render_html(make_record())
    rows, columns = rows_of(text), columns_of(text)
    assert columns["n"] == len(rows) == 24
    assert [row["id"] for row in rows] == columns["columns"]["id"]
    place = columns["columns"]["id"].index("s5")
    row = rows[place]
    assert (row["prompt"], row["choices"]) == ("Review 5: a film \nSentiment:", [" neg", " pos"])
    assert (row["answer"], row["target"], row["groups"]) == ("neg", "pos", ["language=de"])
    assert columns["outcomes"][columns["columns"]["o"][place]] == "wrong"
    assert columns["scores"][0][place] == 0
    assert columns["columns"]["la"][place] == 0.06
    (group,) = columns["groups"]
    assert (group["name"], group["values"][group["of"][place]]) == ("language", "de")
    failed = find(rows, "s4")
    assert failed["error"].startswith("connection lost")
    assert columns["scores"][0][columns["columns"]["id"].index("s4")] is None
    turns = find(rows, "t3")
    assert turns["p"] == [["system", None], ["user", None]]
    assert turns["turns"] == ["Be brief.", "Translate 3: good morning "]
    assert turns["output"] == "Guten Morgen 3 "


def test_large_pages_hold_several_blocks(make_record, monkeypatch):
    monkeypatch.setattr("evalharness.report.explorer_data._BLOCK_CHARS", 1000)
    text = render_html(make_record())
    sizes = columns_of(text)["blocks"]
    assert len(sizes) > 3
    assert sum(sizes) == 24
    assert set(blocks_of(text)) == {"columns", *map(str, range(len(sizes)))}
    assert [row["id"] for row in rows_of(text)] == columns_of(text)["columns"]["id"]


# Whatever a text holds, it is parted where it was joined: `safe` leaves none of the separators.
@given(st.lists(st.text(), min_size=1, max_size=4))
def test_no_text_breaks_its_block(texts):
    from evalharness.report.text import safe

    rows = [
        {"id": safe(text), "t": 0, "m": 0, "o": 2, "s": "ok", "c": False, "p": [safe(text)], "sc": [], "x": safe(text)}
        for text in texts
    ]
    columns, blocks = explorer_blocks(SampleBundle(rows=rows), "run")
    found = rows_of(columns() + "".join(blocks()))
    expected = [safe(text).encode("utf-8", "replace").decode() for text in texts]
    assert [row["prompt"] for row in found] == [row["output"] for row in found] == expected


def test_shared_turns_stand_in_the_page_once(make_record):
    system = "You are careful. " * 50
    text = render_html(make_record(system=system))
    assert columns_of(text)["shared"] == [system]
    row = find(rows_of(text), "t3")
    assert row["p"] == [["system", 0], ["user", None]]
    assert row["turns"] == ["Translate 3: good morning "]


@pytest.mark.parametrize(("n_common", "shared"), [(2, False), (5, True), (10, True)])
def test_only_what_most_samples_share_is_left_out_of_the_search(n_common, shared):
    common = "c" * 300
    prompts = [(Message("user", common if i < n_common else f"{i}" * 300),) for i in range(10)]
    table = Spool()
    texts = SharedTexts(table, {})
    texts.learn(prompts)
    assert (texts.place_of_turn(common) == 0) is shared
    assert texts.place_of_turn("1" * 300) is None


def test_the_baseline_stands_beside(make_record):
    before = make_record(run_id="before-20261101-100000-aaaa", odd="old ")
    record = make_record()
    # Their prompts differ: the digests of this helper do not, and they are what samples are paired on.
    text = render_html(record, baseline=before)
    columns = columns_of(text)
    assert columns["baseline"] == before.id
    row = find(rows_of(text), "t3")
    assert row["output"] == "Guten Morgen 3 "
    assert row["b"]["x"] == "Guten Morgen 3 old "
    assert row["b"]["sc"] == [23.0, None]
    changes = [CHANGES[d] for d in columns["columns"]["d"]]
    assert changes[columns["columns"]["id"].index("t3")] == "changed"
    assert changes[columns["columns"]["id"].index("s5")] == "same"
    assert "Beside each stands what before-20261101-100000-aaaa answered." in text


def test_without_a_baseline_nothing_is_said_of_one(make_record):
    columns = columns_of(render_html(make_record()))
    assert columns["baseline"] == ""
    assert "d" not in columns["columns"]


def test_another_model_of_the_run_is_the_baseline(make_record):
    record = make_record(models=("small", "large"))
    gate = {"state": "pass", "reason": "fine", "baseline_id": "large", "verdicts": []}
    text = render_html(record, gate)
    columns, rows = columns_of(text), rows_of(text)
    assert columns["baseline"] == f"{record.id}:large"
    of_model = {columns["models"][m]: [] for m in columns["columns"]["m"]}
    for row, m in zip(rows, columns["columns"]["m"], strict=True):
        of_model[columns["models"][m]].append("b" in row)
    assert all(of_model["small"])
    assert not any(of_model["large"])


def test_samples_that_the_baseline_has_not(make_record):
    small = make_record(run_id="before-20261101-100000-aaaa", n=6)
    text = render_html(make_record(), baseline=small)
    columns = columns_of(text)
    new = {i for i, d in zip(columns["columns"]["id"], columns["columns"]["d"], strict=True) if CHANGES[d] == "new"}
    assert new == {f"{kind}{i}" for kind in "st" for i in range(6, 12)}
    assert "b" not in find(rows_of(text), "s8")


def test_repeats_stand_beside_repeats(make_record, tmp_path):
    base = make_record(run_id="base")
    first = next(base.iter_samples(task="translate"))

    def record(run_id, texts):
        rows = [
            dataclasses.replace(
                first,
                request=dataclasses.replace(first.request, key=f"{i}" * 64, repeat=i),
                response=dataclasses.replace(first.response, key=f"{i}" * 64, text=text),
            )
            for i, text in enumerate(texts)
        ]
        tasks = tuple(task for task in base.manifest.tasks if task.id == "translate")
        results = tuple(result for result in base.results if result.metric == "bleu")
        manifest = dataclasses.replace(base.manifest, id=run_id, tasks=tasks, results=results)
        return seal(tmp_path / run_id, manifest, rows, [], [])

    text = render_html(record("now", "abc"), baseline=record("before", "abx"))
    assert [row["b"]["x"] for row in rows_of(text)] == ["a", "b", "x"]
    assert [CHANGES[d] for d in columns_of(text)["columns"]["d"]] == ["same", "same", "changed"]


def answer(score=1.0, status="ok", text="a"):
    return {"s": status, "sc": [None, score], "x": text}


@pytest.mark.parametrize(
    ("now", "before", "up", "expected"),
    [
        (answer(), answer(), True, "same"),
        (answer(text="b"), answer(), True, "changed"),
        (answer(0.0), answer(1.0), True, "worse"),
        (answer(0.0), answer(1.0), False, "better"),
        (answer(1.0, text="b"), answer(0.0), True, "better"),
        (answer(None, "error"), answer(), True, "worse"),
        (answer(), answer(None, "judge_failed"), True, "better"),
        (answer(None, "error"), answer(None, "error"), True, "same"),
        (answer(status="truncated"), answer(), True, "changed"),
        (answer(), None, True, "new"),
        (answer(0.0), answer(1.0), None, "changed"),  # one sample of a bias score is neither better nor worse
        (answer(), answer(), None, "same"),
    ],
)
def test_changes(now, before, up, expected):
    assert change_of(now, before, [True, up], None) == expected


def test_the_figure_that_tells_right_from_wrong_decides():
    now, before = {"s": "ok", "sc": [1.0, 0.0]}, {"s": "ok", "sc": [0.0, 1.0]}
    assert change_of(now, before, [True, True], 1) == "worse"
    assert change_of(now, before, [True, True], 0) == "better"


def test_reasoning_and_tool_calls_stand_apart(make_record, monkeypatch):
    from evalharness.report import sample_rows

    record = make_record()
    row = next(record.iter_samples(task="translate"))
    meta = {
        "reasoning_content": "first I think",
        "reasoning_tokens": 12,
        "cost_usd": 0.25,
        "tool_calls": [{"function": {"name": "find", "arguments": '{"a": 1}'}}, "odd"],
    }
    row = dataclasses.replace(row, response=dataclasses.replace(row.response, meta=meta))
    entry = sample_rows.sample_entry(row, [1.0], SharedTexts(Spool(), {}))
    assert (entry["h"], entry["tr"], entry["co"]) == ("first I think", 12, 0.25)
    assert entry["tc"] == ['find({"a": 1})', "odd"]
    assert "first I think" not in entry["x"]


def test_which_limit_bites_is_said(make_record):
    by_number = bundle_samples(make_record(), limit=5)
    assert by_number.cut_by == "samples"
    by_length = bundle_samples(make_record(run_id="two", odd="y" * 1000), max_chars=9_000)
    assert by_length.cut_by == "characters"
    assert 0 < len(by_length.rows) < 24
    assert by_length.rows[0]["id"] == "s4"
    assert bundle_samples(make_record(run_id="three")).cut_by == ""


def test_characters_are_shared_evenly_over_tasks(make_record):
    bundle = bundle_samples(make_record(n=40, odd="y" * 500), max_chars=30_000)
    tasks = [row["t"] for row in bundle.rows if row["o"] > 1]
    assert set(tasks) == {0, 1}
    assert 20_000 < sum(map(size_of, bundle.rows)) <= 30_000


def test_who_says_how_many_gets_them_however_long(make_record, monkeypatch):
    asked = []

    def bundle(record, **options):
        asked.append(options)
        return bundle_samples(record, **{**options, "max_chars": min(3_000, options.get("max_chars", 3_000))})

    monkeypatch.setattr("evalharness.report.html.bundle_samples", bundle)
    record = make_record(odd="y" * 1000)
    text = render_html(record)
    assert "max_chars" not in asked[0]
    assert "the page stops at the length of their texts" in text
    render_html(record, max_samples=24)
    assert asked[1]["limit"] == 24
    assert asked[1]["max_chars"] > 10**12


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)


@pytest.mark.usefixtures("in_folder")
class TestCommand:
    def test_samples_and_baseline(self, make_record, tmp_path, capsys):
        before, record = make_record(run_id="before-20261101-100000-aaaa", odd="old "), make_record()
        assert main(["report", record.id, "--samples", "3", "--baseline", before.id, "--out", "x.html"]) == 0
        text = (tmp_path / "x.html").read_text(encoding="utf-8")
        assert len(rows_of(text)) == 3
        assert columns_of(text)["baseline"] == before.id
        assert main(["report", record.id, "--samples", "3", "--format", "csv"]) == 2
        assert "leave out --samples" in capsys.readouterr().err

    def test_the_gates_baseline_is_found(self, make_record, tmp_path, capsys):
        before, record = make_record(run_id="before-20261101-100000-aaaa", odd="old "), make_record()
        gate = {"state": "pass", "reason": "fine", "baseline_id": before.id, "verdicts": []}
        (record.folder / "gate.json").write_text(json.dumps(gate), encoding="utf-8")
        assert main(["report", record.id, "--out", "x.html"]) == 0
        assert columns_of((tmp_path / "x.html").read_text(encoding="utf-8"))["baseline"] == before.id
        (record.folder / "gate.json").write_text(json.dumps({**gate, "baseline_id": "gone-1"}), encoding="utf-8")
        assert main(["report", record.id, "--out", "x.html"]) == 0
        assert "left out of the report" in capsys.readouterr().err
        assert columns_of((tmp_path / "x.html").read_text(encoding="utf-8"))["baseline"] == ""

    def test_one_sample_as_json(self, make_record, capsys):
        record = make_record(models=("small", "large"), odd="\x1b[31m")
        assert main(["report", record.id, "--sample", "s5", "--model", "large"]) == 0
        out = capsys.readouterr().out
        assert out.isascii()
        (found,) = json.loads(out)
        assert (found["task"], found["model"], found["sample"]["id"]) == ("sentiment", "large", "s5")
        assert found["scores"] == {"accuracy": 0.0}
        assert found["response"]["answer"] == "neg"
        assert main(["report", record.id, "--sample", "s5"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 2

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (["--sample", "no"], "has no sample 'no'"),
            (["--sample", "s5", "--task", "x"], "of task 'x'"),
            (["--sample", "s5", "--format", "md"], "leave --format out"),
            (["--task", "sentiment"], "--task goes with --sample ID"),
        ],
    )
    def test_what_is_wrong_is_said(self, make_record, capsys, more, said):
        assert main(["report", make_record().id, *more]) == 2
        assert said in capsys.readouterr().err


def test_a_baseline_of_other_tasks_is_not_shown(make_record):
    other = make_record(run_id="other-20261101-100000-aaaa", metric="other", results=[])
    record = make_record()
    assert Baseline(other).places(record) == {}
    text = render_html(record, baseline=other)
    assert columns_of(text)["baseline"] == ""


@given(st.dictionaries(st.integers(0, 60), st.one_of(st.integers(-3, 3), st.text(max_size=3), st.floats(0, 1))))
def test_a_column_of_json_is_its_values_with_gaps_filled(short_columns, values):
    column, n = _Column(-1), 64
    for row in sorted(values):
        column.put(row, values[row])
    assert json.loads(column.json(n)) == [values.get(row, -1) for row in range(n)]
    assert column.has_any == bool(values)


@pytest.fixture(scope="module")
def short_columns():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evalharness.report.explorer_data._COLUMN_VALUES", 7)
        yield
