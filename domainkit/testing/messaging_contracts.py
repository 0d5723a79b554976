"""Contract tests of every bus and every Notifier: subclass one of the classes, and run it with pytest."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from typing import Generic, TypeVar

from returns.result import Result

from domainkit.errors import BusCannotPublish
from domainkit.messages import AnyCommand, DomainEvent, JsonValue, Message
from domainkit.ports import CommandBus, DomainEventBus, MessageBus, Notifier, NotifierExceptionMessage, NotifierMessage
from domainkit.testing._expect import error_of, expect_arrived, expect_parts, expect_type_error, value_of
from domainkit.testing.samples import SampleCreateTask, SampleTaskCreated, SampleTaskId

EventBusT = TypeVar("EventBusT", bound=DomainEventBus)
CommandBusT = TypeVar("CommandBusT", bound=CommandBus)
BusT = TypeVar("BusT", bound=MessageBus)
MessageT = TypeVar("MessageT", bound=Message)
NotifierT = TypeVar("NotifierT", bound=Notifier)


class _BusContract(ABC, Generic[BusT, MessageT]):
    """Contract of both buses."""

    @abstractmethod
    def make_bus(self) -> BusT:
        """Return a new bus, whose receiver has no messages."""

    @abstractmethod
    def received(self, bus: BusT, /) -> Sequence[DomainEvent | AnyCommand]:
        """Return the messages that the receiver of `bus` got, the oldest first; also after `close`."""

    @abstractmethod
    def _make_message(self) -> MessageT: ...

    @abstractmethod
    def _send(self, bus: BusT, message: MessageT) -> Result[None, BusCannotPublish]: ...

    def test_a_message_arrives(self) -> None:
        """A message arrives equal to the one that was sent: payload, id, time and meta."""
        with closing(self.make_bus()) as bus:
            message = self._make_message().add_meta({"tenant": "home"})
            assert value_of(self._send(bus, message)) is None, "a bus returns Success(None)"
            expect_arrived([message], self.received(bus))

    def test_messages_arrive_in_order(self) -> None:
        """Messages arrive in the order in which they were sent, each once."""
        with closing(self.make_bus()) as bus:
            messages = [self._make_message() for _ in range(10)]
            for message in messages:
                value_of(self._send(bus, message))
            expect_arrived(messages, self.received(bus))

    def test_with_meta_merges(self) -> None:
        """The bus of with_meta merges its meta into each message; if a key is in both, the bus's value wins."""
        with closing(self.make_bus()) as bus:
            meta: Mapping[str, JsonValue] = {"tenant": "work", "trace": {"span": [1, 2.5, None, True]}}
            message = self._make_message().add_meta({"tenant": "home", "user": "ada"})
            given = deepcopy(message)
            value_of(self._send(bus.with_meta(meta), message))
            expect_arrived([message.add_meta(meta)], self.received(bus))
            expect_arrived([given], [message])

    def test_with_meta_twice(self) -> None:
        """The meta of with_meta after with_meta is merged; the later value of a key wins."""
        with closing(self.make_bus()) as bus:
            message = self._make_message()
            value_of(self._send(bus.with_meta({"a": 1, "b": 1}).with_meta({"b": 2}), message))
            expect_arrived([message.add_meta({"a": 1, "b": 2})], self.received(bus))

    def test_with_meta_leaves_the_bus_as_it_is(self) -> None:
        """The bus on which with_meta was called sends messages as before."""
        with closing(self.make_bus()) as bus:
            message = self._make_message()
            bus.with_meta({"tenant": "home"})
            value_of(self._send(bus, message))
            expect_arrived([message], self.received(bus))

    def test_with_meta_refuses_what_json_cannot_carry(self) -> None:
        """With_meta of another type than a mapping, or of a value that JSON can't carry, is a TypeError."""
        with closing(self.make_bus()) as bus:
            for meta in (["tenant"], {"tenant": object()}, {1: "home"}, {"ratio": float("nan")}):
                expect_type_error(lambda meta=meta: bus.with_meta(meta), meta)  # type: ignore[misc]  # wrong on purpose

    def test_a_closed_bus_refuses(self) -> None:
        """A message sent to a closed bus is BusCannotPublish, and doesn't arrive; closing again does nothing."""
        bus, message = self.make_bus(), self._make_message()
        value_of(self._send(bus, message))
        bus.close()
        bus.close()
        error = error_of(self._send(bus, self._make_message()), BusCannotPublish)
        assert error.additional_info, "the error has the reason in additional_info"
        expect_arrived([message], self.received(bus))


