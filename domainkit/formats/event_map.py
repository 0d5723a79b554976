"""Diagram of an application's commands, handlers, events and subscribers, as Mermaid, DOT or SVG."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from attrs import define, field, frozen

from domainkit._model.mapping import FrozenMapping
from domainkit._model.texts import shown
from domainkit.envelopes import Envelope
from domainkit.handlers import AnyHandler, AnySubscriber, AsyncHandler, Handler
from domainkit.mediator import AsyncMediator, Mediator
from domainkit.memory import (
    AsyncInmemoryCommandBus,
    AsyncInmemoryDomainEventBus,
    InmemoryCommandBus,
    InmemoryDomainEventBus,
)
from domainkit.messages import AnyCommand, DomainEvent, M, Message
from domainkit.results import name_of

EventBuses: TypeAlias = InmemoryDomainEventBus | AsyncInmemoryDomainEventBus


@runtime_checkable
class Consumer(Protocol):
    """Object that calls bound functions with messages from a broker, such as a RabbitMqConsumer."""

    @property
    def functions(self) -> Sequence[AnySubscriber | AnyHandler]:
        """The bound functions."""
        ...


Wiring: TypeAlias = (
    Mediator[object] | AsyncMediator[object] | InmemoryCommandBus | AsyncInmemoryCommandBus | EventBuses | Consumer
)
"""An object with handlers or subscribers."""

_DOT_TIMEOUT = 60  # seconds


@frozen
class Node:
    """Box of the diagram.

    Args:
        key: unique among the nodes.
        label: the text in the box.
        kind: `command`, `event`, `handler` or `subscriber`.
    """

    key: str
    label: str
    kind: str


@frozen
class EventMap:
    """Diagram as data. Made by `event_map`.

    Args:
        nodes: the boxes, in the order in which they were found.
        edges: pairs of node keys, from cause to effect.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]

    def mermaid(self) -> str:
        """Return a Mermaid flowchart, to paste into a `mermaid` code block in Markdown.

        >>> print(event_map().mermaid())
        flowchart LR
        """
        lines = ["flowchart LR"]
        lines += [f"    {node.key}{_MERMAID[node.kind].format(_quoted(node.label))}" for node in self.nodes]
        lines += [f"    {start} --> {end}" for start, end in self.edges]
        return "\n".join(lines)

    def dot(self) -> str:
        """Return a graph in Graphviz's DOT language.

        >>> print(event_map().dot())
        digraph events {
            rankdir=LR; node [fontname="sans-serif", fontsize=11, style="filled,rounded"];
        }
        """
        lines = [
            "digraph events {",
            '    rankdir=LR; node [fontname="sans-serif", fontsize=11, style="filled,rounded"];',
        ]
        lines += [f'    {node.key} [label="{_quoted(node.label)}", {_DOT[node.kind]}];' for node in self.nodes]
        lines += [f"    {start} -> {end};" for start, end in self.edges]
        return "\n".join([*lines, "}"])

    def svg(self) -> str:
        """Return the diagram as SVG, drawn by the program `dot` of Graphviz.

        Raises:
            FileNotFoundError: `dot` is not installed; the text says how to get it.
        """
        program = shutil.which("dot")
        if program is None:
            raise FileNotFoundError("EventMap.svg: `dot` is not on the PATH; install Graphviz, or use mermaid()")
        made = subprocess.run(  # noqa: S603  (the program was looked up, and the input is our own text)
            [program, "-Tsvg"], input=self.dot(), capture_output=True, text=True, check=True, timeout=_DOT_TIMEOUT
        )
        return made.stdout


_MERMAID: Mapping[str, str] = FrozenMapping(
    {"command": '["{}"]', "event": '(["{}"])', "handler": '[["{}"]]', "subscriber": '[["{}"]]'}
)
_DOT: Mapping[str, str] = FrozenMapping(
    {
        "command": 'shape=box, fillcolor="#cfe3ff"',
        "event": 'shape=box, fillcolor="#ffe0b8"',
        "handler": 'shape=component, fillcolor="#f2f2f2"',
        "subscriber": 'shape=component, fillcolor="#e4f4dd"',
    }
)


def _quoted(label: str) -> str:
    return shown(label).replace("\\", "\\\\").replace('"', "'").replace("<", "&lt;").replace(">", "&gt;")


