"""The report in a real browser, headless Chromium through Playwright: what a reader sees, clicks and types."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_report import HOSTILE, WEB, Hostile

import archprof
from archprof.reporting import written

CHROMIUM = os.environ.get("ARCHPROF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
OWN = ("file:", "blob:", "data:")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return reports by name."""
    folder = tmp_path_factory.mktemp("reports")
    models: dict[str, list[Any]] = {
        "one": ["resnet18"], "several": ["resnet18", "resnet34"], "hostile": [Hostile()],
    }  # fmt: skip
    for name, named in models.items():
        found = [archprof.profile(m) if isinstance(m, str) else archprof.profile(m, (2, 4)) for m in named]
        (folder / f"{name}.html").write_text(written(found), "utf-8")
    return {name: folder / f"{name}.html" for name in models}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: install it, or name one in ARCHPROF_CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """Return what opens a report in a context of its own; at the end nothing was fetched and no error printed."""
    contexts, requests, errors = [], [], []

    def open_page(name: str = "one", *, address: str = "", waits: bool = True, **options: Any) -> Any:
        context = browser.new_context(offline=True, **{"viewport": {"width": 1400, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on(
            "console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages[name].as_uri() + address)
        if waits:
            page.wait_for_selector("html[data-ready]", timeout=20_000)
        return page

    open_page.errors = errors
    yield open_page
    for context in contexts:
        context.close()
    assert all(url.startswith(OWN) for url in requests)
    assert errors == []


def test_totals_are_those_of_the_profile(opened: Any) -> None:
    page = opened()
    summary = page.evaluate("JSON.parse(document.getElementById('archprof-summary').textContent)")
    assert summary["models"][0]["totals"] == archprof.profile("resnet18").totals
    assert page.locator(".inspector .big b").inner_text() == "1.814 G"
    assert "11.69 M" in page.locator(".cards").inner_text()


def test_sums_of_modules_are_those_of_python(opened: Any) -> None:
    page = opened()
    for path, macs in archprof.profile("resnet18").by_module(1)["macs"].items():
        if path.startswith("layer"):
            row = page.locator(f".grid [role=row][data-id]:has-text('{path}')")
            assert archprof.units.count(macs) in row.inner_text()


def test_a_click_in_the_icicle_selects_everywhere(opened: Any) -> None:
    page = opened()
    page.locator('.icicle .box[data-key="layer3.1.conv2"]').click()
    assert page.locator("#chosen").inner_text() == "conv2"
    row = page.locator(".grid [role=row][aria-selected=true]")
    row.wait_for()
    assert "conv2" in row.inner_text()
    assert page.locator("svg.graph .node.chosen title").first.text_content().startswith("layer3.1.conv2")
    assert "at=layer3.1.conv2" in page.evaluate("location.hash")


def test_the_address_keeps_the_selection(opened: Any) -> None:
    page = opened(address="#at=layer4.0.conv1&metric=params")
    assert page.locator("#chosen").inner_text() == "conv1"
    assert page.locator("#metric").input_value() == "params"


def test_the_table_sorts_and_filters(opened: Any) -> None:
    page = opened()
    page.get_by_role("checkbox", name="flat").check()
    page.locator(".grid .sort", has_text="Parameters").click()
    first = page.locator(".grid [role=row][data-id]").first
    assert "layer4" in first.inner_text()
    assert "2.359 M" in first.inner_text()  # 512 x 512 x 3 x 3
    page.get_by_label("Filter type").fill("linear")
    assert page.locator(".grid [role=row][data-id]").count() == 1
    page.get_by_label("Filter type").fill("")
    page.get_by_label("Filter MACs").fill(">= 118M")
    assert page.locator(".grid [role=row][data-id]").count() == 1  # conv1: 112 x 112 x 64 x 3 x 7 x 7


def test_modules_open_by_keyboard_alone(opened: Any) -> None:
    page = opened()
    page.locator(".grid [role=row][data-id]").first.focus()
    page.keyboard.press("End")
    page.wait_for_timeout(100)
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    for _ in range(4):  # conv1, bn1, relu, maxpool, layer1
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(60)
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.textContent").startswith("▸layer1")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{focused}.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(100)
    assert page.evaluate(f"{focused}.getAttribute('aria-level')") == "2"
    page.keyboard.press("Space")
    assert page.locator("#chosen").inner_text() == "0"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(100)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"{focused}.getAttribute('aria-expanded')") == "false"


def test_search_help_and_escape(opened: Any) -> None:
    page = opened()
    page.keyboard.press("/")
    page.keyboard.type("layer4.1.conv2")
    page.keyboard.press("Enter")
    assert page.locator("#chosen").inner_text() == "conv2"
    page.keyboard.press("Escape")
    assert page.locator("#chosen").inner_text() == "resnet18"
    page.keyboard.press("?")
    assert page.locator("dialog[open]").is_visible()


def test_groups_of_the_graph_open_in_place_and_repeats_stand_once(opened: Any) -> None:
    page = opened()
    before = page.locator("svg.graph .node").count()
    group = page.locator("svg.graph .node.group").first
    group.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.locator("svg.graph .node").count() > before
    assert page.locator("svg.graph .copies", has_text="×2").count() == 1  # layer1 of a ResNet-18: two equal blocks
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG").click()
    assert Path(download.value.path()).read_text("utf-8").startswith("<svg")


def test_networks_are_compared(opened: Any) -> None:
    page = opened("several")
    rows = page.locator("#diff-table tbody tr")
    assert rows.count() > 10
    page.locator("#model").select_option(label="resnet34")
    assert page.locator("#chosen").inner_text() == "resnet34"
    rows.first.locator("button").click()
    assert page.locator("#chosen").inner_text() != "resnet34"


def test_without_a_script_the_page_is_complete(opened: Any) -> None:
    page = opened("several", java_script_enabled=False, waits=False)
    text = page.locator("body").inner_text()
    assert "1.814 G" in text
    assert "21.80 M" in text
    assert page.locator(".model svg").count() == 2
    assert page.locator(".card.top tbody tr").count() == 60
    assert page.locator(".card.diff tbody tr").count() > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "several"])
def test_axe_finds_nothing_serious(opened: Any, name: str, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip(f"axe-core is not installed: npm ci in {WEB}")
    page = opened(name, color_scheme=scheme)
    page.evaluate(AXE.read_text("utf-8"))
    # axe holds text in a picture against the ground of the page, not against the box that it stands in
    pictures = "{exclude: [['svg']]}"
    runs = ("document, {rules: {'color-contrast': {enabled: false}}}", f"{pictures}, {{runOnly: ['color-contrast']}}")
    found = [violation for run in runs for violation in page.evaluate(f"axe.run({run}).then((r) => r.violations)")]
    serious = [(f["id"], f["nodes"][0]["html"][:200]) for f in found if f["impact"] in {"serious", "critical"}]
    assert serious == []


def test_dark_is_dark_and_the_toggle_turns_it(opened: Any) -> None:
    page = opened(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(15, 18, 22)"
    page.locator("#theme").click()  # auto, light
    assert page.evaluate(ground) == "rgb(246, 247, 249)"


@pytest.mark.parametrize("name", ["one", "several"])
@pytest.mark.parametrize("script", [True, False])
def test_a_narrow_screen_does_not_scroll_sideways(opened: Any, name: str, script: bool) -> None:
    page = opened(name, viewport={"width": 320, "height": 700}, java_script_enabled=script, waits=script)
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_it_prints(opened: Any, tmp_path: Path) -> None:
    page = opened(color_scheme="dark")
    page.pdf(path=tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").stat().st_size > 20_000
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#graph").is_visible()
    assert page.locator(".card.top").is_visible()


def test_hostile_names_are_text(opened: Any) -> None:
    page = opened("hostile")
    assert page.evaluate("window.broken") is None
    page.get_by_role("button", name="open all").click()
    assert HOSTILE in page.locator(".grid").inner_text()
    assert page.locator("img").count() == 0


def test_nothing_else_may_run(opened: Any) -> None:
    page = opened()
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.strange = 1'; document.body.append(s)"
    )
    assert page.evaluate("window.strange") is None
    assert any("Content Security Policy" in error for error in opened.errors)
    opened.errors.clear()
    assert page.evaluate("fetch('https://example.org').then(() => 1, () => 0)") == 0
    opened.errors.clear()
