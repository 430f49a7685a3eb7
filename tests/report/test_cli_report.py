import csv
import io
import json
import re
from urllib.parse import unquote

import pandas as pd
import pytest

from evalharness.cli.main import main


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)


def test_html_goes_beside_the_record(make_record, capsys):
    record = make_record()
    assert main(["report", record.id]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "report.html" in shown.err
    assert (record.folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_page_is_in_the_language_that_is_asked_for(make_record, tmp_path, capsys):
    record = make_record()
    assert main(["report", record.id, "--language", "zh", "--out", "zh.html"]) == 0
    assert '<html lang="zh">' in (tmp_path / "zh.html").read_text(encoding="utf-8")
    assert main(["report", record.id, "--out", "en.html"]) == 0
    assert '<html lang="en">' in (tmp_path / "en.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["report", record.id, "--language", "zh", "--format", "md"]) == 2
    assert "--format md speaks English; leave out --language" in capsys.readouterr().err
    assert main(["report", record.id, "--language", "fr"]) == 2
    assert "invalid choice: 'fr' (choose from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "start"), [("x.html", "<!doctype"), ("x.md", "# quick"), ("x.csv", "run,"), ("x.json", "{")]
)
def test_the_ending_tells_the_format(make_record, tmp_path, out, start):
    assert main(["report", str(make_record().folder), "--out", f"deep/{out}"]) == 0
    assert (tmp_path / "deep" / out).read_text(encoding="utf-8").startswith(start)


def test_csv_and_json_are_printed(make_record, capsysbinary):
    record = make_record()
    assert main(["report", record.id, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode("utf-8"))))
    assert len(rows) == len(record.results)
    assert main(["report", record.id, "--format", "json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["id"] == record.id
    assert main(["report", record.id, "--format", "csv", "--table", "samples"]) == 0
    assert len(list(csv.reader(io.StringIO(capsysbinary.readouterr().out.decode("utf-8"))))) == 25


def test_parquet(make_record, tmp_path, capsys):
    record = make_record()
    assert main(["report", record.id, "--table", "scores", "--out", "s.parquet"]) == 0
    assert set(pd.read_parquet(tmp_path / "s.parquet")["metric"]) == {"accuracy", "bleu"}
    assert main(["report", record.id, "--format", "parquet"]) == 2
    assert "--out FILE.parquet" in capsys.readouterr().err


def test_console(make_record, capsys):
    record = make_record()
    assert main(["report", record.id, "--format", "console"]) == 0
    assert "27.31" in capsys.readouterr().out
    assert main(["report", record.id, "--format", "console", "--out", "x"]) == 2


def test_markdown_to_the_pipe(make_record, capsysbinary):
    assert main(["report", make_record().id, "--format", "md", "--out", "-"]) == 0
    assert capsysbinary.readouterr().out.decode("utf-8").startswith("# quick")


def test_the_gates_verdict_is_shown(make_record, capsys):
    record = make_record()
    (record.folder / "gate.json").write_text(
        json.dumps({"state": "inconclusive", "reason": "Too few.", "verdicts": []}), encoding="utf-8"
    )
    assert main(["report", record.id]) == 0
    assert "Too few." in (record.folder / "report.html").read_text(encoding="utf-8")
    (record.folder / "gate.json").write_text("{", encoding="utf-8")
    assert main(["report", record.id]) == 2
    assert "evalharness gate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--format", "pdf"], ["--max-samples", "-1"], ["--table", "none"], ["--max-samples", "x"]]
)
def test_wrong_options(make_record, arguments):
    assert main(["report", str(make_record().folder), *arguments]) == 2


def test_no_such_record_and_no_such_place(make_record, tmp_path, capsys):
    assert main(["report", "nowhere"]) == 2
    (tmp_path / "file").write_text("")
    assert main(["report", str(make_record().folder), "--out", "file/x.html"]) == 2
    message = capsys.readouterr().err
    assert "--out" in message
    assert "Traceback" not in message
    assert "internal error" not in message


def test_max_samples(make_record, tmp_path):
    assert main(["report", str(make_record().folder), "--out", "x.html", "--max-samples", "0"]) == 0
    assert "0 of 24 answers" in (tmp_path / "x.html").read_text(encoding="utf-8")


