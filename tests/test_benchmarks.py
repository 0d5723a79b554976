"""The benchmarks are fair: all contenders do the same work; and what they find is shown as it is."""

import doctest
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from benchmarks import against, docs, measuring, pure, results, rows
from benchmarks.contenders import MODULES, OURS, Contender, contender
from benchmarks.machine import description
from benchmarks.measuring import Spread, calls, difference, interleave, ratio
from benchmarks.messages import memory_held
from benchmarks.order import ORDER
from benchmarks.plot import as_svg
from benchmarks.report import as_markdown, as_text, missed
from benchmarks.results import Bar, Comparison, Figure, Findings, Report, Sense

ROOT = Path(__file__).parent.parent


@pytest.fixture(params=MODULES)
def one(request: pytest.FixtureRequest) -> Contender:
    """Each contender in turn; one whose library isn't installed is skipped."""
    return _installed(request.param)


def _installed(module: str) -> Contender:
    try:
        return contender(module)
    except ImportError as error:
        pytest.skip(f"the group bench is not installed: {error}")


class TestContenders:
    """All contenders carry the same order, and check the same rules."""

    def test_constructs_the_order(self, one: Contender) -> None:
        """The event that a contender makes says all that the order does."""
        assert ORDER == one.facts(one.construct())

    def test_brings_the_order_to_bytes_and_back(self, one: Contender) -> None:
        """Nothing of the order is lost on the way through JSON, the offset of the time included."""
        decoded = one.facts(one.decode(one.encode(one.construct())))

        assert ORDER == decoded
        assert ORDER.placed_at.utcoffset() == decoded.placed_at.utcoffset()

    @pytest.mark.parametrize(
        ("good", "bad"), [(rb"lovelace@", b"lovelace "), (rb'(quantity"(?:,"_data_")?: ?)12', rb"\g<1>0")]
    )
    def test_refuses_what_breaks_a_rule(self, one: Contender, good: bytes, bad: bytes) -> None:
        """An address without its sign, or a quantity of zero, is refused when decoding."""
        raw = one.encode(one.construct())
        broken, replaced = re.subn(good, bad, raw)

        assert 1 == replaced
        with pytest.raises(Exception):  # noqa: B017, PT011  (each contender has exceptions of its own)
            one.decode(broken)

    def test_writes_the_envelope_that_all_write(self, one: Contender) -> None:
        """Unless it declares an envelope of its own, domainkit reads what the contender writes."""
        ours = contender("with_domainkit")
        if one.own_envelope:
            pytest.skip("it writes another envelope")

        assert ORDER == ours.facts(ours.decode(one.encode(one.construct())))

    def test_by_hand_writes_the_same_bytes(self) -> None:
        """The baseline writes what domainkit writes, to the byte."""
        ours, by_hand = contender("with_domainkit"), contender("by_hand")
        event = ours.construct()

        assert ours.encode(event) == by_hand.encode(event)

    def test_memory_counts_what_an_event_holds(self) -> None:
        """The memory of an object is that of the bytes that it must hold at least, and not much more."""
        assert 1000 <= memory_held(lambda: bytearray(b"x" * 1000), events=50) <= 1200


class TestMeasuring:
    """Turns, ratios and spreads."""

    def test_interleave_gives_a_number_for_each_round(self) -> None:
        """Each function has as many turns as there are rounds, and none takes no time."""
        taken = interleave({"a": calls(sum, (1, 2)), "b": calls(len, "ab")}, rounds=5, seconds=0.0001)

        assert {"a": 5, "b": 5} == {name: len(numbers) for name, numbers in taken.items()}
        assert all(number > 0 for numbers in taken.values() for number in numbers)

    def test_interleave_takes_turns(self) -> None:
        """The functions run in turns, and another begins in each round."""
        order = [""]

        def noting(name: str) -> Callable[[int], float]:
            def batch(_: int) -> float:
                if name != order[-1]:  # it runs twice a turn: the first time warms up
                    order.append(name)
                return 1.0

            return batch

        interleave({"a": noting("a"), "b": noting("b")}, rounds=2, seconds=0.5)

        assert ["a", "b", "a"] == order[-3:]

    def test_ratio_is_taken_round_by_round(self) -> None:
        """A round in which everything is slow changes no ratio."""
        assert Spread(2.0, 2.0, 2.0, 2.0) == ratio([2.0, 20.0, 4.0], [1.0, 10.0, 2.0])

    def test_difference_is_taken_round_by_round(self) -> None:
        """So does a difference where the noise adds the same to both."""
        assert Spread(1.0, 1.0, 1.0, 1.0) == difference([2.0, 12.0], [1.0, 11.0])

    @pytest.mark.parametrize("module", [measuring, results])
    def test_examples(self, module: object) -> None:
        """The examples in the docstrings hold."""
        assert 0 == doctest.testmod(module).failed  # type: ignore[arg-type]  # a module


