"""The report page in a real browser, for one run and for 504: everything that a reader can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from ledgers import ledger
from synthetic import FRECHET, point, quickstart, results

from analysis.frames import Results
from analysis.page import pictures, write_page

pytestmark = pytest.mark.browser

if TYPE_CHECKING:
    from browsing import Visit
    from playwright.sync_api import Browser

PATIENCE = 10_000  # milliseconds; a quiet machine takes a tenth (benchmarks/results.md)
LARGE = {"patches": (8, 16, 32), "channels": (4, 8, 16, 32, 64, 128, 256), "seeds": range(24)}
HOSTILE = "<script>window.hit=1</script><img src=x onerror=window.hit=1>"


@pytest.fixture(scope="module")
def one() -> Results:
    return quickstart(patches=(16,), channels=(16,), seeds=(0,))


@pytest.fixture(scope="module")
def many() -> Results:
    return quickstart(**LARGE, cfg=(1.5,))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def files(one: Results, many: Results, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of both sizes; 525 sheets, of which twelve differ, are encoded twelve times."""
    known: dict[int, Any] = {}
    encode = pictures.thumbnail

    def cached(path: Path) -> Any:
        inode = path.stat().st_ino
        if inode not in known:
            known[inode] = encode(path)
        return known[inode]

    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "thumbnail", cached)
        for name, found in (("one", one), ("many", many)):
            folder = tmp_path_factory.mktemp(name)
            made[name] = write_page(found, folder, ledger(found, folder, sheets=12)).path
    return made


@pytest.fixture
def opened(browser: Browser, files: dict[str, Path], request: pytest.FixtureRequest) -> Any:
    """The page of 504 runs, or of the parameter's size."""
    from browsing import visit

    with visit(browser, files[getattr(request, "param", "many")]) as seen:
        yield seen
        assert seen.requests == []
        assert seen.complaints == []


both_sizes = pytest.mark.parametrize("opened", ["one", "many"], indirect=True)


@both_sizes
def test_it_opens_quickly_and_shows_every_run(opened: Visit, request: Any) -> None:
    assert opened.milliseconds < PATIENCE
    runs = {"one": 1, "many": 504}[request.node.callspec.params["opened"]]
    assert len(opened.column(0)) == runs
    assert opened.page.locator("#count").inner_text() == f"{runs} of {runs} runs"
    assert opened.page.locator(".panel svg").count() == 2  # a data set each


