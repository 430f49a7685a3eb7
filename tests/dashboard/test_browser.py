"""The dashboard in a real browser: usable by everybody, nothing of the data runs, an alert is looked after."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from .conftest import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ODD = (
    "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1><svg onload=window.hacked=1>"
    "${window.hacked=1}{{constructor.constructor('window.hacked=1')()}}javascript:window.hacked=1\u202e\u2028"
)

# Adds up in `window.moved` what the layout moved by itself: the field's "cumulative layout shift", but for what follows
# on a click or a key.
SHIFTS = (
    "window.moved = 0; new PerformanceObserver(l => l.getEntries().forEach("
    "e => { if (!e.hadRecentInput) window.moved += e.value; })).observe({type: 'layout-shift', buffered: true});"
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which every text tries to act."""
    made = make_world(tmp_path_factory.mktemp("odd"), ODD)
    yield made
    made.registry.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; fails the test for any foreign request, console message, page error or dialog."""
    told: list[str] = []
    contexts = []

    def open_page(address: str, path: str, *, width: int = 1200, scheme: str = "light", **more: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.add_init_script(SHIFTS)
        page.on("console", lambda m: told.append(f"console: {path}: {m.text}"))
        page.on("pageerror", lambda e: told.append(f"error: {path}: {e}"))
        page.on("dialog", lambda d: told.append(f"dialog: {path}: {d.message}"))
        page.on("request", lambda r: told.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None)
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []


def paths(world: World) -> list[str]:
    name = quote(world.monitor, safe="")
    return [
        "/", "/runs", f"/runs/{world.runs[0]}", f"/runs/{world.runs[2]}", "/trend",
        f"/trend?suite={quote(f'odd{world.odd}')}",
        "/compare", f"/compare?run={world.runs[0]}&run={world.runs[1]}", "/monitors", f"/monitors/{name}",
        f"/monitors/{name}/intervals/{world.interval}", "/alerts", f"/alerts/{world.alert}", "/annotation",
        f"/annotation?run={world.runs[0]}", f"/annotation/rate?run={world.runs[0]}&task=qa",
        f"/annotation/results?run={world.runs[0]}&task=qa",
        "/schedule", "/changes", "/login",
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_every_page(odd: World, served: Any, visit: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python.base").AXE_SCRIPT
    address = served(odd, no_login=True)
    page = visit(address, "/", scheme=scheme, bypass_csp=True)
    for path in paths(odd):
        page.goto(address + path)
        if "/rate?" in path:
            page.locator("#place").wait_for()  # the item comes after the page
        page.evaluate(axe)
        found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        faults = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"]]
        assert faults == [], path
    # Charts that are explored, too.
    page.goto(f"{address}/monitors/{quote(odd.monitor, safe='')}/intervals/{odd.interval}")
    for button in page.query_selector_all("button.explore"):
        button.click()
    page.wait_for_function("() => document.querySelectorAll('button.explore').length === 0")
    page.evaluate(axe)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []


@pytest.mark.parametrize("width", [360, 2560])
def test_nothing_of_the_data_runs_and_no_page_is_wider_than_the_screen(
    odd: World, served: Any, visit: Any, width: int
) -> None:
    address = served(odd, no_login=True)
    page = visit(address, "/", width=width)
    for path in paths(odd):
        page.goto(address + path)
        for button in page.query_selector_all("button.explore"):
            button.click()
        if "/rate?" in path:
            page.locator("#place").wait_for()
        page.wait_for_function("() => document.querySelectorAll('button.explore').length === 0")
        assert page.evaluate("() => window.hacked === undefined"), path
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path


def test_a_long_segment_moves_no_figure_off_the_screen(odd: World, served: Any, visit: Any) -> None:
    path = f"/monitors/{quote(odd.monitor, safe='')}/intervals/{odd.interval}"
    page = visit(served(odd, no_login=True), path, width=1280)
    segment = page.locator("td.of", has_text="language=").first
    table = segment.locator("xpath=ancestor::div[contains(@class, 'scroll')]")
    assert table.evaluate("n => n.scrollWidth <= n.clientWidth")


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_moves_while_a_page_loads(odd: World, served: Any, visit: Any, width: int) -> None:
    address = served(odd, no_login=True)
    page = visit(address, "/", width=width)
    for path in paths(odd):
        page.goto(address + path)
        page.wait_for_timeout(300)
        assert page.evaluate("() => window.moved") < 0.01, path


def test_the_look_at_what_moves_sees_it(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), "/", bypass_csp=True)
    page.evaluate("() => document.body.prepend(Object.assign(document.createElement('hr'), {style: 'height: 300px'}))")
    page.wait_for_function("() => window.moved > 0.01")


def test_an_alert_is_looked_after(world: World, sessions: dict[str, str], served: Any, visit: Any) -> None:
    from .conftest import PASSWORD

    assert sessions
    page = visit(served(world), f"/alerts/{world.alert}")
    page.get_by_label("Name").fill("editor")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(f"/alerts/{world.alert}$"))
    page.get_by_label("Note").fill("on it")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("editor: on it").wait_for()
    assert page.locator("dd", has_text="on it").count() == 1
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="由我处理").wait_for()
    page.get_by_role("button", name="退出").click()
    page.wait_for_url(re.compile("/login$"))


def test_what_runs_is_seen_while_it_runs(world: World, served: Any, visit: Any) -> None:
    from evalharness.record.running import RunningFile

    page = visit(served(world, no_login=True), "/")
    assert page.locator("[data-live=running]").is_hidden()
    file = RunningFile(world.reports, "live.yaml")
    try:
        file.start("asking", 10)
        page.get_by_text("live.yaml").wait_for()
        assert page.locator("[data-live=running] progress").get_attribute("max") == "10"
    finally:
        file.remove()
    page.locator("[data-live=running]").wait_for(state="hidden")


def test_a_page_says_when_it_hears_nothing_more(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), "/schedule")
    asked: list[Any] = []
    # Refused, as to somebody who was logged out or where too many listen: browsers do not come back by themselves.
    page.route("**/live", lambda route: (asked.append(route), route.fulfill(status=204))[0])
    page.clock.install()
    page.reload()
    page.wait_for_timeout(300)
    assert page.locator("#lost").is_hidden()
    page.clock.fast_forward(9_000)
    page.get_by_text("Not connected: what stands here may be old.").wait_for()
    page.unroute("**/live")
    page.clock.fast_forward(2_000)
    page.locator("#lost").wait_for(state="hidden")
    assert len(asked) == 1


def test_pages_work_without_script(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), "/trend?suite=demo", java_script_enabled=False)
    assert page.locator("figure svg").count() == 1
    assert page.locator("button.explore").is_hidden()
    page.get_by_role("link", name="Runs", exact=True).click()
    for box in page.get_by_role("checkbox").all()[:2]:
        box.check()
    page.get_by_role("button", name="Compare the ticked runs").click()
    page.get_by_role("heading", name="release 1 against release 0").wait_for()


def test_outputs_are_rated_by_keys(world: World, sessions: dict[str, str], served: Any, visit: Any) -> None:
    from .conftest import PASSWORD

    assert sessions
    page = visit(served(world), f"/annotation?run={world.runs[0]}")
    page.get_by_label("Name").fill("editor")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Question (empty: the usual one)").fill("By keys?")
    page.get_by_role("button", name="Rate", exact=True).click()
    page.get_by_role("heading", name="Item 1 of 24").wait_for()
    page.keyboard.press("4")
    page.get_by_role("heading", name="Item 2 of 24").wait_for()
    page.keyboard.press("u")
    page.get_by_text("Your last change was taken back.").wait_for()
    page.keyboard.press("2")
    page.get_by_role("heading", name="Item 2 of 24").wait_for()
    (stored,) = world.registry.ratings(asked="By keys?")
    assert (stored.value, stored.rater) == (2.0, "editor")
    page.get_by_role("link", name="Annotation").click()
    page.get_by_role("link", name="By keys?").click()
    page.get_by_role("heading", name="Agreement of raters").wait_for()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="评分人一致性").wait_for()


def test_a_point_of_the_map_leads_to_its_text(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), f"/monitors/{world.monitor}/intervals/{world.interval}")
    section = page.locator("section[aria-labelledby=map-h]")
    section.locator("button.explore").click()
    points = section.locator(".mark-symbol.role-mark path")
    points.first.wait_for()
    assert points.count() == 6
    points.nth(5).hover(force=True)
    assert page.locator(".tip", has_text="q3").is_visible()
    points.nth(5).click(force=True)
    page.wait_for_url(re.compile("#current-3$"))
    assert page.locator("#texts-current").get_attribute("open") is not None
    assert page.locator("#texts-reference").get_attribute("open") is None


def test_a_chart_is_explored_by_keys(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), f"/monitors/{world.monitor}/intervals/{world.interval}")
    section = page.locator("section[aria-labelledby=map-h]")
    section.locator("button.explore").focus()
    page.keyboard.press("Enter")
    drawing = section.locator("svg[role=application]")
    drawing.wait_for()
    # The focus does not fall off the page with the button.
    assert drawing.evaluate("svg => svg === document.activeElement")
    told = []
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        told.append(section.locator(".tip").inner_text())
    assert len(set(told)) == 6, "eight steps over six points stay at the last one"
    assert told[-1] == told[5]
    assert section.locator(".here").count() == 1
    tip, figure = section.locator(".tip").bounding_box(), section.locator("figure").bounding_box()
    assert figure["x"] <= tip["x"]
    assert tip["x"] + tip["width"] <= figure["x"] + figure["width"] + 1
    page.keyboard.press("Home")
    assert section.locator(".tip").inner_text() == told[0]
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#(reference|current)-[0-3]$"))
    place = page.url.rpartition("#")[2]
    assert page.evaluate("() => document.activeElement.id") == place
    assert page.locator(f"#{place}").is_visible()
    drawing.focus()
    page.keyboard.press("End")
    page.keyboard.press("Escape")
    assert section.locator(".tip").inner_text() == ""
    assert section.locator(".here").count() == 0


def test_a_tip_stands_beside_its_mark(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), f"/monitors/{world.monitor}/intervals/{world.interval}")
    section = page.locator("section[aria-labelledby=map-h]")
    section.locator("button.explore").click()
    point = section.locator(".mark-symbol.role-mark path").first
    point.wait_for()
    point.hover(force=True)
    mark, tip = point.bounding_box(), page.locator(".tip", has_text="q").bounding_box()
    assert mark
    assert tip
    assert abs(tip["y"] - mark["y"]) < 60
    assert page.locator(".tip", has_text="q").evaluate("node => getComputedStyle(node).position") == "absolute"


def test_marks_of_alerts_and_deployments_stay_when_a_chart_is_explored(world: World, served: Any, visit: Any) -> None:
    page = visit(served(world, no_login=True), f"/monitors/{world.monitor}?figure=latency_s.p95")
    figure = page.locator("figure.chart").first
    figure.locator("button.explore").click()
    figure.locator("svg[role=application]").wait_for()
    # Vega clips what a view that can be moved holds: those above the axes would be cut off.
    tell = "n => [n.getBoundingClientRect().y, n.closest('[clip-path]') !== null, n.__data__.tooltip ?? '']"
    marks = figure.locator(".mark-symbol.role-mark path").evaluate_all(f"nodes => nodes.map({tell})")
    plot = figure.locator(".mark-line.role-mark").first.bounding_box()
    above = [mark[1:] for mark in marks if plot and mark[0] < plot["y"]]
    assert above
    assert not [said for is_clipped, said in above if is_clipped]
    assert "prompt v12" in [said for _, said in above]
    # The first and last points of the line lie whole within what may be seen.
    frame = figure.locator("svg .mark-group.role-frame .background").first.bounding_box()
    points = [
        mark
        for mark in figure.locator(".mark-symbol.role-mark path").all()
        if mark.evaluate("n => !n.__data__.datum?.name")
    ]
    boxes = [box for mark in points if (box := mark.bounding_box())]
    assert frame
    assert len(boxes) == 3
    assert min(box["x"] for box in boxes) >= frame["x"]
    assert max(box["x"] + box["width"] for box in boxes) <= frame["x"] + frame["width"]
    assert min(box["y"] for box in boxes) >= frame["y"]
    assert max(box["y"] + box["height"] for box in boxes) <= frame["y"] + frame["height"]
