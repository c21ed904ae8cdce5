import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import results
from results.analyses.ablation import ablation
from results.analyses.confirmation import confirmation
from results.errors import ResultsError, RunUnreadable
from results.report.page import report, write_report
from results.runs import to_curves, to_frame, write
from results.tables.ablation import effects_text

SPEC = 'data = "digits"\nsampler = "tpe"\nsplit_seed = 0\n[training]\nlr = 0.05\n'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def rows(count: int) -> list[dict]:
    """Trials with two seeds each; one in six failed, for a reason that would be markup."""
    rng = np.random.default_rng(5)
    found = []
    for number in range(count):
        params = int(rng.integers(500, 50_000))
        each = np.clip(0.6 + 0.08 * np.log10(params) + rng.normal(0, 0.005, 2), 0, 1)
        done = number % 6 != 5
        measured = {"accuracy": each.mean(), "accuracy_std": each.std(ddof=1), "accuracies": json.dumps(each.tolist())}
        found.append(
            {"number": number, "state": "completed" if done else "failed", "backbone": "resnet8", "widths": "4-8-16",
             "activation": ["relu", "leni", "prelu"][number % 3], "placement": "all", "lr_factor": 1.0,
             "params": params, "macs": 10 * params, "seeds": 2, "epochs": 3, "wall_s": 2.5, "device": "cpu",
             "error": "" if done else "<b>no luck</b> & more", "started_at": f"2026-03-01T10:00:{number % 60:02d}Z",
             **(measured if done else {})}
        )  # fmt: skip
    return found


def folder(place: Path, count: int, **facts: object) -> Path:
    """A run's folder, as a search leaves it."""
    place.mkdir(parents=True)
    write(to_frame(rows(count)), place / "trials.parquet")
    curves = [
        {"number": n, "seed": s, "epoch": e, "accuracy": 0.2 * e, "loss": 1.0}
        for n in range(count) for s in (0, 1) for e in (1, 2, 3)
    ]  # fmt: skip
    write(to_curves(curves), place / "curves.parquet")
    environment = {"git_revision": "c" * 40, "seed": 0, "data": "digits", "python": "3.11.7", "ended": "complete",
                   "versions": {"torch": "2.14.1"}, "command": ["/usr/bin/leni-search", "run", "a b.toml"],
                   **facts}  # fmt: skip
    (place / "environment.json").write_text(json.dumps(environment))
    (place / "spec.toml").write_text(SPEC)
    return place


def confirm(place: Path) -> None:
    """What `leni-search confirm` leaves beside a run."""
    front = results.load(place).front()
    before = front.assign(candidate=[f"c{n}" for n in front["number"]], role="front")
    again = before.drop(columns="role").assign(test_accuracy=front["accuracy"] - 0.02, test_accuracies="[0.5, 0.6]")
    (place / "confirmed.csv").write_text(results.to_csv(confirmation(before, again).rows))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    place = folder(tmp_path_factory.mktemp("runs") / "digits", 36)
    confirm(place)
    return report(place)


