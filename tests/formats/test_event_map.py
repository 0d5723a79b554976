"""The picture of an application, and the command line that draws it."""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from attrs import frozen
from returns.result import Result, Success

from domainkit import (
    AsyncInmemoryDomainEventBus,
    AsyncMediator,
    Command,
    DomainError,
    DomainEvent,
    Envelope,
    InmemoryCommandBus,
    InmemoryDomainEventBus,
    Mediator,
    pipeline,
)
from domainkit.cli import main
from domainkit.formats import event_map
from domainkit.handlers import AnyHandler, AnySubscriber


class Ping(Command[None, DomainError]): ...


class Pinged(DomainEvent): ...


class PingedTwice(Pinged): ...


class Other(DomainEvent): ...


def ping(command: Ping) -> Result[None, DomainError]:
    """Answer a ping."""
    return Success(None)


def count(event: Pinged) -> None:
    """Count a ping."""


async def tell(event: DomainEvent) -> None:
    """Tell of any event."""


mediator = Mediator(Ping.handled_by(ping))
bus = InmemoryDomainEventBus(Pinged.handled_by(count))
async_bus = AsyncInmemoryDomainEventBus(DomainEvent.handled_by(tell))
causes = {Ping: [Pinged, PingedTwice]}
nothing = 5

DRAWN = """flowchart LR
    n0["Ping"]
    n1[["ping"]]
    n2(["Pinged"])
    n3(["PingedTwice"])
    n4[["count"]]
    n5[["tell"]]
    n0 --> n1
    n1 --> n2
    n1 --> n3
    n2 --> n4
    n3 --> n4
    n2 --> n5
    n3 --> n5"""


def test_draws_commands_handlers_events_and_subscribers() -> None:
    """A command leads to its handler, that to the events it causes, and each of those to its subscribers."""
    assert DRAWN == event_map(mediator, bus, async_bus, causes=causes).mermaid()


def test_a_base_class_stands_for_the_events_below_it() -> None:
    """A subscriber of a base class is drawn for each known event below it, and for the base if there isn't any."""
    assert (("n0", "n1"),) == event_map(async_bus).edges
    assert "DomainEvent" == event_map(async_bus).nodes[0].label


def test_a_cause_without_a_handler_leads_on_from_the_message() -> None:
    """The consequences of an event start at the event itself."""
    drawn = event_map(causes={Other: [Pinged]})
    assert (("n0", "n1"),) == drawn.edges


def test_wirings_of_all_kinds_are_drawn() -> None:
    """Command buses and async mediators have handlers too; what two of them share is drawn once."""
    drawn = event_map(mediator, InmemoryCommandBus(Ping.handled_by(ping)), AsyncMediator(Ping.handled_by(ping)))
    assert ["command", "handler"] == [node.kind for node in drawn.nodes]
    assert 1 == len(drawn.edges)


def test_labels_are_escaped() -> None:
    """Quotes, angle brackets and signs that can't be seen break neither form."""
    wild = type("Wild\n\x1b[2J", (DomainEvent,), {})
    drawn = event_map(InmemoryDomainEventBus(Pinged.handled_by(lambda event: None)), causes={wild: [Pinged]})
    assert 'Wild\\\\n\\\\x1b[2J"' in drawn.mermaid()
    assert 'Wild\\\\n\\\\x1b[2J"' in drawn.dot()
    assert "&lt;lambda&gt;" in drawn.mermaid()
    assert "&lt;lambda&gt;" in drawn.dot()


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs the program `dot` of Graphviz")
def test_svg_has_every_label() -> None:
    """Graphviz draws the picture as SVG that parses, with every label in it."""
    drawn = event_map(mediator, bus, causes=causes)
    texts = {element.text for element in ET.fromstring(drawn.svg()).iter() if element.tag.endswith("text")}
    assert {node.label for node in drawn.nodes} == texts


def test_svg_without_graphviz_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `dot` the error says how to get it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="install Graphviz, or use mermaid"):
        event_map(mediator).svg()