@both_sizes
def test_hovering_tells_the_point_and_shows_its_picture(
    opened: Visit, one: Results, many: Results, request: Any
) -> None:
    made = {"one": one, "many": many}[request.node.callspec.params["opened"]]
    opened.page.locator("#metric").select_option(label="rPSNR")
    mark = opened.page.locator(".panel").first.locator("g ~ .mark[aria-label^='p16-c16-s0:']").first
    # Marks of seeds lie over each other: the keyboard's focus names this very one.
    mark.focus()
    where = {"point_id": "cfg-p16c16-s0", "kind": "reconstruct", "dataset": "photos-heldout"}
    (value,) = made.point_metrics.filter(**where, metric="rPSNR")["value"]
    said = opened.tip()
    assert "p16-c16-s0" in said
    assert f"{value:.4g}" in said.split()
    shown = opened.page.locator("#tip img")
    assert shown.get_attribute("src", timeout=1000).startswith("data:image/webp")  # type: ignore[union-attr]
    assert shown.evaluate("img => img.naturalWidth") == pictures.WIDTH
    opened.page.keyboard.press("Escape")
    assert opened.tip() == ""
    last = opened.page.locator(".panel").first.locator("svg > .mark").last  # the largest E
    last.scroll_into_view_if_needed()
    spot = last.bounding_box()
    assert spot is not None
    opened.page.mouse.move(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    opened.page.locator("#tip").wait_for(timeout=PATIENCE)
    shape = str(last.get_attribute("aria-label")).removeprefix("PCA floor, ").split("-s")[0]
    assert f"{shape}-s" in opened.tip()
    opened.page.mouse.move(2, 2)
    assert opened.tip() == ""


def test_sorting_goes_both_ways_and_is_announced(opened: Visit) -> None:
    at = opened.heads().index("E")
    head = opened.page.locator("table.runs thead th").nth(at)
    head.get_by_role("button").click()
    sizes = [int(text) for text in opened.column(at)]
    assert sizes == sorted(sizes)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").press("Enter")
    assert [int(text) for text in opened.column(at)] == sorted(sizes, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.page.locator("table.runs th[aria-sort]").count() == 1


def test_names_sort_as_people_count(opened: Visit) -> None:
    opened.page.locator("table.runs thead th").first.get_by_role("button").click()
    names = opened.column(0)
    assert names.index("p8-c4-s9") < names.index("p8-c4-s10") < names.index("p16-c4-s0")


@pytest.mark.parametrize(
    ("column", "asked", "left"),
    [
        ("p", "16", 7 * 24),
        ("p", "8|32", 2 * 7 * 24),
        ("c", ">=128", 3 * 2 * 24),
        ("c", "<8", 3 * 24),
        ("E", "4..64", 4 * 24),  # p32: 16, 32, 64; p16: 64
        ("run", "p8-c256-", 24),
        ("p", "nothing", 0),
    ],
)
def test_a_column_filters(opened: Visit, column: str, asked: str, left: int) -> None:
    page = opened.page
    page.get_by_label(f"Filter by {column}", exact=True).fill(asked)
    assert len(opened.column(0)) == left
    assert page.locator("#count").inner_text() == f"{left} of 504 runs"
    seeds_of_both_panels = page.locator(".panel svg > .mark:not(.floor)").count()
    assert seeds_of_both_panels == 2 * left
    assert page.locator(".gallery figure:not([hidden])").count() == left + left // 24  # and floors
    page.get_by_role("button", name="Clear filters").click()
    assert len(opened.column(0)) == 504


def test_any_text_filters_and_columns_can_be_shown(opened: Visit) -> None:
    page = opened.page
    page.get_by_label("Find").fill("p8-c4-s1")
    assert set(opened.column(0)) == {"p8-c4-s1", *(f"p8-c4-s{n}" for n in range(10, 20))}
    head = page.locator("table.runs thead th", has_text="kl_bits_per_pixel").first
    assert not head.is_visible()
    page.locator("summary", has_text="Columns").click()
    page.locator("#columns").get_by_label("kl_bits_per_pixel photos-heldout").check()
    assert head.is_visible()


def test_the_keyboard_walks_a_chart(opened: Visit) -> None:
    page = opened.page
    page.locator("#metric").select_option(label="rPSNR")
    page.locator(".panel svg").first.locator(".mark[tabindex='0']").focus()

    def at() -> float:
        said = page.evaluate("document.activeElement.getAttribute('aria-label')")
        return float(said.split(", E ")[1].split(",")[0])

    walked = [at()]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        walked.append(at())
    assert walked == [16, 32, 64, 128]
    page.keyboard.press("ArrowLeft")
    assert at() == 64
    label = "document.activeElement.getAttribute('aria-label')"
    seen = [page.evaluate(label)]
    for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        assert at() == 64
        seen.append(page.evaluate(label))
    assert len(set(seen)) == 3
    assert seen[1] == seen[3]
    page.keyboard.press("End")
    assert at() == 256 * 64
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    name = page.evaluate("document.activeElement.getAttribute('aria-label')").split(":")[0]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == name.removeprefix("PCA floor, ")


@pytest.mark.parametrize("opened", ["one"], indirect=True)
def test_every_control_is_reached_by_tab_and_shows_it(opened: Visit) -> None:
    page = opened.page
    page.locator("#columns").evaluate("box => { box.parentElement.open = true }")
    script = """() => {
        const e = document.activeElement, s = getComputedStyle(e);
        e.dataset.reached = 1;
        return [e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0];
    }"""
    for _ in range(400):
        page.keyboard.press("Tab")
        tag, ring = page.evaluate(script)
        if tag == "BODY":
            break
        assert ring, page.evaluate("document.activeElement.outerHTML")
    missed = page.evaluate("""() => {
        const all = [...document.querySelectorAll('a, button, input, select, summary')];
        return all.filter((e) => e.checkVisibility() && !e.dataset.reached).map((e) => e.outerHTML);
    }""")
    assert missed == []
    assert page.locator(".mark[data-reached]").count() == 2  # one stop per chart


@both_sizes
def test_a_screen_reader_finds_names_landmarks_and_tables(opened: Visit) -> None:
    page = opened.page
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and "role" in node
    ]
    roles = {role for role, _ in told}
    assert {"banner", "navigation", "main", "contentinfo", "status"} <= roles
    need = {"button", "searchbox", "combobox", "checkbox", "link", "image", "table", "region"}
    assert need <= roles
    assert [role for role, name in told if role in need and not name.strip()] == []
    sections = {name for role, name in told if role == "region"}
    assert {"Overview", "Runs", "Charts", "Reconstructions", "Claims", "Fits", "Cost"} <= sections
    assert page.evaluate("[...document.images].every((img) => img.hasAttribute('alt'))")


@pytest.mark.parametrize("opened", ["one"], indirect=True)
def test_a_chart_can_be_read_as_a_table(opened: Visit, one: Results) -> None:
    opened.page.locator("#metric").select_option(label="rPSNR")
    opened.page.locator(".panel summary").first.click()
    rows = opened.page.locator(".panel").first.locator("tbody tr")
    texts = [text.split("\t") for text in rows.all_inner_texts()]
    where = (pl.col("metric") == "rPSNR") & (pl.col("dataset") == "photos-heldout")
    values = one.point_metrics.filter(where)["value"].to_list()
    assert sorted(float(row[-1]) for row in texts) == sorted(float(f"{v:.4g}") for v in values)
    assert {row[1] for row in texts} == {"trained", "PCA floor"}


def test_what_is_drawn_can_be_chosen(opened: Visit) -> None:
    page = opened.page
    page.locator("#metric").select_option(label="gFD[efficientnet-lite0]")
    assert page.locator(".panel h3").all_inner_texts() == ["photos-train, CFG 1.5"]
    page.locator("#over").select_option("c")
    assert "c, channels" in page.locator(".panel svg").get_attribute("aria-label")  # type: ignore[operator]
    assert page.locator(".fit").count() == 0  # lines are over E
    page.locator("#colour").select_option("c")
    legend = page.locator("#legend li").all_inner_texts()
    assert [text.strip() for text in legend[1:8]] == ["4", "8", "16", "32", "64", "128", "256"]
    page.locator("#metric").select_option(label=FRECHET)
    page.locator("#over").select_option("E")
    assert page.locator(".fit.trained").count() == page.locator(".fit.floor").count() == 2
    page.get_by_role("checkbox", name="PCA floor").uncheck()
    assert page.locator(".mark.floor").count() == 0
    page.get_by_label("fitted lines").uncheck()
    assert page.locator(".fit").count() == 0


def test_dark_and_light_follow_the_system_and_the_button(
    browser: Browser, files: dict[str, Path]
) -> None:
    from browsing import visit

    def ground(seen: Visit) -> int:
        colour = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.strip("rgb()").split(","))

    for scheme, other in (("dark", "light"), ("light", "dark")):
        with visit(browser, files["one"], color_scheme=scheme) as seen:
            assert (ground(seen) > 600) == (scheme == "light")
            button = seen.page.get_by_role("button", name="Theme")
            for _ in range(1 if other == "light" else 2):
                button.click()
            assert button.inner_text() == f"Theme: {other}"
            assert (ground(seen) > 600) == (other == "light")
            seen.page.reload()
            assert button.inner_text() == f"Theme: {other}"