class DomainEventBusContract(_BusContract[EventBusT, SampleTaskCreated], Generic[EventBusT]):
    """Contract of a DomainEventBus.

    >>> from domainkit import InmemoryDomainEventBus
    >>> class TestInmemoryDomainEventBus(DomainEventBusContract[InmemoryDomainEventBus]):
    ...     def make_bus(self) -> InmemoryDomainEventBus:
    ...         return InmemoryDomainEventBus()
    ...     def received(self, bus: InmemoryDomainEventBus) -> Sequence[DomainEvent]:
    ...         return bus.published
    >>> TestInmemoryDomainEventBus().test_messages_arrive_in_order()
    """

    def _make_message(self) -> SampleTaskCreated:
        return SampleTaskCreated(SampleTaskId.v4())

    def _send(self, bus: EventBusT, message: SampleTaskCreated) -> Result[None, BusCannotPublish]:
        return bus.publish(message)

    def test_several_events_at_once(self) -> None:
        """Several events, also from an iterator, arrive in their order; an empty iterable is allowed."""
        with closing(self.make_bus()) as bus:
            events = [self._make_message() for _ in range(3)]
            value_of(bus.publish(()))
            value_of(bus.publish(iter(events)))
            value_of(bus.publish(events[:2]))
            expect_arrived([*events, *events[:2]], self.received(bus))

    def test_what_is_no_event_is_refused(self) -> None:
        """Anything other than an event raises TypeError, and no event passed with it is published."""
        with closing(self.make_bus()) as bus:
            command, event = SampleCreateTask(SampleTaskId.v4()), self._make_message()
            for wrong in (command, None, 5, "event", SampleTaskCreated, [event, command], [event, [event]]):
                expect_type_error(lambda wrong=wrong: bus.publish(wrong), wrong)  # type: ignore[misc]  # wrong on purpose
            expect_arrived([], self.received(bus))


class CommandBusContract(_BusContract[CommandBusT, SampleCreateTask], Generic[CommandBusT]):
    """Contract of a CommandBus.

    >>> from domainkit import Command, InmemoryCommandBus
    >>> class TestInmemoryCommandBus(CommandBusContract[InmemoryCommandBus]):
    ...     def make_bus(self) -> InmemoryCommandBus:
    ...         return InmemoryCommandBus()
    ...     def received(self, bus: InmemoryCommandBus) -> Sequence[Command[object, object]]:
    ...         return bus.dispatched
    >>> TestInmemoryCommandBus().test_a_closed_bus_refuses()
    """

    def _make_message(self) -> SampleCreateTask:
        return SampleCreateTask(SampleTaskId.v4())

    def _send(self, bus: CommandBusT, message: SampleCreateTask) -> Result[None, BusCannotPublish]:
        return bus.dispatch(message)

    def test_what_is_no_command_is_refused(self) -> None:
        """Anything other than a command raises TypeError."""
        with closing(self.make_bus()) as bus:
            event, command = SampleTaskCreated(SampleTaskId.v4()), self._make_message()
            for wrong in (event, None, 5, "command", SampleCreateTask, [command]):
                expect_type_error(lambda wrong=wrong: bus.dispatch(wrong), wrong)  # type: ignore[misc]  # wrong on purpose
            expect_arrived([], self.received(bus))


class NotifierContract(ABC, Generic[NotifierT]):
    """Contract of a Notifier.

    >>> from domainkit import InmemoryNotifier
    >>> class TestInmemoryNotifier(NotifierContract[InmemoryNotifier]):
    ...     def make_notifier(self) -> InmemoryNotifier:
    ...         return InmemoryNotifier()
    ...     def told(self, notifier: InmemoryNotifier) -> str:
    ...         return repr(notifier.messages)
    >>> TestInmemoryNotifier().test_messages_are_told_in_order()
    """

    @abstractmethod
    def make_notifier(self) -> NotifierT:
        """Return a new notifier, which has sent nothing yet."""

    @abstractmethod
    def told(self, notifier: NotifierT, /) -> str:
        """Return the text of all notifications that `notifier` sent, the oldest first, as one str."""

    def test_a_message_is_told(self) -> None:
        """A notification has the title, the message, the link and the meta."""
        notifier = self.make_notifier()
        message = NotifierMessage("Import finished", "312 tasks", link="https://example.com/7", meta={"tenant": "home"})
        assert notifier.publish(message) is None, "publish returns None"
        expect_parts(self.told(notifier), "Import finished", "312 tasks", "https://example.com/7", "tenant", "home")

    def test_a_title_is_enough(self) -> None:
        """A title is enough for a message, and for a message about an exception."""
        notifier = self.make_notifier()
        notifier.publish(NotifierMessage("Import finished"))
        notifier.publish_exception(NotifierExceptionMessage("Import failed"))
        expect_parts(self.told(notifier), "Import finished", "Import failed")

    def test_an_exception_is_told(self) -> None:
        """A notification about an exception has the title, the executor, the place and the meta."""
        notifier = self.make_notifier()
        error = ValueError("bad line")
        notifier.publish_exception(
            NotifierExceptionMessage(
                "Import failed", "TaskImporter", error, "/app/tasks.py", 4711, meta={"tenant": "home"}
            )
        )
        expect_parts(self.told(notifier), "Import failed", "TaskImporter", "/app/tasks.py", "4711", "tenant", "home")

    def test_messages_are_told_in_order(self) -> None:
        """Notifications are sent in the order in which they were published, each once."""
        notifier, titles = self.make_notifier(), [f"Message {number}." for number in range(5)]
        for title in titles:
            notifier.publish(NotifierMessage(title))
        text = self.told(notifier)
        assert titles == sorted(titles, key=text.find), f"expected {titles} in this order, got {text}"
        assert all(text.count(title) == 1 for title in titles), f"expected each of {titles} once, got {text}"