class Tags(HTMLParser):
    """Elements that are open, and all ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text(page: str) -> str:
    plain = re.sub(r"<svg.*?</svg>|<style.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", plain))


def test_report_is_whole_html_and_asks_nothing_of_the_network(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(set(tags.ids)) == len(tags.ids)
    anchors = set(re.findall(r'<a href="#([^"]+)"', page))
    assert anchors
    assert anchors <= set(tags.ids)
    assert not re.search(r"<script|@import|<img|src=|https?://(?!www\.w3\.org)", page)
    assert set(re.findall(r'href="([^#"][^"]*)"', page)) == {"data:,"}


def test_report_has_every_section_and_leads_with_the_confirmed_front(page):
    for name in ("front", "compensation", "ablation", "importance", "curves", "failures", "cost", "reproduce",
                 "checklist"):  # fmt: skip
        assert f'<section id="{name}">' in page
    said = text(page)
    assert said.index("The confirmed front has") < said.index("Hypervolume of the members")
    assert "None has been run; leni-search ablate" in said.replace("  ", " ")


def test_report_tells_the_front_the_failures_and_how_to_repeat_it(page):
    said = text(page)
    assert "&lt;b&gt;no luck&lt;/b&gt; &amp; more" in page
    assert "<b>no luck" not in page
    assert "leni-search run 'a b.toml'" in said.replace("&#39;", "'")
    assert "c" * 40 in said
    assert "lr = 0.05" in said


def test_report_has_the_ablation_that_was_run(tmp_path):
    place = folder(tmp_path / "run", 6)
    cells = [{"number": n, "state": "completed", "accuracy": 0.5 + n / 10, "accuracies": f"[{0.4 + n / 10}, 0.6]",
              "params": 10, "factor: kernel": level} for n, level in enumerate(["3", "1"])]  # fmt: skip
    found = ablation(to_frame(cells))
    tables = [frame.to_dict("split", index=False) for frame in effects_text(found) if len(frame)]
    notes = {"sentences": ["Kernels <matter>."], "tables": tables, "figure": found.figure().to_dict()}
    (place / "ablation").mkdir()
    (place / "ablation" / "ablation.json").write_text(json.dumps(notes))
    page = report(place)
    said = text(page)
    assert "Kernels &lt;matter&gt;." in said
    assert "kernel 1 for 3" in said
    assert "yes see the ablation above" in said
    Tags().feed(page)


def test_report_of_an_unconfirmed_run_says_so(tmp_path):
    said = text(report(folder(tmp_path / "run", 6)))
    assert "Not confirmed" in said
    assert "leni-search confirm" in said
    (tmp_path / "run" / "confirm").mkdir()
    assert "has not come to its end" in text(report(tmp_path / "run"))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_report_of_hardly_any_trial_is_shorter(tmp_path, count):
    place = folder(tmp_path / "run", count)
    page = report(place)
    said = text(page)
    assert ("No trial has completed" in said) == (count == 0)
    Tags().feed(page)


@pytest.mark.parametrize("case", ["empty", "no curves", "half a file", "another schema", "no environment", "missing"])
def test_report_of_what_is_no_run_is_one_sentence(tmp_path, case):
    place = folder(tmp_path / "run", 3)
    if case == "empty":
        place = tmp_path / "other"
        place.mkdir()
    elif case == "missing":
        place = tmp_path / "nowhere"
    elif case == "no curves":
        (place / "curves.parquet").unlink()
    elif case == "no environment":
        (place / "environment.json").unlink()
    elif case == "half a file":
        (place / "trials.parquet").write_bytes((place / "trials.parquet").read_bytes()[:300])
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(place / "trials.parquet")
        pq.write_table(table.replace_schema_metadata({b"schema_version": b"99"}), place / "trials.parquet")
    with pytest.raises(RunUnreadable) as refused:
        report(place)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("confirmed.csv", "number\n1\n"),
        ("confirmed.csv", ""),
        ("spec.toml", "= ="),
        ("ablation/ablation.json", "{}"),
        ("ablation/ablation.json", "[1"),
        ("confirm/trials.parquet", "half"),
        ("ablation/runs/base/trials.parquet", "half"),
    ],
)
def test_report_does_without_a_part_that_is_damaged(tmp_path, name, content):
    place = folder(tmp_path / "run", 3)
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(content)
    page = report(place)
    assert '<section id="front">' in page
    words = ("cannot be read", "is no whole ablation", "can be read", "not known")
    assert any(said in page for said in words)


def test_report_of_a_users_own_objectives(tmp_path):
    place = folder(tmp_path / "run", 0, objectives={"f1": "minimize", "f2": "minimize"})
    own = [{"number": n, "state": "completed", "f1": n * 1.0, "f2": 5.0 - n, "x": 0.1 * n} for n in range(5)]
    write(to_frame(own), place / "trials.parquet")
    said = text(report(place))
    assert "Which settings are best in f1 and f2?" in said
    assert "The front as searched has 5 members" in said


def test_write_report_puts_the_page_in_the_folder_or_where_it_is_told(tmp_path):
    place = folder(tmp_path / "run", 3)
    assert write_report(place) == place / "report.html"
    assert write_report(place, tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(ResultsError, match="cannot be written"):
        write_report(place, tmp_path / "nowhere" / "r.html")


@pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
def test_report_in_a_browser_fits_a_phone_and_a_desk_without_error_or_request(tmp_path, page):
    playwright = pytest.importorskip("playwright.sync_api")
    (tmp_path / "report.html").write_text(page)
    address = (tmp_path / "report.html").as_uri()
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((400, "light"), (400, "dark"), (1400, "light"), (1400, "dark")):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            view, said, asked = context.new_page(), [], []
            view.on("console", lambda message, said=said: said.append(message.text))
            view.on("pageerror", lambda error, said=said: said.append(str(error)))
            view.on("request", lambda request, asked=asked: asked.append(request.url))
            view.goto(address)
            assert (said, [url for url in asked if not url.startswith("data:")]) == ([], [address])
            assert view.evaluate("document.documentElement.scrollWidth") <= width
            assert view.locator("figure .narrow").first.is_visible() == (width == 400)
            ink, paper = (
                view.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
            )
            assert (lightness(ink) < lightness(paper)) == (scheme == "light")
            label = view.locator("figure svg:visible text").first
            assert lightness(label.evaluate("node => getComputedStyle(node).fill")) == lightness(ink)
            context.close()
        sheet = browser.new_context(viewport={"width": 680, "height": 960}, color_scheme="dark").new_page()
        sheet.emulate_media(media="print")
        sheet.goto(address)
        assert sheet.evaluate("document.documentElement.scrollWidth") <= 680
        assert sheet.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        browser.close()


def lightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3]))