def test_names_from_outside_are_text_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    """A slug, a metric, a data set, a protocol and an error that are markup."""
    from browsing import visit

    made = quickstart(patches=(16,), channels=(8, 16), seeds=(0,), floor=False, cfg=(1.5,))
    bad = {name: pl.lit(f"{HOSTILE}</script>{name}") for name in ("dataset", "protocol")}
    metrics = made.point_metrics.with_columns(**bad, metric=pl.lit(HOSTILE) + pl.col("metric"))
    points = [point(16, c, 16, 0) | {"slug": f"{HOSTILE}{c}"} for c in (8, 16)]
    hostile = results(points, metrics.to_dicts())
    page = write_page(hostile, tmp_path, ledger(hostile, tmp_path, samples=1))
    with visit(browser, page.path) as seen:
        seen.page.locator(".panel .mark").first.focus()
        assert HOSTILE in seen.tip()
        assert HOSTILE in seen.column(0)[0]
        seen.page.get_by_label("Find").fill("<script>")
        assert len(seen.column(0)) == 2
        for summary in seen.page.locator("summary").all():
            summary.click()
        assert seen.page.evaluate("window.hit") is None
        assert seen.requests == []
        assert seen.complaints == []


@pytest.mark.parametrize("opened", ["one"], indirect=True)
def test_the_page_s_policy_shuts_the_network_and_other_scripts_out(opened: Visit) -> None:
    refused = opened.page.evaluate("""async () => {
        const seen = [];
        document.addEventListener('securitypolicyviolation',
            (e) => seen.push(e.effectiveDirective));
        await fetch('http://127.0.0.1:9/').catch(() => 0);
        const picture = document.createElement('img'); picture.src = 'http://127.0.0.1:9/x.png';
        const script = document.createElement('script'); script.textContent = 'window.hit = 1';
        document.body.append(picture, script);
        await new Promise((done) => setTimeout(done, 300));
        return [...seen, window.hit ?? 'not run'];
    }""")
    assert sorted(refused) == ["connect-src", "img-src", "not run", "script-src-elem"]
    assert opened.requests == []
    opened.complaints.clear()  # the browser's own words about these


@pytest.mark.parametrize("width", [400, 800])
def test_a_narrow_window_scrolls_only_down(
    browser: Browser, files: dict[str, Path], width: int
) -> None:
    from browsing import visit

    with visit(browser, files["many"], viewport={"width": width, "height": 800}) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width
        seen.page.locator(".panel .mark").first.focus()
        box = seen.page.locator("#tip").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@both_sizes
def test_on_paper_there_are_no_controls_and_nothing_is_cut(opened: Visit) -> None:
    page = opened.page
    page.set_viewport_size({"width": 1030, "height": 730})  # A4 landscape without its margins
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 1030
    for selector in ("nav", "#theme", "#runs-tools", "#chart-tools"):
        assert not page.locator(selector).is_visible()
    assert page.locator("table.runs").is_visible()
    clipped = "boxes => boxes.filter((box) => getComputedStyle(box).overflow !== 'visible').length"
    assert page.eval_on_selector_all(".scroll", clipped) == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"


def test_without_scripts_tables_and_pictures_are_there(
    browser: Browser, files: dict[str, Path]
) -> None:
    from browsing import visit

    with visit(browser, files["one"], java_script_enabled=False) as seen:
        assert seen.page.locator("table.runs tbody tr").count() == 1
        assert seen.page.locator(".gallery img").first.is_visible()
        assert not seen.page.locator("#chart-tools").is_visible()