def _report() -> Report:
    spread = Spread(4.0, 3.0, 5.0, 2.5)
    groups = ("construct", "encode", "decode")
    figures = tuple(Figure(group, name, "us", spread) for group in groups for name in (OURS, "a & b"))
    bars = (None, Bar(Sense.AT_LEAST, 5, 8), Bar(Sense.AT_LEAST, 3, 4), Bar(Sense.AT_MOST, 5))
    comparisons = tuple(Comparison(f"what {place}", "x", spread, bar) for place, bar in enumerate(bars))
    return Report({"Processor": "abacus"}, "quick", Findings(figures, comparisons, ("a note",)))


class TestReport:
    """The results, as text, Markdown, JSON and picture."""

    def test_a_bar_that_is_missed_is_said(self) -> None:
        """A median on the wrong side of the bar is a miss, in each form."""
        report = _report()

        assert ["what 1"] == missed(report)
        assert ["", "MISSED", "goal met", "bar met"] == [one.verdict for one in report.findings.comparisons]
        assert ["", "MISSED", "goal met", "bar met"] == [
            one["verdict"] for one in report.builtins()["findings"]["comparisons"]
        ]

    def test_text_is_aligned(self) -> None:
        """The columns of the table of bars end at the same place."""
        lines = as_text(_report()).splitlines()
        start = lines.index("Against the bars")

        assert 1 == len({line.index("4.00 x") for line in lines[start + 2 : start + 6]})

    def test_markdown_has_every_figure(self) -> None:
        """The page has a table for each group, and the notes."""
        text = as_markdown(_report())

        assert 3 == text.count("| a & b | 4 | 50% | 1.00 |")
        assert "- a note" in text

    def test_what_it_takes_without_c_stands_beside(self) -> None:
        """Below each time of domainkit stands that without C, and the bars that it reaches are a table of their own."""
        alone = _report()
        without_c = pure.Pure.of(alone.builtins()["findings"])
        report = evolve(alone, findings=without_c.beside(alone.findings), without_c=without_c.comparisons)
        text = as_markdown(report)

        assert 3 == text.count(f"| {OURS} | 4 | 50% | 1.00 |\n| {pure.PURE} | 4 | 50% | 1.00 |")
        assert 3 == len(without_c.comparisons)
        assert text.index("### Against the bars") < text.index("### The same without a C compiler")
        assert ["MISSED", "goal met", "bar met"] == [one["verdict"] for one in report.builtins()["without_c"]]
        assert 9 == as_svg(as_markdown(report)).count("<rect") - 1

    def test_the_picture_is_well_formed(self) -> None:
        """The SVG is XML, with a bar for each figure; a small one has those of some contenders."""
        all_of_it = ET.fromstring(as_svg(as_markdown(_report())))
        small = ET.fromstring(as_svg(as_markdown(_report()), only={OURS}))

        background = 1
        assert background + 6 == len(all_of_it.findall("{http://www.w3.org/2000/svg}rect"))
        assert background + 3 == len(small.findall("{http://www.w3.org/2000/svg}rect"))

    @pytest.mark.parametrize("name", ["performance.svg", "performance-summary.svg"])
    def test_the_pictures_are_those_of_the_page(self, name: str) -> None:
        """Each picture of the documentation shows the figures of the tables that the page has today."""
        expected = docs.drawn(docs.PAGE.read_text("utf-8"))[name]

        assert expected == (docs.PICTURES / name).read_text("utf-8")

    def test_the_block_of_a_page_is_replaced(self) -> None:
        """The text between the marks is replaced, the rest is kept; a page without marks is refused."""
        page = f"above\n{docs.BEGIN}\nold\n{docs.END}\nbelow\n"

        assert f"above\n{docs.BEGIN}\n\nnew\n\n{docs.END}\nbelow\n" == docs.filled(page, "new")
        with pytest.raises(ValueError, match="no marks"):
            docs.filled("above", "new")

    def test_the_machine_is_described(self) -> None:
        """The report says on what it was made, the versions of the libraries included."""
        assert "domainkit-attrs" in description()["Libraries"]

    def test_a_run_without_c_says_so(self, tmp_path: Path) -> None:
        """With `--pure` nothing is done in C, wherever it is compiled."""
        file = tmp_path / "figures.json"
        command = [sys.executable, "-m", "benchmarks", "--pure", "--quick", "--only", "dispatch", "--json", str(file)]
        ran = subprocess.run(command, capture_output=True, check=False, cwd=ROOT, encoding="utf-8")

        assert 0 == ran.returncode, ran.stderr
        assert "without C" in ran.stderr
        assert json.loads(file.read_text("utf-8"))["machine"]["Part in C"].startswith("not used")


