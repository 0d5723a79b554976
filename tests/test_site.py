"""The documentation as a site: a fresh reader finds answers, the pictures are true, and each page fits a phone.

The last part looks at the built pages with a real browser, if this machine has one.
"""

import ast
import re
import subprocess
import sys
import threading
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from os.path import normpath
from pathlib import Path
from typing import NamedTuple

import pytest
from browsers import Browser, browser, started
from checkers import DOCS, README, ROOT

from benchmarks import docs as measured
from docs import pictures

START = "index.md"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if not {"_build", "examples"} & {*path.parts})
PHONE = 390
"""Pixels of the width of a phone."""

FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SVG = "{http://www.w3.org/2000/svg}"

ANSWERS = {
    "How do I reject an invalid value?": (r"\.parse\(5\)", "Failure: InvalidValueObject"),
    "How do I keep two kinds of ids apart?": (r"class TaskId\(Uuid\)", "a TaskId is not a UserId"),
    "What happens if two users change the same aggregate?": ("AggregateVersionConflictError", r"retrieve it\s+again"),
    "What happens if the broker is down?": ("outage", "stored messages wait"),
    "What happens if a process is killed?": ("OutcomeUnknownError", r"When the lease is over"),
    "Can an event be handled twice?": ("delivers some messages twice", "lets each handler do it once"),
    "How do I read events of an older version?": ("upcasters=", "version = 3"),
    "Which HTTP status does an error get?": ("`NotFound`", "404", "409"),
    "How do I test my domain?": (r"given\(", r"\.when\(", r"\.then"),
    "Where do failed messages go?": ("dead letters", "redeliver"),
}
"""Questions of a fresh reader, and what the section with the answer says."""


class Place(NamedTuple):
    """A page, or a section of it."""

    page: str
    section: str = ""