def rate(**more):
    from evalharness.record import Rating, RunRegistry

    rating = {"task": "sentiment", "model": "small", "sample_id": "s1", "repeat": 0, "rater": "anna", "value": 4.0}
    with RunRegistry.open() as registry:
        registry.add_ratings([Rating(question="scale", **{**rating, **more})])


def test_what_people_said_stands_in_the_report(make_record, capsys):
    record = make_record()
    rate(run_id=record.id)
    rate(run_id="another-run", value=1.0)
    assert main(["report", record.id, "--format", "console"]) == 0
    assert "sentiment · people (scale): 1 rater, 1 rating; small 4.000" in capsys.readouterr().out
    for name in ("report.html", "report.md"):
        assert main(["report", record.id, "--out", name]) == 0
    assert main(["runs", "show", record.id]) == 0
    assert "people (scale)" in capsys.readouterr().out
    for name in ("report.html", "report.md"):
        with open(name, encoding="utf-8") as file:
            assert "Ratings by people" in file.read()


def test_a_registry_that_cannot_be_read_is_said_and_the_report_is_there(make_record, tmp_path, capsys):
    record = make_record()
    (tmp_path / "reports" / "registry.sqlite3").write_bytes(b"not a database at all, but long enough" * 40)
    assert main(["report", str(record.folder), "--out", "x.md"]) == 0
    assert "people's ratings are left out of the report: registry" in capsys.readouterr().err
    assert (tmp_path / "x.md").exists()


def test_markdown_in_a_file_has_its_charts_beside_it(make_record, tmp_path, capsys):
    record = make_record(n=40)
    assert main(["report", record.id, "--out", "my report.md"]) == 0
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (tmp_path / "my report.md").read_text(encoding="utf-8"))
    files = sorted(path.name for path in (tmp_path / "my report-pictures").iterdir())
    assert [unquote(path) for path in shown] == [f"my report-pictures/{name}" for name in files]
    assert files
    assert (tmp_path / "my report-pictures" / files[0]).read_text(encoding="utf-8").startswith("<svg")
    # What an earlier report left is removed, what somebody else put there is not.
    (tmp_path / "my report-pictures" / "99-old.svg").write_text("old")
    (tmp_path / "my report-pictures" / "mine.svg").write_text("mine")
    assert main(["report", record.id, "--out", "my report.md"]) == 0
    assert sorted(path.name for path in (tmp_path / "my report-pictures").iterdir()) == [*files, "mine.svg"]
    capsys.readouterr()
    assert main(["report", record.id, "--format", "md", "--out", "-"]) == 0
    assert "![" not in capsys.readouterr().out


def test_a_workbook_goes_beside_the_record(make_record, capsys):
    record = make_record()
    assert main(["report", record.id, "--format", "xlsx"]) == 0
    assert "report.xlsx" in capsys.readouterr().err
    assert set(pd.read_excel(record.folder / "report.xlsx", sheet_name=None)) >= {"metrics", "samples", "scores"}
    assert main(["report", record.id, "--format", "xlsx", "--out", "-"]) == 2
    assert "is not text" in capsys.readouterr().err


def test_the_baseline_that_is_asked_for_must_be_there(make_record, capsys):
    record = make_record()
    assert main(["report", record.id, "--baseline", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err
    assert main(["report", record.id, "--baseline", record.id, "--format", "csv"]) == 2
    assert "--format csv compares nothing" in capsys.readouterr().err
    before = make_record(run_id="quick-before")
    assert main(["report", record.id, "--baseline", before.id]) == 0
    assert "Against the baseline" in (record.folder / "report.html").read_text(encoding="utf-8")


def test_a_baseline_that_is_gone_is_left_out_and_said(make_record, capsys):
    record = make_record()
    gate = {"state": "pass", "reason": "All hold.", "baseline_id": "gone", "verdicts": []}
    (record.folder / "gate.json").write_text(json.dumps(gate))
    assert main(["report", record.id]) == 0
    assert "the baseline is left out of the report" in capsys.readouterr().err