def _commit(repository: Path) -> None:
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(["git", *author, "commit", "-qm", "All that there is"], cwd=repository, check=True)


class TestLatency:
    """The time from a commit to what follows from it."""

    def test_a_row_of_a_read_model(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each event has a time until its row can be read."""
        projecting = pytest.importorskip("benchmarks.projecting", reason="needs the extras")
        with projecting.empty_on_sqlite() as place:
            projecting.latency.told_latencies("SQLite", "row", partial(projecting.latencies, *place, appends=2))

        *_, ratio_ = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"SQLite, median, of polling \(bar 0\.1\) +\d\.\d{3}  (met|MISSED)", ratio_)


class TestAgainst:
    """Two builds side by side."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        """Return a repository of git with one commit: the library as it is here."""
        root = tmp_path / "repository"
        shutil.copytree(ROOT / "domainkit", root / "domainkit", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        _commit(root)
        return root

    @staticmethod
    def environment(tree: Path, place: Path) -> Path:
        """Return a Python that finds the library of the worktree, without what pip takes long to install."""
        place.mkdir()
        python = place / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{tree}" exec {sys.executable} "$@"\n', "utf-8")
        python.chmod(0o755)
        return python

    def test_the_builds_are_measured_in_turns(self, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Each build is measured by the same script, the ratio is near 1 if they are equal, and nothing is left."""
        table = against.compared(
            "HEAD", rounds=2, rows=["construct", "import"], root=repository, environment=self.environment
        )

        *_, first, second = table.splitlines()
        assert ["construct", "import"] == [first.split()[0], second.split()[0]]
        assert 0.05 < float(first.split()[3]) < 20
        assert ["other", "this", "this", "other"] == re.findall(r"of 2: (\w+)", capsys.readouterr().err)
        listed = subprocess.run(["git", "worktree", "list"], cwd=repository, check=True, capture_output=True, text=True)
        assert 1 == len(listed.stdout.splitlines())

    def test_a_build_without_a_part_says_so(self, repository: Path) -> None:
        """A row that the other build can't run stays in the table, with the reason."""
        (repository / "domainkit" / "codec.py").unlink()
        _commit(repository)
        table = against.compared("HEAD", rounds=1, rows=["encode"], root=repository, environment=self.environment)

        assert "not measured, the other has ModuleNotFoundError: No module named 'domainkit.codec'" in table

    def test_rows_use_public_names(self) -> None:
        """A row imports only public names of the library: the inside of an older build is another one."""
        files = ("rows", "relaying", "saving", "databases", "brokers", "slow_line", "contenders/with_domainkit")
        public = r"(?:\.testing|\.adapters\.(?:sqlalchemy|rabbitmq))?"
        private = re.compile(rf"^(?:from|import) domainkit(?!{public} import )")
        lines = [line for one in files for line in (ROOT / f"benchmarks/{one}.py").read_text("utf-8").splitlines()]

        assert [] == [line for line in lines if private.search(line)]

    def test_every_row_measures(self) -> None:
        """Each row that needs no server has a time."""
        found = {name: rows.measured(row) for name, row in rows.ROWS.items() if "SQL" not in name and "MQ" not in name}

        assert dict.fromkeys(found, float) == {name: type(one) for name, one in found.items()}