def slug(heading: str) -> str:
    """Return the anchor of a heading, as MyST makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def sections(page: str) -> dict[str, str]:
    """Return the text of each section of a page by its anchor; the text before the first one has none."""
    found, section, inside = {"": ""}, "", False
    for line in (DOCS / page).read_text("utf-8").splitlines(keepends=True):
        inside ^= line.startswith("```")
        if not inside and (heading := re.match(r"##+ (.*)", line)):
            section = slug(heading[1])
        found[section] = found.get(section, "") + line
    return found


@cache
def links(page: str) -> frozenset[Place]:
    """Return the places that a page leads to: by its links, its toctree, and the contents beside it."""
    text = (DOCS / page).read_text("utf-8")
    folder = Path(page).parent
    listed = re.findall(r"^```\{toctree\}\n(?::.*\n)*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    entries = [f"{entry}.md" for block in listed for entry in block.split()]
    found = {Place(page, section) for section in sections(page)}
    for target in [*entries, *re.findall(r"\]\((?!https?:)([^)]*\.md[^)]*)\)", FENCE.sub("", text))]:
        path, _, anchor = target.partition("#")
        found.add(Place(normpath(folder / path), anchor))
    return frozenset(found)


@cache
def clicks() -> dict[Place, int]:
    """Return how many clicks each place is from the start page."""
    found = {Place(START): 0}
    waiting = [Place(START)]
    for place in waiting:
        if (DOCS / place.page).is_file() and place.page in PAGES:
            new = [target for target in sorted(links(place.page)) if target not in found]
            found |= dict.fromkeys(new, found[place] + 1)
            waiting += new
    return found


class TestReader:
    """A reader who has never seen domainkit."""

    @pytest.mark.parametrize("question", ANSWERS)
    def test_a_question_is_answered_within_two_clicks(self, question: str) -> None:
        """A section with the answer is at most two clicks from the start page, and the start page links to it."""
        answering = [
            Place(page, section)
            for page in PAGES
            for section, text in sections(page).items()
            if all(re.search(said, text) for said in ANSWERS[question])
        ]
        pattern = rf"^- \[{re.escape(question)}\]\(([^)#]*)#?(.*)\)$"
        linked = re.search(pattern, (DOCS / START).read_text("utf-8"), re.MULTILINE)

        assert [] != [place for place in answering if clicks().get(place, 9) <= 2]
        assert linked is not None
        assert Place(linked[1], linked[2]) in answering

    def test_every_page_is_within_three_clicks(self) -> None:
        """No page is lost: each is at most three clicks from the start page."""
        assert [] == [page for page in PAGES if clicks().get(Place(page), 9) > 3]


class TestStart:
    """The start page agrees with the sources of its facts."""

    def test_the_example_has_twenty_lines(self) -> None:
        """The first example has twenty lines at most, without empty lines."""
        assert 20 >= len([line for line in _first_block(DOCS / START).splitlines() if line])

    def test_the_example_is_that_of_the_readme(self) -> None:
        """Each class of the start page stands in README.md, to the letter."""
        ours, theirs = (
            {node.name: ast.unparse(node) for node in ast.parse(code).body if isinstance(node, ast.ClassDef)}
            for code in (_first_block(DOCS / START), _first_block(README))
        )

        assert {"TaskId", "Title", "TaskCreated", "Task"} == set(ours)
        assert ours == {name: theirs[name] for name in ours}

    def test_the_figures_are_those_of_the_page_of_performance(self) -> None:
        """The comparison with pydantic has the medians that stand in the table of the bars."""
        table = (DOCS / "performance.md").read_text("utf-8").partition("### Against the bars")[2].partition("\n### ")[0]
        medians = re.findall(r"^\| \w+: faster than pydantic \| ([\d.]+) x", table, re.MULTILINE)

        assert 3 == len(medians)
        assert medians == re.findall(r"\d\.\d\d(?= times| at)", (DOCS / START).read_text("utf-8"))

    def test_tests_that_are_named_exist(self) -> None:
        """Each file or folder of tests that the start page names exists."""
        named = re.findall(r"`(tests/[\w/.]+)`", (DOCS / START).read_text("utf-8"))

        assert named
        assert [] == [path for path in named if not (ROOT / path).exists()]

    def test_every_extra_can_be_chosen(self) -> None:
        """The page about choosing has a row for each extra, and no other; the start page names no other."""
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"].keys()
        rows = re.findall(
            r"^\| [^|]+ \| `(\w+)` \| \[", (DOCS / "choose-your-parts.md").read_text("utf-8"), re.MULTILINE
        )
        named = re.findall(r"\[([a-z,]+)\]['`]", sections(START)["install"])

        assert sorted(known - {"all"}) == sorted(rows)
        assert set() == {extra for group in named for extra in group.split(",")} - known


def _first_block(page: Path) -> str:
    return page.read_text("utf-8").partition("```python\n")[2].partition("```")[0]


class TestPictures:
    """The pictures of the pages."""

    @pytest.mark.parametrize("name", pictures.PICTURES)
    def test_it_is_what_its_code_draws(self, name: str) -> None:
        """Each file is what `python docs/pictures.py` writes."""
        assert pictures.PICTURES[name]() == (pictures.STATIC / name).read_text("utf-8")

    @pytest.mark.parametrize("name", [*pictures.PICTURES, "performance.svg", "performance-summary.svg"])
    def test_it_suits_a_phone_and_both_schemes(self, name: str) -> None:
        """It is no wider than a phone's column, has a background of its own, and colors for a dark page."""
        drawn = (measured.PICTURES / name).read_text("utf-8")
        root = ET.fromstring(drawn)
        background = root.find(f"{SVG}rect")

        assert int(root.attrib["width"]) <= 360
        assert background is not None
        assert "page" == background.attrib["class"]
        assert "prefers-color-scheme:dark" in drawn
        assert root.attrib["aria-label"]

    def test_every_picture_has_an_alternative_text(self) -> None:
        """Each picture of a page exists, and has a text for those who don't see it."""
        found = [
            (page, alternative, target)
            for page in PAGES
            for alternative, target in re.findall(
                r"!\[([^\]]*)\]\(([^)]+)\)", FENCE.sub("", (DOCS / page).read_text("utf-8"))
            )
        ]

        assert len(found) >= 6
        assert [] == [one for one in found if len(one[1]) < 20 or not (DOCS / Path(one[0]).parent / one[2]).is_file()]

    def test_every_picture_is_shown(self) -> None:
        """No picture lies around unused."""
        text = "".join((DOCS / page).read_text("utf-8") for page in PAGES)

        assert [] == [name for name in pictures.PICTURES if f"_static/{name})" not in text]

    def test_the_path_of_an_event_has_the_steps_of_its_page(self) -> None:
        """The numbers in the picture are those of the list below it."""
        drawn = {int(number) for number in re.findall(r">(\d) \w+<", pictures.delivery())}
        listed = re.findall(r"^(\d)\. \*\*", (DOCS / "explanation" / "delivery.md").read_text("utf-8"), re.MULTILINE)

        assert set(map(int, listed)) == drawn

    def test_the_map_has_the_order_of_the_imports(self) -> None:
        """Each module of the map exists, and imports from no layer that is drawn below its own."""
        layers = [re.findall(r"\w+", " ".join(lines)) for lines in pictures.LAYERS.values()]
        rank = {name: place for place, names in enumerate(layers) for name in names}
        wrong = [
            (name, other)
            for name, place in rank.items()
            for other in _imported_by(name)
            if rank.get(other, place) > place
        ]

        assert len(rank) == sum(map(len, layers))
        assert [] == wrong


