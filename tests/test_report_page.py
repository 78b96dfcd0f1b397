"""The report in a real browser, headless Chromium through Playwright: what a reader sees, clicks and types."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_report import HOSTILE, WEB, Hostile
from torch import nn

import archprof
from archprof.reporting import written

CHROMIUM = os.environ.get("ARCHPROF_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
OWN = ("file:", "blob:", "data:")


ACCURACY = {"resnet18": 69.76, "resnet34": 73.31}
"""Top-1 of torchvision's weights, IMAGENET1K_V1."""


def wide() -> nn.Module:
    """Return 130 layers in one row, no two alike."""
    return nn.Sequential(*(nn.Linear(4 + i, 5 + i) for i in range(130)))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return reports by name."""
    folder = tmp_path_factory.mktemp("reports")
    models: dict[str, list[Any]] = {
        "one": ["resnet18"], "several": ["resnet18", "resnet34", "mobilenet-v1"], "hostile": [Hostile()], "wide": [wide()],
        "nothing": [nn.Flatten()],
    }  # fmt: skip
    for name, named in models.items():
        found = [archprof.profile(m) if isinstance(m, str) else archprof.profile(m, (2, 4)) for m in named]
        accuracy = ACCURACY if name == "several" else None
        (folder / f"{name}.html").write_text(written(found, accuracy=accuracy), "utf-8")
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

    def open_page(name: str = "one", *, address: str = "", waits: bool = True, setup: str = "", **options: Any) -> Any:
        context = browser.new_context(offline=True, **{"viewport": {"width": 1400, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        if setup:
            page.add_init_script(setup)
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


def until(page: Any, expression: str) -> None:
    """Wait for what the page's policy lets nobody wait for inside it."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {expression}")


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
    page, focused = opened(), "document.activeElement"

    def press(key: str, then: str) -> None:
        page.keyboard.press(key)
        until(page, f"{focused}.{then}")

    page.locator(".grid [role=row][data-id]").first.focus()
    press("End", "textContent.includes('fc')")
    press("Home", "textContent.includes('conv1')")
    for name in ("bn1", "relu", "maxpool", "layer1"):
        press("ArrowDown", f"textContent.includes('{name}')")
    assert page.evaluate(f"{focused}.textContent").startswith("▸layer1")
    press("ArrowRight", "getAttribute('aria-expanded') == 'true'")
    press("ArrowRight", "getAttribute('aria-level') == '2'")
    page.keyboard.press("Space")
    until(page, "document.querySelector('#chosen').innerText == '0'")
    press("ArrowLeft", "getAttribute('aria-level') == '1'")
    press("ArrowLeft", "getAttribute('aria-expanded') == 'false'")


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
    page.locator("svg.graph .node").first.wait_for()
    before = page.locator("svg.graph .node").count()
    group = page.locator("svg.graph .node.group").first
    group.focus()
    page.keyboard.press("Enter")
    until(page, f"document.querySelectorAll('svg.graph .node').length > {before}")
    assert page.locator("svg.graph .copies", has_text="×2").count() == 1  # layer1 of a ResNet-18: two equal blocks
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG").click()
    assert Path(download.value.path()).read_text("utf-8").startswith("<svg")


def test_shares_inside_a_repeat_are_of_all_copies_as_its_own_is(opened: Any) -> None:
    page = opened(address="#at=layer1.0.conv1&metric=macs")
    conv = page.locator("svg.graph .node:not(.group) > title", has_text="layer1.0.conv1")
    conv.first.wait_for(state="attached")
    # 56 x 56 x 64 outputs of 64 x 9 products: 115,605,504 of 1,814,073,344, twice
    assert conv.first.text_content().endswith("115.6 M each, 2 copies, 12.7%")
    block = page.locator("svg.graph .node.group > title", has_text="layer1.0")
    assert block.first.text_content().endswith("231.2 M each, 2 copies, 25.5%")


def test_a_group_of_many_children_shows_the_next_ones_where_asked(opened: Any) -> None:
    page = opened("wide")
    nodes = page.locator("svg.graph .node:not(.more)")
    page.locator("svg.graph .node.more").wait_for()
    assert nodes.count() == 40
    more = page.locator("svg.graph .node.more")
    assert "+90 more" in more.text_content()
    more.focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('svg.graph .node:not(.more)').length === 80")
    assert "+50 more" in more.text_content()
    page.locator(".search input").fill("128")  # what is chosen elsewhere is shown
    page.keyboard.press("Enter")
    page.locator("svg.graph .node.chosen").wait_for()
    assert page.locator("svg.graph .node.chosen title").text_content().startswith("128")


