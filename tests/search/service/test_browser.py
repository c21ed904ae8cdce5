"""The pages in a real browser, with a real search; skipped where there is no Chromium with Playwright.

`pytest tests/search/service/test_browser.py --basetemp DIR` leaves its screenshots under DIR.
"""

import contextlib
import shutil
from urllib.parse import urlsplit

import pytest

from search.service.home import Home

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def opened(browser):
    """Opens a page, which fails the test on any error in its console and on any request to elsewhere."""
    with contextlib.ExitStack() as closed:
        yield lambda server: closed.enter_context(_opened(browser, server))


@contextlib.contextmanager
def _opened(browser, server):
    context = browser.new_context(base_url=f"http://127.0.0.1:{server.port}", viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(120_000)
    made = context.new_page()
    wrong: list[str] = []
    made.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("request", lambda request: None if f":{server.port}/" in request.url else wrong.append(request.url))
    yield made
    context.close()
    assert "\n".join(text for text in wrong if not text.startswith("data:")) == ""


def points(page) -> int:
    """Points that the front's figure has drawn."""
    return page.evaluate("window.charts.view(document.getElementById('front'))?.data('trials').length ?? 0")


def rows(page) -> int:
    return page.locator("#trials tbody tr").count()


def test_search_is_submitted_watched_looked_into_and_cancelled(opened, server, wait_for, tmp_path):
    server.start()
    page = opened(server)
    page.goto("/new")
    page.get_by_label("Name").fill("in a browser")
    page.get_by_role("radio", name="placement,").check()
    page.get_by_label("Trials", exact=True).fill("300")
    page.get_by_label("Epochs").fill("1")
    page.get_by_label("Trials at once, at most").fill("1")
    page.get_by_role("button", name="Submit").click()
    wait_for(lambda: rows(page) > 3)
    before = points(page)
    assert before > 0
    wait_for(lambda: points(page) > before)
    page.screenshot(path=tmp_path / "running.png", full_page=True)
    page.get_by_role("button", name="Trial 0", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#curves canvas")
    assert page.locator("#sites tbody tr").count() == 19  # ResNet-20: the stem and twice nine blocks
    page.screenshot(path=tmp_path / "candidate.png", full_page=True)
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#state.cancelled")
    assert page.get_by_role("button", name="Resume").is_visible()
    page.set_viewport_size({"width": 400, "height": 800})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.screenshot(path=tmp_path / "phone.png", full_page=True)


def test_box_on_the_figure_chooses_rows(opened, shown, wait_for, tmp_path):
    server, search_id = shown
    page = opened(server)
    page.goto(f"/searches/{search_id}")
    page.wait_for_selector("#front canvas")
    wait_for(lambda: rows(page) == 6)
    box = page.locator("#front canvas").bounding_box()
    page.mouse.move(box["x"] + 70, box["y"] + 70)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.6, steps=8)
    page.mouse.up()
    wait_for(lambda: rows(page) < 6)
    assert rows(page) >= 1
    page.screenshot(path=tmp_path / "box.png", full_page=True)
    page.get_by_role("button", name="Leave the box").click()
    wait_for(lambda: rows(page) == 6)
    page.get_by_label("Filter").fill("failed")
    wait_for(lambda: rows(page) == 1)
    page.get_by_label("Filter").fill("")
    page.get_by_role("button", name="params").click()
    wait_for(lambda: page.locator("#trials tbody td").first.text_content() == "3")


def test_dark_page_draws(opened, shown, tmp_path):
    server, search_id = shown
    page = opened(server)
    page.emulate_media(color_scheme="dark")
    page.goto(f"/searches/{search_id}")
    page.wait_for_selector("#by-hours canvas")
    page.screenshot(path=tmp_path / "dark.png", full_page=True)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 22, 22)"


def test_pages_work_below_a_prefix(opened, prefixed_server, wait_for, write_run):
    prefixed_server.start()
    search_id = prefixed_server.client.submit({"trials": 6}, name="below")["id"]
    wait_for(lambda: prefixed_server.client.status(search_id)["state"] == "running")
    home = Home(prefixed_server.folder / "searches" / search_id)
    write_run(home)
    page, asked = opened(prefixed_server), []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.goto("/tools/leni/")
    page.get_by_role("link", name="below").click()
    wait_for(lambda: rows(page) == 6)
    page.get_by_role("button", name="Trial 4", exact=True).click()
    page.wait_for_selector("#candidate:not([hidden])")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#resume:not([hidden])")  # which an event has told
    page.get_by_role("link", name="leni-search").click()
    page.wait_for_selector("#searches")
    assert [path for path in asked if not path.startswith("/tools/leni/")] == []
    assert f"/tools/leni/api/v1/searches/{search_id}/events" in asked