def _imported_by(name: str) -> Iterator[str]:
    """Yield the parts of the package, and the adapters, that a part imports."""
    places = [ROOT / "domainkit", ROOT / "domainkit" / "adapters"]
    files = [
        file for place in places for file in [place / f"{name}.py", *(place / name).rglob("*.py")] if file.is_file()
    ]
    assert files, f"{name} is no part of domainkit"
    for file in files:
        for node in ast.parse(file.read_text("utf-8")).body:  # a late import, in a function, is for an extra
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("domainkit."):
                yield node.module.removeprefix("domainkit.").removeprefix("adapters.").partition(".")[0]


@pytest.fixture(scope="module")
def built() -> Path:
    """Return the folder of the built pages: those of `make docs` if they are new enough, else built here."""
    browser()
    if find_spec("furo") is None:
        pytest.skip("no pages for the browser: pip install --group docs")
    made = DOCS / "_build"
    if not _is_current(made / "index.html"):
        made = ROOT / "build" / "site"
        command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(DOCS), str(made)]
        subprocess.run(command, check=True, cwd=ROOT)
    return made


def _is_current(page: Path) -> bool:
    sources = [
        file for folder in (DOCS, ROOT / "domainkit") for file in folder.rglob("*") if "_build" not in file.parts
    ]
    newest = max(file.stat().st_mtime for file in sources if file.suffix in {".md", ".py", ".css", ".svg"})
    return page.is_file() and page.stat().st_mtime > newest


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and writes no log."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    """Serve the built pages on the loopback, and return their address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def tab(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a browser that shows pages as a phone does."""
    with started(tmp_path_factory.mktemp("browser") / "profile") as one:
        yield one


OUTSIDE = """[...document.querySelectorAll('article *')].filter(one => {
    if (one.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let frame = one.parentElement; frame.tagName != 'ARTICLE'; frame = frame.parentElement)
        if (getComputedStyle(frame).overflowX != 'visible') return false;
    return true;
}).map(one => one.outerHTML.slice(0, 100))"""
"""Elements that stick out of the window, and that no frame of their own scrolls."""

SCROLLED = """[...document.querySelectorAll('.table-wrapper')].filter(one => one.scrollWidth > one.clientWidth)
    .filter(one => one.querySelectorAll('thead th').length <= 4).map(one => one.textContent.slice(0, 100))"""
"""Tables of four columns or fewer that don't fit."""

BROKEN = """[...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.src)"""

LINKS = (
    """[...document.querySelectorAll('a[href]')].map(one => one.href).filter(one => one.startsWith(location.origin))"""
)
ANCHORS = """[...document.querySelectorAll('[id]')].map(one => one.id)"""


class TestBrowser:
    """The built pages, in a real browser."""

    def test_every_page_fits_a_phone(self, tab: Browser, address: str, built: Path) -> None:
        """At 390 pixels no page scrolls sideways, no console has an error, and no link leads to nothing."""
        tab.view(PHONE, 844)
        wrong: dict[str, object] = {}
        targets: dict[str, set[str]] = {}
        anchors: dict[str, set[str]] = {}
        for page in sorted(str(path.relative_to(built)) for path in built.rglob("*.html")):
            tab.open(address + page)
            width = tab.run("document.documentElement.scrollWidth")
            found = [*tab.run(OUTSIDE), *tab.run(SCROLLED), *tab.run(BROKEN), *tab.complaints()]
            if width > PHONE or found:
                wrong[page] = (width, found)
            targets[page] = {target.removeprefix(address) for target in tab.run(LINKS)}
            anchors[page] = {"", *tab.run(ANCHORS)}

        assert len(anchors) > len(PAGES)
        assert {} == wrong
        assert [] == sorted(
            (page, target)
            for page, found in targets.items()
            for target in found
            if (parts := target.partition("#")) and parts[2] not in anchors.get(parts[0] or "index.html", ())
        )

    @pytest.mark.parametrize("word", ["outbox", "Mediator", "idempotent"])
    def test_the_search_finds_pages(self, tab: Browser, address: str, word: str) -> None:
        """The search, which runs in the browser, lists pages for a word of the domain and for a name."""
        tab.view(PHONE, 844)
        tab.open(f"{address}search.html?q={word}")

        assert tab.wait("document.querySelectorAll('ul.search li a').length") > 0
        assert [] == tab.complaints()

    @pytest.mark.parametrize("system", ["light", "dark"])
    @pytest.mark.parametrize("chosen", ["auto", "light", "dark"])
    def test_pictures_follow_the_scheme(self, tab: Browser, address: str, system: str, chosen: str) -> None:
        """A picture is dark on a dark page and light on a light one, if the system says so or the reader does."""
        tab.view(PHONE, 844, system)
        tab.open(f"{address}index.html")
        tab.run(f"document.body.dataset.theme = '{chosen}'")
        tab.run("document.images[0].scrollIntoView({block: 'center', behavior: 'instant'})")

        is_dark = "dark" == (system if chosen == "auto" else chosen)
        assert is_dark == (_brightness(tab) < 128)

    @pytest.mark.parametrize("name", [*pictures.PICTURES, "performance.svg", "performance-summary.svg"])
    def test_texts_stay_within_their_picture(self, tab: Browser, address: str, name: str) -> None:
        """Each text of a picture is inside it, and at least 11 pixels high."""
        tab.view(PHONE, 844)
        tab.open(f"{address}index.html")
        drawn = (measured.PICTURES / name).read_text("utf-8")
        tab.run(f"document.body.innerHTML = {drawn!r}")
        outside = tab.run(
            """[...document.querySelectorAll('text')].filter(one => {
                const text = one.getBoundingClientRect(), all = one.ownerSVGElement.getBoundingClientRect();
                return text.left < all.left + 2 || text.right > all.right - 2 || text.bottom > all.bottom
                    || text.height < 11;
            }).map(one => one.textContent)"""
        )

        assert [] == outside


def _brightness(tab: Browser) -> int:
    """Return how bright the background of the first picture is, from 0 to 255: in the middle of its left edge."""
    x, y = tab.run("(edge => [edge.x + 4, edge.y + edge.height / 2])(document.images[0].getBoundingClientRect())")
    image = tab.ask("Page.captureScreenshot")["data"]
    script = f"""new Promise(done => {{
        const image = new Image();
        image.onload = () => {{
            const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
            canvas.drawImage(image, 0, 0);
            done(Math.max(...canvas.getImageData({x}, {y}, 1, 1).data.slice(0, 3)));
        }};
        image.src = 'data:image/png;base64,{image}';
    }})"""
    return int(tab.run(script))