@pytest.mark.parametrize("has_worker", [True, False])
def test_the_graph_is_laid_out_beside_the_page_where_a_worker_may_run(opened: Any, has_worker: bool) -> None:
    page = opened(waits=False, setup="" if has_worker else "delete window.Worker")
    page.locator("svg.graph .node").first.wait_for()
    assert len(page.workers) == has_worker
    places = page.locator("svg.graph .node > rect").evaluate_all("all => all.map(one => one.getAttribute('y'))")
    assert len(set(places)) > 5


def test_the_keyboard_walks_through_the_graph(opened: Any) -> None:
    page = opened()
    page.locator("svg.graph .node").first.wait_for()
    names = page.locator("svg.graph .node title").evaluate_all("all => all.map(one => one.textContent.split('\\n')[0])")
    assert names == [
        "conv1",
        "bn1",
        "relu",
        "maxpool",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "avgpool",
        "flatten",
        "fc",
    ]
    group = page.locator("svg.graph .node.group").first
    group.focus()
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelectorAll('svg.graph .node').length > 11")
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.getAttribute('aria-expanded')") == "true"  # and the focus is still there
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.querySelector('title').textContent").startswith("layer1.0")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    until(page, "document.querySelectorAll('svg.graph .node').length === 11")
    page.locator("svg.graph .node").last.focus()  # it moves into sight
    shown, frame = page.locator("svg.graph .node").last.bounding_box(), page.locator("svg.graph").bounding_box()
    assert frame["y"] <= shown["y"]
    assert shown["y"] + shown["height"] <= frame["y"] + frame["height"]


def test_enter_in_the_table_goes_to_the_graph_and_escape_to_the_whole(opened: Any) -> None:
    page = opened()
    page.get_by_role("button", name="open all").click()
    page.locator('.grid [role=row][data-id]:has-text("conv1")').first.focus()
    page.keyboard.press("ArrowLeft")  # nothing is around it
    assert page.evaluate("document.activeElement.textContent").startswith("conv1")
    page.keyboard.press("End")
    page.wait_for_timeout(150)
    assert page.evaluate("document.activeElement.textContent").startswith("fc")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.closest('svg.graph')")
    assert page.evaluate("document.activeElement.querySelector('title').textContent").startswith("fc")
    page.keyboard.press("Escape")
    assert page.locator("#chosen").inner_text() == "resnet18"
    field = page.get_by_label("Filter type")
    field.fill("conv")
    page.locator('.grid [role=row][data-id]:has-text("conv1")').first.click()
    field.focus()
    page.keyboard.press("Escape")  # clears the filter, and leaves the selection alone
    assert field.input_value() == ""
    assert page.locator("#chosen").inner_text() == "conv1"