def test_a_policy_leads_from_its_event_to_its_commands() -> None:
    """A subscriber that sends commands is drawn between both; one that a bus has is not drawn twice."""
    drawn = event_map(mediator, bus, policies={Pinged.handled_by(count): [Ping], Other.handled_by(tell): [Ping]})
    labels = {node.key: node.label for node in drawn.nodes}
    assert [("Ping", "ping"), ("Pinged", "count"), ("count", "Ping"), ("Other", "tell"), ("tell", "Ping")] == [
        (labels[start], labels[end]) for start, end in drawn.edges
    ]


@frozen
class Fake:
    """A consumer, as far as a picture needs one."""

    functions: tuple[AnySubscriber | AnyHandler, ...]


def test_a_consumer_is_drawn_with_its_functions() -> None:
    """Its handlers and subscribers are drawn like those of a mediator and a bus; one of envelopes gets all."""
    keep = Envelope.handled_by(lambda envelope: None)
    drawn = event_map(Fake((keep, Pinged.handled_by(count), Ping.handled_by(ping))), causes={Ping: [Pinged]})
    labels = {node.key: node.label for node in drawn.nodes}
    assert [
        ("Ping", "ping"),
        ("ping", "Pinged"),
        ("Ping", "<lambda>"),
        ("Pinged", "<lambda>"),
        ("Pinged", "count"),
    ] == [(labels[start], labels[end]) for start, end in drawn.edges]


def test_functions_have_the_names_that_their_users_gave() -> None:
    """A pipeline is called after its steps, a function inside of another one by its own name."""

    def answer(command: Ping) -> Result[Ping, DomainError]:
        return Success(command)

    drawn = event_map(Mediator(Ping.handled_by(pipeline(answer, ping))))
    assert "pipeline(answer, ping)" == drawn.nodes[1].label


def made() -> tuple[object, ...]:
    """Return what there is to draw, as a function that wires an application does."""
    return mediator, bus, {Ping: [Pinged]}, {Pinged.handled_by(count): [Ping]}


class TestCommandLine:
    def test_draws_what_a_module_holds(self) -> None:
        """`python -m domainkit map` finds the module where it is run, and prints the picture."""
        module = Path(__file__).stem
        names = [f"{module}:{name}" for name in ("mediator", "bus", "async_bus", "causes")]
        done = subprocess.run(
            [sys.executable, "-m", "domainkit", "map", *names],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, DRAWN + "\n", "") == (done.returncode, done.stdout, done.stderr)

    def test_a_function_that_wires(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A function is called, and what it returns is drawn: mediators, buses, causes and policies."""
        assert 0 == main(["map", f"{__name__}:made"])
        expected = event_map(
            mediator, bus, causes={Ping: [Pinged]}, policies={Pinged.handled_by(count): [Ping]}
        ).mermaid()
        assert f"{expected}\n" == capsys.readouterr().out

    def test_other_formats(self, capsys: pytest.CaptureFixture[str]) -> None:
        """--format dot prints DOT."""
        assert 0 == main(["map", f"{__name__}:mediator", "--format", "dot"])
        assert capsys.readouterr().out.startswith("digraph events {")

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("no.such.module:mediator", "no module 'no.such.module'"),
            (f"{__name__}:absent", "has no 'absent'"),
            (":mediator", "expected MODULE:NAME"),
            (f"{__name__}:nothing", "expected mediators, buses, consumers and mappings of causes"),
        ],
    )
    def test_a_wrong_argument_is_named(self, path: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A wrong argument ends with status 2 and a text that names it."""
        with pytest.raises(SystemExit) as ended:
            main(["map", path])
        assert 2 == ended.value.code
        assert text in capsys.readouterr().err

    def test_svg_without_graphviz(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """--format svg without Graphviz says so."""
        monkeypatch.setenv("PATH", "")
        with pytest.raises(SystemExit):
            main(["map", f"{__name__}:mediator", "--format", "svg"])
        assert "install Graphviz" in capsys.readouterr().err