def event_map(
    *wirings: Wiring,
    causes: Mapping[type[M], Iterable[type[DomainEvent]]] = FrozenMapping(),
    policies: Mapping[AnySubscriber, Iterable[type[AnyCommand]]] = FrozenMapping(),
) -> EventMap:
    """Return a diagram of mediators, buses and consumers.

    A command leads to its handler, an event to its subscribers; a subscriber of a base class is drawn for each event
    below it in the diagram. Mediators and buses don't know which events a message causes: pass them as `causes`. Pass
    the commands that a subscriber sends as `policies`.

    >>> from domainkit import Command, DomainError, DomainEvent
    >>> from returns.result import Result, Success
    >>> class Ping(Command[None, DomainError]): ...
    >>> class Pinged(DomainEvent): ...
    >>> def ping(command: Ping) -> Result[None, DomainError]:
    ...     return Success(None)
    >>> print(event_map(Mediator(Ping.handled_by(ping)), causes={Ping: [Pinged]}).mermaid())
    flowchart LR
        n0["Ping"]
        n1[["ping"]]
        n2(["Pinged"])
        n0 --> n1
        n1 --> n2

    Args:
        wirings: mediators, command buses, event buses and consumers.
        causes: the events that handling a message leads to, by the class of the message.
        policies: the commands that a bound subscriber sends when it gets an event.
    """
    drawing = _Drawing()
    bound = [one for wiring in wirings for one in _bound(wiring)]
    for one in bound:
        if isinstance(one, Handler | AsyncHandler):
            drawing.handler(one.message_type, one.function)
    for message, events in causes.items():
        for event in events:
            drawing.caused(message, event)
    for number, one in enumerate(bound):
        if not isinstance(one, Handler | AsyncHandler):
            drawing.subscriber(one.message_type, one.function, number)
    for policy, commands in policies.items():
        drawing.policy(policy, commands)
    return EventMap(tuple(drawing.nodes.values()), tuple(drawing.edges))


def _bound(wiring: Wiring) -> Sequence[AnySubscriber | AnyHandler]:
    if isinstance(wiring, Consumer):
        return wiring.functions
    return wiring.subscribers if isinstance(wiring, EventBuses) else tuple(wiring.handlers)


def _label(function: object) -> str:
    """Return the name of a function, without those of the functions around it."""
    return re.sub(r"[\w.]+\.<locals>\.", "", name_of(function))


@define
class _Drawing:
    """Nodes and edges found so far, each once and in order."""

    nodes: dict[object, Node] = field(factory=dict)
    edges: dict[tuple[str, str], None] = field(factory=dict)
    _handlers: dict[type, list[str]] = field(factory=dict)
    _subscribers: dict[object, list[str]] = field(factory=dict)

    def handler(self, cls: type[Message], function: object) -> None:
        start, end = self._message(cls), self._node((cls, function), _label(function), "handler")
        self._handlers.setdefault(cls, []).append(end)
        self.edges[start, end] = None

    def caused(self, message: type[Message], event: type[DomainEvent]) -> None:
        for start in self._handlers.get(message) or [self._message(message)]:
            self.edges[start, self._message(event)] = None

    def policy(self, bound: AnySubscriber, commands: Iterable[type[AnyCommand]]) -> None:
        function = bound.function
        if not (starts := self._subscribers.get(function)):
            starts = [self.subscriber(bound.message_type, function, -1)]
        for command in commands:
            self.edges.update(dict.fromkeys((start, self._message(command)) for start in starts))

    def subscriber(self, cls: type[Message | Envelope], function: object, number: int) -> str:
        events = [one for one in self.nodes if isinstance(one, type) and issubclass(one, Message)]
        if issubclass(cls, Message):
            events = [event for event in events if issubclass(event, cls)] or [cls]
        starts = [self._message(event) for event in events]
        end = self._node((function, number), _label(function), "subscriber")
        self._subscribers.setdefault(function, []).append(end)
        self.edges.update(dict.fromkeys((start, end) for start in starts))
        return end

    def _message(self, cls: type[Message]) -> str:
        return self._node(cls, cls.__qualname__, "event" if issubclass(cls, DomainEvent) else "command")

    def _node(self, known_by: object, label: str, kind: str) -> str:
        return self.nodes.setdefault(known_by, Node(f"n{len(self.nodes)}", label, kind)).key