def test_the_dialog_of_keys_closes_by_escape_and_leaves_the_selection(opened: Any) -> None:
    page = opened(address="#at=fc")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.locator("#chosen").inner_text() == "fc"


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("TSV", "conv1\tConv2d\t1x64x112x112\t9408\t118013952\t"),
        ("Markdown", "| conv1 | Conv2d | 1x64x112x112 | 9408 | 118013952 | "),
        ("LaTeX", "conv1 & Conv2d & 1x64x112x112 & 9408 & 118013952 & "),
    ],
)
def test_rows_are_copied(opened: Any, form: str, line: str) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=f"Copy {form}").click()
    page.locator(".controls [role=status]", has_text="rows copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert line in text  # 64 x 3 x 7 x 7, and that 112 x 112 times
    heads = {"TSV": "activation_bytes", "Markdown": "activation\\_bytes", "LaTeX": "activation\\_bytes"}
    assert heads[form] in text
    if form == "LaTeX":
        assert text.startswith("\\begin{tabular}{lllrrrr}\n\\toprule")
        assert text.endswith("\\bottomrule\n\\end{tabular}")


def test_modules_of_a_treemap_have_their_names(opened: Any) -> None:
    page = opened(address="#view=treemap")
    assert page.locator('.icicle .box[data-key="layer3/"] text').text_content().startswith("layer3")
    outer = page.locator('.icicle .box[data-key="layer3/"] rect').bounding_box()
    inner = page.locator('.icicle .box[data-key="layer3.0/"] rect').bounding_box()
    assert inner["y"] - outer["y"] > 12


def test_crumbs_lead_back_out_of_what_was_zoomed(opened: Any) -> None:
    page = opened()
    page.locator('.icicle .box[data-key="layer3/"]').dblclick()
    crumbs = page.get_by_role("navigation", name="Zoomed to")
    assert crumbs.inner_text().split() == ["resnet18", "layer3"]
    assert page.locator('.icicle .box[data-key="layer4/"]').count() == 0
    crumbs.get_by_role("button", name="resnet18").click()
    assert page.locator('.icicle .box[data-key="layer4/"]').count() == 1


def test_text_stays_in_its_box_whatever_its_letters(opened: Any) -> None:
    page = opened("hostile")
    page.locator("svg.graph .node").first.wait_for()
    page.get_by_role("button", name="depth +").click()
    page.wait_for_timeout(300)
    wider = """all => all.filter(node => [...node.querySelectorAll('text')].some(text =>
        text.getBBox().width > node.querySelector('rect').getBBox().width)).length"""
    for boxes in ("svg.graph .node", "svg.icicle .box"):
        assert page.locator(boxes).count() >= 1
        assert page.locator(boxes).evaluate_all(wider) == 0


def test_accuracy_stands_against_cost_where_it_is_given(opened: Any) -> None:
    page = opened("several")
    chart = page.locator("#compare svg[aria-label^='Accuracy against MACs']")
    assert (
        chart.get_attribute("aria-label")
        == "Accuracy against MACs: resnet18 69.76 at 1.814 G, resnet34 73.31 at 3.664 G"
    )
    page.locator("#metric").select_option(label="Parameters")
    page.locator("#compare svg[aria-label^='Accuracy against Parameters']").wait_for()
    assert page.locator(".totals").inner_text().split("\n")[-1].split("\t") == [
        "Accuracy, as given",
        "69.76",
        "73.31",
        "-",
    ]
    assert opened().locator("svg[aria-label^='Accuracy']").count() == 0


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
    assert page.locator(".model svg").count() == 3
    assert page.locator(".card.top tbody tr").count() == 90
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
    until(page, f"{ground} == 'rgb(246, 247, 249)'")


@pytest.mark.parametrize("name", ["one", "several"])
@pytest.mark.parametrize("script", [True, False])
def test_a_narrow_screen_does_not_scroll_sideways(opened: Any, name: str, script: bool) -> None:
    page = opened(name, viewport={"width": 320, "height": 700}, java_script_enabled=script, waits=script)
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_network_that_costs_nothing_says_so(opened: Any) -> None:
    page = opened("nothing")
    assert "No op of this network has any Parameters." in page.locator("#cost").inner_text()
    assert "No kernel computes anything" in page.locator("#roofline").inner_text()
    assert "Positions" in page.locator("#field").inner_text()
    assert page.locator(".card.top tbody tr").first.inner_text().split()[-1] == "0"  # a share of nothing is not <0.1%


def test_ticks_of_a_narrow_chart_stand_apart(opened: Any) -> None:
    page = opened("several", viewport={"width": 320, "height": 900})
    page.locator("#compare .chart svg").first.wait_for()
    ends = page.evaluate("""[...document.querySelectorAll('#compare .chart svg text')].filter((text) => /^[\\d.]+\u00d7$/.test(text.textContent))
        .map((text) => text.getBoundingClientRect()).map((box) => [box.left, box.right])""")
    assert len(ends) >= 2
    assert all(end + 4 < start for (_, end), (start, _) in itertools.pairwise(ends))


@pytest.mark.parametrize("width", [320, 1280])
def test_no_control_is_cut_off(opened: Any, width: int) -> None:
    page = opened("several", viewport={"width": width, "height": 900})
    page.wait_for_timeout(300)
    outside = """all => all.filter(one => { const box = one.getBoundingClientRect(), card = one.closest('.card').getBoundingClientRect();
        return box.width && (box.right > card.right || box.left < card.left); }).length"""
    assert page.locator(".card .controls > *, .card .head > *").evaluate_all(outside) == 0
    if width == 1280:  # the whole table is seen without scrolling
        assert page.evaluate("(grid => grid.scrollWidth <= grid.clientWidth)(document.querySelector('.grid'))")


def test_it_prints(opened: Any, tmp_path: Path) -> None:
    page = opened(color_scheme="dark")
    page.pdf(path=tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").stat().st_size > 20_000
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#graph").is_visible()
    assert page.locator("#app button:visible, #app select:visible").count() == 0
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
