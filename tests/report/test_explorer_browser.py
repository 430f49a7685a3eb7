"""The explorer in a real browser."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import random
import re
from pathlib import Path

import pytest

from evalharness.core.canonical import digest
from evalharness.core.cells import csv_line, neutral
from evalharness.core.types import Message, Request, Response, Sample
from evalharness.record import SampleRow, ScoreRow, StatsRow, TaskSummary, seal
from evalharness.report.html import render_html
from evalharness.report.worddiff import word_diff

from .payloads import PAYLOADS
from .test_spreadsheets import PAYLOADS as FORMULAS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def options(page):
    return page.locator("#rows [role=option]")


def ids(page):
    return page.evaluate("[...document.querySelectorAll('#rows .row .id')].map((node) => node.textContent)")


def settled(page, act):
    """Do what changes the list, and wait until it has changed."""
    before = int(page.locator("#explorer").get_attribute("data-turn"))
    act()
    page.wait_for_function("n => Number(document.getElementById('explorer').dataset.turn) > n", arg=before)


def said(page, text):
    page.wait_for_function("t => document.getElementById('count').textContent === t", arg=text)


def is_open(page, sample_id):
    page.wait_for_function(
        "id => !document.getElementById('sample').hidden "
        "&& document.querySelector('#sample-h bdi').textContent === id && !document.hidden",
        arg=sample_id,
    )


def test_search(make_record, open_page):
    page = open_page(render_html(make_record(models=("small", "large"))))
    said(page, "48 samples")
    page.fill("#f-text", "GUTEN morgen 7")
    said(page, "2 samples of 48")
    assert set(ids(page)) == {"t7"}
    assert page.locator("#rows mark").first.inner_text().lower() == "guten"
    page.fill("#f-text", '"morgen guten"')
    said(page, "No sample matches; change the search or the filters.")
    page.fill("#f-text", "morgen guten 11")
    said(page, "2 samples of 48")
    page.check("#f-regex")
    page.fill("#f-text", "^guten morgen 1[01]\\s*$")
    said(page, "4 samples of 48")
    page.fill("#f-text", "guten (")
    page.wait_for_function("() => document.getElementById('count').textContent.startsWith('This is no regular')")
    assert page.locator("#f-text").get_attribute("aria-invalid") == "true"
    page.fill("#f-text", "")
    said(page, "48 samples")
    assert page.locator("#f-text").get_attribute("aria-invalid") is None


def test_filters(make_record, open_page):
    page = open_page(render_html(make_record(models=("small", "large"))))
    shown = page.locator("#f-show option").all_inner_texts()
    assert shown == ["all (48)", "failed (2)", "wrong (6)", "scored (24)", "right (16)", "errors (2)"]
    page.select_option("#f-show", label="wrong (6)")
    said(page, "6 samples of 48")
    page.select_option("#f-model", label="large")
    said(page, "3 samples of 48")
    page.select_option("#f-show", label="errors (2)")
    said(page, "1 sample of 48")
    page.select_option("#f-show", "")
    page.select_option("#f-model", "")
    page.select_option("#f-group", label="language=de (16)")
    said(page, "16 samples of 48")
    page.select_option("#f-group", "")
    page.select_option("#f-metric", label="bleu")
    page.fill("#f-low", "22")
    page.fill("#f-high", "24.5")
    said(page, "6 samples of 48")
    assert set(ids(page)) == {"t2", "t3", "t4"}


def test_orders(make_record, open_page):
    page = open_page(render_html(make_record(n=12)))
    assert ids(page)[:4] == ["s4", "s0", "s5", "s10"]
    for order, first in {"latency": "t0", "id": "s0", "score": "s0", "length": "t10"}.items():
        settled(page, lambda order=order: page.select_option("#f-order", order))
        assert ids(page)[0] == first, order
    settled(page, lambda: page.select_option("#f-order", "id"))
    assert ids(page)[:12] == [f"s{i}" for i in range(12)]  # by number, not by digit
    settled(page, lambda: page.click("#f-turn"))
    assert ids(page)[0] == "t11"
    assert page.locator("#f-turn").get_attribute("aria-pressed") == "true"
    assert page.locator("#f-order option").all_inner_texts() == [
        "wrong first", "id", "score, lowest", "latency, longest", "output tokens, most", "output, longest",
    ]  # fmt: skip


def test_the_sample_that_is_open(make_record, open_page):
    page = open_page(render_html(make_record()))
    page.fill("#f-text", "s5 film")
    said(page, "1 sample of 24")
    options(page).first.click()
    is_open(page, "s5")
    text = page.locator("#sample").inner_text()
    for part in ("Review 5", "Sentiment:", "target", "answer", "−1.5", "accuracy", "language", "de", "60 ms"):
        assert part in text, part
    assert page.evaluate("location.hash") == "#sample=s5&task=sentiment"
    page.click("#close")
    assert page.locator("#sample").is_hidden()
    assert page.evaluate("location.hash") == ""
    settled(page, lambda: page.fill("#f-text", "t3"))
    options(page).first.click()
    is_open(page, "t3")
    assert page.locator(".turn .role").all_inner_texts() == ["system", "user"]
    assert "Guten Morgen 3" in page.locator("#sample").inner_text()


def test_keys(make_record, open_page):
    page = open_page(render_html(make_record()))
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == "rows"
    assert options(page).first.get_attribute("aria-selected") == "true"
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    is_open(page, "s0")
    page.keyboard.press("j")
    is_open(page, "s5")
    page.keyboard.press("k")
    is_open(page, "s0")
    page.keyboard.press("ArrowDown")
    assert options(page).nth(2).get_attribute("aria-selected") == "true"
    page.keyboard.press("Escape")
    assert page.locator("#sample").is_hidden()
    page.keyboard.press("End")
    place = page.locator("#rows [aria-selected=true]").get_attribute("aria-posinset")
    assert place == "24"
    assert page.locator("#rows").get_attribute("aria-activedescendant") == page.locator(
        "#rows [aria-selected=true]"
    ).get_attribute("id")
    page.keyboard.press("Home")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "f-text"
    page.keyboard.type("j/k?")
    assert page.input_value("#f-text") == "j/k?"
    said(page, "No sample matches; change the search or the filters.")
    page.keyboard.press("Escape")
    said(page, "24 samples")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("j")  # belongs to the dialog
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    page.locator("#rows").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "rows"


def test_links(make_record, open_page):
    text = render_html(make_record(models=("small", "large"), odd="a/b&c"))
    page = open_page(text, hash="#sample=s7&model=large")
    is_open(page, "s7")
    assert "sentiment · large" in page.locator("#sample-h").inner_text()
    assert page.locator("#rows").bounding_box()["y"] < 300
    page.evaluate("location.hash = 'sample=t2'")
    is_open(page, "t2")
    page.evaluate("location.hash = 'sample=nobody'")
    page.evaluate("location.hash = 'results'")
    is_open(page, "t2")


def test_copies(make_record, open_page):
    page = open_page(render_html(make_record(odd="it's"), baseline=make_record(run_id="before-1")))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.fill("#f-text", "t3")
    said(page, "1 sample of 24")
    options(page).first.click()
    is_open(page, "t3")
    page.click("#copy-json")
    page.wait_for_function("() => document.getElementById('copied').textContent === 'JSON copied.'")
    found = page.evaluate("async () => JSON.parse(await navigator.clipboard.readText())")
    assert (found["sample_id"], found["task"], found["model"]) == ("t3", "translate", "small")
    assert found["prompt"][1]["content"] == "Translate 3: good morning it's"
    assert found["scores"] == {"bleu": 23, "chrf": None}
    assert found["baseline"]["text"] == "Guten Morgen 3 "
    page.click("#copy-command")
    page.wait_for_function("() => document.getElementById('copied').textContent === 'Command copied.'")
    command = page.evaluate("async () => await navigator.clipboard.readText()")
    assert command == ("evalharness report quick-20261121-100000-abcd --sample t3 --task translate --model small")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.click("#copy-command")
    assert page.input_value("#copy-text") == command


def _saved(page, kind):
    with page.expect_download() as waiting:
        page.click(f"#save-{kind}")
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_text(encoding="utf-8")


def test_what_is_listed_is_saved(make_record, open_page):
    odd = '=SUM(1)",\n+1'
    page = open_page(
        render_html(make_record(models=("small", "large"), odd=odd), baseline=make_record(run_id="before"))
    )
    page.select_option("#f-task", label="sentiment")
    page.select_option("#f-order", label="id")
    settled(page, lambda: page.select_option("#f-group", label="language=de (16)"))
    said(page, "16 samples of 48")
    name, text = _saved(page, "json")
    assert name == "quick-20261121-100000-abcd-samples.json"
    rows = json.loads(text)
    assert [row["sample_id"] for row in rows[:4]] == ["s1", "s1", "s2", "s2"]
    assert {row["groups"]["language"] for row in rows} == {"de"}
    name, text = _saved(page, "csv")
    assert name.endswith("-samples.csv")
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(table) == 16
    for cells, row in zip(table, rows, strict=True):
        for column in ("task", "model", "sample_id", "prompt", "target", "status", "text", "answer", "error"):
            assert cells[column].removeprefix("'") == (row.get(column) or ""), column
        assert cells["group_language"] == row["groups"]["language"]
        for metric, value in row["scores"].items():
            assert cells[f"score_{metric}"] == ("" if value is None else str(value))
        assert cells["baseline_answer"] == ((row.get("baseline") or {}).get("answer") or "")
    page.fill("#f-text", "nothing such")
    said(page, "No sample matches; change the search or the filters.")
    assert page.locator("#save-csv").is_disabled()


def test_no_saved_cell_is_a_formula(make_record, open_page):
    payloads = [*FORMULAS, "-1.5e3", "+inf", "plain", "a,b", "-", ""]
    page = open_page(render_html(make_record(n=1)))
    made = page.evaluate("(texts) => texts.map(saving.cell)", payloads)
    for payload, cell in zip(payloads, made, strict=True):
        assert cell == csv_line([neutral(payload)]).removesuffix("\n"), payload


def test_beside_the_baseline(make_record, open_page):
    before = make_record(run_id="before-20261101-100000-aaaa", odd="everyone")
    page = open_page(render_html(make_record(odd="all of you"), baseline=before))
    page.select_option("#f-show", label="changed (12)")
    said(page, "12 samples of 24")
    page.fill("#f-text", "t3")
    said(page, "1 sample of 24")
    assert "≠ changed" in options(page).first.inner_text()
    options(page).first.click()
    is_open(page, "t3")
    assert page.locator("#sample ins").all_inner_texts() == ["all of you"]
    assert page.locator("#sample del").all_inner_texts() == ["everyone"]
    assert "baseline" in page.locator("#sample table").inner_text()


def test_words_are_compared_as_in_python(make_record, open_page):
    page = open_page(render_html(make_record(n=1)))
    rng = random.Random(0)
    words = ["the", "cat", "sat", " ", "  ", "\n", ".", "天气", "猫", "naïve", "x_1", "—", "it's", "42"]
    pairs = [
        ("".join(rng.choices(words, k=rng.randint(0, 30))), "".join(rng.choices(words, k=rng.randint(0, 30))))
        for _ in range(300)
    ]
    pairs += [("a b " * 600, "a c"), ("", ""), ("same", "same")]
    found = page.evaluate("(pairs) => pairs.map(([a, b]) => wordDiff(a, b))", pairs)
    for (old, new), sides in zip(pairs, found, strict=True):
        expected = [[[piece.kind, piece.text] for piece in side] for side in word_diff(old, new)]
        assert sides == expected, (old, new)


def test_ten_thousand_samples(make_record, open_page):
    page = open_page(render_html(make_record(n=5000, prefix="Example of a preamble.\n" * 40)))
    said(page, "10,000 samples")
    assert options(page).count() < 60
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 3000
    page.keyboard.press("j")
    page.keyboard.press("End")
    assert options(page).last.get_attribute("aria-posinset") == "10000"
    assert options(page).last.get_attribute("aria-setsize") == "10000"
    page.evaluate("document.getElementById('rows').scrollTop = 0")
    page.wait_for_function("() => document.querySelector('#rows .id').textContent === 's4'")
    # What is active is not made, and so not named.
    assert page.locator("#rows").get_attribute("aria-activedescendant") is None
    page.fill("#f-text", "t4999")
    said(page, "1 sample of 10,000")
    assert ids(page) == ["t4999"]


def _hostile(make_record, tmp_path: Path):
    """A sample for each payload, which stands in all of its texts at once, and hostile names besides."""
    base = make_record(run_id="base")
    rows, scores, stats = [], [], []
    worst = "</script><img src=x onerror=window.hacked=1>"
    for i, text in enumerate(PAYLOADS):
        turns = (Message("system", text), Message("user", text))
        sample = Sample(
            id=f"{i} {text}",
            digest=digest([i]),
            prompt=turns if i % 2 else text,
            references=(text,),
            choices=(text, f" {text}") if i % 3 == 0 else (),
            target=text,
            groups={"kind": text, f"g{i % 3}{worst}": text},
            cluster=text,
        )
        request = Request(key=digest(["r", i]), model=worst, kind="generate", sample_id=sample.id, prompt=sample.prompt)
        verdict = {"model": text, "repeat": 0, "order": None, "status": "ok", "label": text, "value": None}
        response = Response(
            key=request.key,
            status="error" if i % 5 == 0 else "ok",
            text=None if i % 5 == 0 else text,
            answer=f"{text}!",
            error=text if i % 5 == 0 else None,
            finish_reason=text,
            label_probabilities={text: 0.5},
            meta={
                "reasoning_content": text,
                "tool_calls": [{"function": {"name": text, "arguments": text}}],
                "judged": {text: {"value": 1.0, "verdicts": [{**verdict, "explanation": text, "reason": None}]}},
            },
        )
        rows.append(SampleRow(worst, worst, sample, request, response))
        if i % 5:
            scores.append(ScoreRow(worst, worst, worst, sample.id, sample.digest, 1.0))
            stats.append(StatsRow(worst, worst, worst, sample.id, sample.digest, None, (1.0, 1.0)))
    result = dataclasses.replace(
        base.results[0], task=worst, model=worst, metric=worst, columns=("hits", "n"), totals=(1.0, 1.0)
    )

    def record(run_id, more):
        manifest = dataclasses.replace(
            base.manifest,
            id=run_id,
            models={worst: {"backend": worst}},
            tasks=(TaskSummary(worst, worst, "generate", {}, len(rows), len(rows), {"ok": len(rows)}),),
            results=(result,),
        )
        changed = [
            dataclasses.replace(row, response=dataclasses.replace(row.response, text=more + (row.response.text or "")))
            for row in rows
        ]
        return seal(tmp_path / run_id, manifest, changed, scores, stats)

    return record("hostile", ""), record("hostile-before", "before <b>")


def test_no_payload_runs(make_record, open_page, tmp_path):
    assert len(set(PAYLOADS)) >= 300
    record, before = _hostile(make_record, tmp_path)
    page = open_page(render_html(record, baseline=before))
    said(page, f"{len(PAYLOADS)} samples")
    elements = "() => [...new Set([...document.querySelectorAll('main *')].map((node) => node.localName))].sort()"
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sample:not([hidden])")
    known = set(page.evaluate(elements))
    for i in range(len(PAYLOADS)):
        number = page.evaluate("document.querySelector('#sample-h bdi').textContent").split(" ")[0]
        assert number.isdigit()
        # Everything that can be opened is, with what was searched for marked.
        page.evaluate("document.querySelectorAll('#sample details').forEach((node) => { node.open = true; })")
        if i + 1 < len(PAYLOADS):
            page.keyboard.press("j")
            page.wait_for_function(
                "n => document.querySelector('#sample-h bdi').textContent.split(' ')[0] !== n", arg=number
            )
    page.fill("#f-text", "<script>")
    page.wait_for_selector("#rows mark")
    page.check("#f-regex")
    settled(page, lambda: page.fill("#f-text", "on\\w+=window"))
    page.select_option("#f-group", index=3)
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("({}).hacked") is None
    assert set(page.evaluate(elements)) <= known | {"mark", "details", "summary", "ins", "del", "table", "thead"}
    assert not {"img", "script", "iframe", "video", "object", "form"} & (set(page.evaluate(elements)) - {"form"})
    names = page.evaluate(
        "() => [...document.querySelectorAll('#explorer *')].flatMap((node) => node.getAttributeNames())"
    )
    assert not any(re.match("on|src|style$", name) for name in names if name != "style")
    assert page.evaluate("[...document.querySelectorAll('#explorer a')].length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(make_record, browser, tmp_path, scheme):
    import axe_core_python

    script = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    path = tmp_path / "page.html"
    path.write_text(
        render_html(make_record(system="Be kind. " * 40), baseline=make_record(run_id="before-1", odd="x")), "utf-8"
    )
    # The page's own policy keeps axe out, too: it is put in past it.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{path.as_uri()}#sample=t3")
    is_open(page, "t3")
    page.evaluate(script)
    seen = ["{}: {}".format(v["id"], v["nodes"][0]["html"]) for v in page.evaluate("axe.run()")["violations"]]
    page.keyboard.press("?")
    seen += ["{}: {}".format(v["id"], v["nodes"][0]["html"]) for v in page.evaluate("axe.run('#help')")["violations"]]
    context.close()
    assert seen == []


@pytest.mark.parametrize("width", [360, 800, 2560])
def test_it_fits(make_record, open_page, width):
    long = "W" * 300
    record = make_record(odd=long, models=(f"model{long}", "b"), metric=f"metric{long}", system=long)
    page = open_page(render_html(record, baseline=make_record(run_id="before-1", odd="w" * 300)), width=width)
    for place in (0, 2, 5):
        options(page).nth(place).click()
        page.wait_for_selector("#sample:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("?")
    box = page.locator("#help").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
