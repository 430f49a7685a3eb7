"""The page in a real browser: rated by keys, resumed, blind, and nothing of the data runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evalharness.annotate.question import label_question, pair_question, scale_question
from evalharness.record import RunRegistry

from ..report.payloads import FOREIGN, batches
from .conftest import MODELS, RUN

Make = Callable[..., Any]
pytestmark = [pytest.mark.browser, pytest.mark.slow]
XSS = "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1><svg onload=window.hacked=1>\u2028\ud800"
GONE = "The server does not answer"


@pytest.fixture
def visit(browser: Any) -> Iterator[Make]:
    """Opens a link; fails the test for any foreign request, console message, page error or dialog."""
    told: list[str] = []
    contexts = []

    def open_link(
        served: Any, rater: str = "anna", *, width: int = 1200, scheme: str = "light", ready: str = "#item"
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: told.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: told.append(f"error: {e}"))
        page.on("dialog", lambda d: told.append(f"dialog: {d.message}"))
        page.on(
            "request",
            lambda r: told.append(r.url) if not r.url.startswith((served.address, "data:,")) else None,
        )
        page.goto(served.link(rater))
        page.wait_for_selector(f"{ready}:not([hidden])")
        return page

    open_link.told = told  # type: ignore[attr-defined]
    yield open_link
    for context in contexts:
        context.close()
    assert told == []


SHOWN = "document.getElementById('place').textContent + document.getElementById('end').hidden"


def idle(page: Any) -> None:
    """Wait until what was pressed is through."""
    # A function: an expression that must be looked at twice is evaluated in the page, which its policy forbids.
    page.wait_for_function("() => document.getElementById('item').getAttribute('aria-busy') !== 'true'")


def press(page: Any, *keys: str) -> None:
    """Press keys, each after the step before it is through."""
    for key in keys:
        before = page.evaluate(SHOWN)
        page.keyboard.press(key)
        if key.isdigit() or key in ("s", "u", "ArrowRight", "ArrowLeft"):
            page.wait_for_function(f"before => {SHOWN} !== before", arg=before)
        idle(page)


def count(page: Any) -> str:
    return str(page.locator("#count").inner_text())


def place(page: Any) -> str:
    return str(page.locator("#place").inner_text())


# ── rating ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_sitting_by_keys(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    served = serve(make_deck(n=2))  # three items: one response failed
    page = visit(served)
    assert page.title() == "Rating sum"
    assert (place(page), count(page)) == ("Item 1 of 3", "0 of 3 rated")
    first = page.locator(".answer pre").inner_text()
    press(page, "4")
    assert (place(page), count(page)) == ("Item 2 of 3", "1 of 3 rated")
    assert page.locator("#status").inner_text() == "Stored: 4"
    assert [r.value for r in registry.ratings()] == [4.0]
    press(page, "2", "5")
    assert page.locator("#end-h").inner_text() == "All 3 are rated. Thank you."
    assert count(page) == "3 of 3 rated"
    press(page, "ArrowLeft")
    assert place(page) == "Item 3 of 3"
    assert page.locator('.choice[aria-pressed="true"]').get_attribute("data-code") == "5"
    press(page, "ArrowLeft", "ArrowLeft")
    assert page.locator(".answer pre").inner_text() == first
    assert page.locator("#mark").inner_text() == "✓ rated"
    press(page, "1")
    assert place(page) == "Item 2 of 3"  # a changed mind goes on to the next one
    assert sorted(r.value for r in registry.ratings()) == [1.0, 2.0, 5.0]


def test_undo_skip_and_the_skipped_ones_at_the_end(
    make_deck: Make, serve: Make, visit: Make, registry: RunRegistry
) -> None:
    page = visit(serve(make_deck(n=2)))
    press(page, "s")
    assert (place(page), count(page)) == ("Item 2 of 3", "0 of 3 rated")
    press(page, "3", "4")
    assert place(page) == "Item 1 of 3"
    page.keyboard.press("u")
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 3 of 3'")
    assert count(page) == "1 of 3 rated"
    assert [r.value for r in registry.ratings()] == [3.0]
    press(page, "2")
    page.keyboard.press("s")
    page.wait_for_function("() => document.getElementById('status').textContent.includes('only one')")
    idle(page)
    press(page, "1")
    assert page.locator("#end").is_visible()
    page.keyboard.press("u")
    page.wait_for_selector("#item:not([hidden])")
    assert (place(page), count(page)) == ("Item 1 of 3", "2 of 3 rated")


def test_a_comment(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    page = visit(serve(make_deck(n=2)))
    assert not page.locator("#comment").is_visible()
    page.keyboard.press("c")
    page.keyboard.type("12345 suc? not keys")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.getElementById('status').textContent === 'Comment stored'")
    assert page.locator("#mark").inner_text() == "a comment, no answer yet"
    assert [(r.value, r.comment) for r in registry.ratings()] == [(None, "12345 suc? not keys")]
    press(page, "5")
    assert [(r.value, r.comment) for r in registry.ratings()] == [(5.0, "12345 suc? not keys")]
    press(page, "ArrowLeft")
    assert page.locator("#comment").input_value() == "12345 suc? not keys"


def test_a_comment_and_a_click_are_one_step_after_the_other(
    make_deck: Make, serve: Make, visit: Make, registry: RunRegistry
) -> None:
    page = visit(serve(make_deck(n=2)))
    page.click("#comment-button")
    page.fill("#comment", "by mouse")
    page.click(".choice[data-code='2']")
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 2 of 3'")
    assert [(r.value, r.comment) for r in registry.ratings()] == [(2.0, "by mouse")]
    page.click("#comment-button")
    page.fill("#comment", "left behind?")
    page.click("#next")
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 3 of 3'")
    assert "left behind?" in [r.comment for r in registry.ratings()]


def test_a_key_that_is_held_or_pressed_twice_rates_one_item(
    make_deck: Make, serve: Make, visit: Make, registry: RunRegistry
) -> None:
    page = visit(serve(make_deck(n=12)))
    page.evaluate(
        """() => {
          const press = (key, repeat) =>
            document.dispatchEvent(new KeyboardEvent('keydown', { key, code: `Digit${key}`, repeat, bubbles: true }));
          for (let i = 0; i < 20; i += 1) press('3', i > 0);
          press('4', false);
          press('5', false);
        }"""
    )
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 2 of 23'")
    page.wait_for_timeout(200)
    assert place(page) == "Item 2 of 23"
    assert [r.value for r in registry.ratings(history=True)] == [3.0]
    idle(page)
    page.evaluate(
        "() => document.dispatchEvent(new KeyboardEvent('keydown', { key: '3', repeat: true, bubbles: true }))"
    )
    page.wait_for_timeout(200)
    assert [r.value for r in registry.ratings(history=True)] == [3.0]
    # Nor does what is pressed before the next item is there fall on the one before it.
    page.evaluate(
        """() => {
          const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
          press('ArrowRight');
          press('5');
        }"""
    )
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 3 of 23'")
    page.wait_for_timeout(200)
    assert [r.value for r in registry.ratings(history=True)] == [3.0]


def test_digits_of_a_keyboard_with_other_signs(
    make_deck: Make, serve: Make, visit: Make, registry: RunRegistry
) -> None:
    page = visit(serve(make_deck(n=2)))
    page.evaluate(
        "() => document.dispatchEvent(new KeyboardEvent('keydown', { key: '&', code: 'Digit1', bubbles: true }))"
    )
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 2 of 3'")
    page.keyboard.press("Control+3")
    page.keyboard.press("9")
    page.wait_for_timeout(200)
    assert [r.value for r in registry.ratings()] == [1.0]


def test_keys_can_be_switched_off(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    page = visit(serve(make_deck(n=2)))
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("3")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    page.wait_for_timeout(200)
    assert registry.ratings() == ()
    page.click("#help-button")
    page.check("#keys-on")
    page.click("#help button.primary")
    assert not page.locator("#help").is_visible()
    press(page, "3")
    assert [r.value for r in registry.ratings()] == [3.0]


def test_the_first_and_the_last_item(make_deck: Make, serve: Make, visit: Make) -> None:
    page = visit(serve(make_deck(n=2)))
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.getElementById('status').textContent === 'This is the first item.'")
    press(page, "ArrowRight", "ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('status').textContent === 'This is the last item.'")


def test_labels_by_keys(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    page = visit(serve(make_deck(label_question("good,not so good"), n=2)))
    assert page.locator("legend").inner_text() == "Which label fits this answer?"
    press(page, "2", "1")
    assert [r.label for r in registry.ratings()] == ["not so good", "good"]


def test_pairs_by_keys_name_the_model_of_the_side(
    make_deck: Make, serve: Make, visit: Make, registry: RunRegistry
) -> None:
    page = visit(serve(make_deck(pair_question(), n=9)))
    chosen = {}
    sides = set()
    for _ in range(8):
        a, b = page.locator(".answer pre").all_inner_texts()
        sides.add(a.split()[0])
        better = a if a.startswith("first") else b
        chosen[better.split()[-1].split(".")[0]] = MODELS[0]
        press(page, "1" if better == a else "3")
    assert sides == {"first", "second"}
    assert {r.sample_id.removeprefix("s"): r.label for r in registry.ratings()} == chosen
    press(page, "ArrowLeft", "2")
    assert registry.ratings()[-1].label == "tie"


# ── coming back, and company ──────────────────────────────────────────────────────────────────────────────────────


def test_who_reloads_or_comes_back_goes_on(make_deck: Make, serve: Make, visit: Make) -> None:
    deck = make_deck(n=4)
    served = serve(deck)
    page = visit(served)
    press(page, "4", "s", "2")
    page.reload()
    page.wait_for_selector("#item:not([hidden])")
    assert (place(page), count(page)) == ("Item 2 of 7", "2 of 7 rated")
    assert "Welcome back: 2 are rated" in page.locator("#status").inner_text()
    served.stop()
    again = visit(serve(deck))
    assert (place(again), count(again)) == ("Item 2 of 7", "2 of 7 rated")


def test_a_server_that_is_gone_loses_nothing_and_is_said(
    make_deck: Make, serve: Make, visit: Make, registry: RunRegistry
) -> None:
    served = serve(make_deck(n=2))
    page = visit(served)
    press(page, "4")
    served.stop()
    page.keyboard.press("2")
    page.wait_for_selector("#fault:not([hidden])")
    assert GONE in page.locator("#fault").inner_text()
    assert (place(page), count(page)) == ("Item 2 of 3", "1 of 3 rated")
    assert page.locator('.choice[aria-pressed="true"]').count() == 0
    assert [r.value for r in registry.ratings()] == [4.0]
    # The browser itself says that a request failed; nothing else is in its console.
    assert all("ERR_CONNECTION" in line for line in visit.told)  # type: ignore[attr-defined]
    visit.told.clear()  # type: ignore[attr-defined]


def test_two_raters_do_not_see_one_another(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    served = serve(make_deck(n=8), raters=("anna", "ben"))
    anna, ben = visit(served), visit(served, "ben")
    texts: dict[str, list[str]] = {"anna": [], "ben": []}
    for _ in range(6):
        for name, page, key in (("anna", anna, "5"), ("ben", ben, "1")):
            texts[name].append(page.locator(".answer pre").inner_text())
            press(page, key)
    assert (count(anna), count(ben)) == ("6 of 15 rated", "6 of 15 rated")
    assert texts["anna"] != texts["ben"]
    assert (anna.locator("#who").inner_text(), ben.locator("#who").inner_text()) == ("anna", "ben")
    ben.reload()
    ben.wait_for_selector("#item:not([hidden])")
    assert count(ben) == "6 of 15 rated"
    assert {(r.rater, r.value) for r in registry.ratings()} == {("anna", 5.0), ("ben", 1.0)}


def test_the_open_link_asks_for_a_name(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    served = serve(make_deck(n=2), raters=())
    page = visit(served, "", ready="#welcome")
    assert not page.locator("#bar").is_visible()
    page.keyboard.type("Zoë 李")
    page.keyboard.press("Enter")
    page.wait_for_selector("#item:not([hidden])")
    assert page.locator("#who").inner_text() == "Zoë 李"
    press(page, "3")
    assert [r.rater for r in registry.ratings()] == ["Zoë 李"]
    page.reload()
    page.wait_for_selector("#item:not([hidden])")
    assert count(page) == "1 of 3 rated"


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_the_data_runs(make_deck: Make, serve: Make, visit: Make, registry: RunRegistry) -> None:
    deck = make_deck(label_question(f"a {XSS[:31]},b", XSS), n=3, odd=XSS)
    page = visit(serve(deck, raters=("<b>anna</b>",), show_reference=True), "<b>anna</b>")
    page.keyboard.press("r")
    for _ in range(3):
        assert "<script>window.hacked=1</script>" in page.locator("#answers").inner_text()
        press(page, "1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("c")
    page.keyboard.type(XSS[:31])
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, svg, main script, #who b").count() == 0


def test_no_payload_runs(make_deck: Make, serve: Make, visit: Make) -> None:
    """Each in prompts, outputs, references, the question, its labels and the name of who rates."""
    for number, odd in enumerate(batches(60)):
        labels = ",".join(dict.fromkeys(line.replace(",", "")[:30].strip() or "x" for line in odd.split("\n")[:9]))
        rater = f"{odd.splitlines()[0][:60]}{number}"
        deck = make_deck(label_question(labels, odd[:2_000]), n=2, odd=odd, run_id=f"{RUN}{number}")
        page = visit(serve(deck, raters=(rater,), show_reference=True), rater)
        page.keyboard.press("r")
        press(page, "1")
        page.keyboard.press("c")
        page.keyboard.type(odd[:40].split("\n")[0])
        page.keyboard.press("Escape")
        assert page.evaluate(FOREIGN) == []


def test_an_injected_script_style_or_frame_is_refused(make_deck: Make, serve: Make, browser: Any) -> None:
    """The policy is a second wall: even markup that slipped through would not run, nor reach another host."""
    served = serve(make_deck())
    page = browser.new_page()
    requests: list[str] = []
    page.on("requestfinished", lambda r: requests.append(r.url))
    page.goto(served.link("anna"))
    page.wait_for_selector("#item:not([hidden])")
    refused = page.evaluate(
        """() => {
          try { document.body.innerHTML = '<img src=x onerror="window.hacked=1">'; } catch { return true; }
          return false;
        }"""
    )
    assert refused
    page.evaluate(
        """() => {
          const image = document.createElement('img'); image.src = 'https://e.invalid/x'; document.body.append(image);
          const style = document.createElement('style'); style.textContent = 'main { position: fixed }';
          document.body.append(style);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("getComputedStyle(document.querySelector('main')).position") == "static"
    assert not any("e.invalid" in url for url in requests)
    page.close()


def test_no_model_is_named_anywhere(make_deck: Make, serve: Make, browser: Any) -> None:
    served = serve(make_deck(pair_question(), n=4), show_reference=True)
    page = browser.new_page()
    responses: list[Any] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(served.link("anna"))
    page.wait_for_selector("#item:not([hidden])")
    press(page, "1", "2", "u", "3")
    page.wait_for_load_state("networkidle")
    bodies = [f"{r.url} {r.headers} {r.text()}" for r in responses]
    text = " ".join([*bodies, page.content(), page.url, page.title()])
    assert len(bodies) > 6
    for secret in (*MODELS, RUN, "groupwort"):
        assert secret not in text
    page.close()


def test_turns_references_and_long_texts(make_deck: Make, serve: Make, visit: Make) -> None:
    deck = make_deck(n=1, odd="\nline" * 300)
    page = visit(serve(deck, show_reference=True))
    assert page.locator(".turn .role:visible").all_inner_texts() == ["user"]
    page.click("text=Show 3 earlier turns")
    assert page.locator(".turn .role:visible").all_inner_texts() == ["system", "user", "assistant", "user"]
    page.click("text=Hide 3 earlier turns")
    assert not page.locator("#references").is_visible()
    page.keyboard.press("r")
    assert "reference 0" in page.locator("#references").inner_text()
    page.keyboard.press("r")
    assert not page.locator("#references").is_visible()
    box = page.locator(".answer .text-box")
    folded = box.bounding_box()["height"]
    assert folded < 800
    button = page.locator(".answer .unfold")
    assert re.fullmatch(r"Show all of it \(1,5\d\d characters\)", button.inner_text())
    page.keyboard.press("e")
    assert page.locator(".turn .role:visible").count() == 4
    assert box.bounding_box()["height"] > 5 * folded
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    assert box.bounding_box()["height"] == folded


def test_a_short_talk_is_shown_whole(make_deck: Make, serve: Make, visit: Make) -> None:
    page = visit(serve(make_deck(n=1)), width=1600)
    assert page.locator(".turn .role:visible").all_inner_texts() == ["system", "user", "assistant", "user"]
    assert page.locator(".earlier, .unfold").count() == 0


def test_other_scripts_and_characters_that_hide(make_deck: Make, serve: Make, visit: Make) -> None:
    page = visit(serve(make_deck(n=1, odd=" \u202eabc\x07 مرحبا")))
    assert "⟦U+202E⟧abc␇ مرحبا" in page.locator(".answer pre").inner_text()
    assert page.locator(".answer pre").get_attribute("dir") == "auto"
    direction = visit(serve(make_deck(n=1, rows=arabic(), run_id="20260105T000000Z-x"))).evaluate(
        "getComputedStyle(document.querySelector('.answer pre')).direction"
    )
    assert direction == "rtl"


def arabic() -> list[Any]:
    from dataclasses import replace

    from .conftest import sample_rows

    (row,) = sample_rows("sum", MODELS[0], 1)
    return [replace(row, response=replace(row.response, text="مرحبا بالعالم"))]


# ── looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [320, 700, 1600])
@pytest.mark.parametrize(
    "question", [scale_question("0-10"), label_question("W" * 60 + ",b"), pair_question("W" * 200)]
)
def test_nothing_sticks_out(make_deck: Make, serve: Make, visit: Make, width: int, question: Any) -> None:
    page = visit(serve(make_deck(question, n=3, odd="W" * 400, tasks=("sum",)), show_reference=True), width=width)
    page.keyboard.press("r")
    page.keyboard.press("c")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#help").bounding_box()["width"] <= width


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(246, 246, 243)"), ("dark", "rgb(18, 22, 26)")])
def test_all_text_has_contrast(
    make_deck: Make, serve: Make, visit: Make, scheme: str, background: str, contrast: str
) -> None:
    """WCAG AA: 4.5 to 1 for every text that is seen, in both schemes, an answer given and the help open."""
    served = serve(make_deck(n=2, odd="\nline" * 100), show_reference=True)
    page = visit(served, scheme=scheme)
    press(page, "1", "ArrowLeft")
    for key in "rc":
        page.keyboard.press(key)
    page.evaluate("document.getElementById('fault').hidden = false")
    page.evaluate("document.getElementById('fault').textContent = 'a fault'")
    page.wait_for_timeout(300)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
    ratios = page.evaluate(contrast)
    assert len(ratios) > 15
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_every_control_has_a_name_and_can_be_reached(make_deck: Make, serve: Make, visit: Make) -> None:
    page = visit(serve(make_deck(n=2), show_reference=True))
    page.keyboard.press("c")
    names = page.evaluate(
        """() => [...document.querySelectorAll('button, textarea, input, progress')]
          .filter((e) => e.checkVisibility())
          .map((e) => e.ariaLabel || (e.labels?.[0]?.textContent) || e.textContent.trim())"""
    )
    assert len(names) > 10
    assert all(names)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "place"
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.code"))
    assert {
        "1",
        "5",
        "previous",
        "next",
        "comment-button",
        "skip",
        "undo",
        "help-button",
        "reference-button",
    } <= reached
    page.locator(".choice[data-code='2']").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('place').textContent === 'Item 2 of 3'")
    assert page.evaluate("document.activeElement.id") == "place"
