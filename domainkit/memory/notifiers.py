"""Notifiers without an external service: to a log, and in memory for tests."""

import logging
from collections.abc import Iterable

from domainkit._model.texts import shown
from domainkit.ports import AsyncNotifier, Notifier, NotifierExceptionMessage, NotifierMessage


class LoggingNotifier(Notifier):
    """Writes to a logger of the standard library: titles, places and exception classes, never exception texts.

    >>> LoggingNotifier().publish(NotifierMessage("Import finished"))

    Args:
        logger: `domainkit.notifier` by default. Messages have level WARNING, those about an exception ERROR.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("domainkit.notifier")

    def publish(self, message: NotifierMessage) -> None:
        """Log the title, the message, the link and the meta."""
        parts = [message.title, message.message, message.link, dict(message.meta) or None]
        self._logger.warning("%s", _line(parts))

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Log the title, the executor, the class of the exception, its place and the meta."""
        kind = type(message.exception).__qualname__ if message.exception is not None else None
        place = f"{message.filename}:{message.lineno}" if message.filename is not None else None
        parts = [message.title, message.executor, kind, place, dict(message.meta) or None]
        self._logger.error("%s", _line(parts))


class AsyncLoggingNotifier(AsyncNotifier):
    """The async twin of LoggingNotifier; it logs without waiting.

    >>> import asyncio
    >>> asyncio.run(AsyncLoggingNotifier().publish(NotifierMessage("Import finished")))

    Args:
        logger: as for LoggingNotifier.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._inner = LoggingNotifier(logger)

    async def publish(self, message: NotifierMessage) -> None:
        """Log what LoggingNotifier logs."""
        self._inner.publish(message)

    async def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Log what LoggingNotifier logs."""
        self._inner.publish_exception(message)


def _line(parts: Iterable[object]) -> str:
    """Join the parts into one line, so that untrusted text can't forge another log entry."""
    return " | ".join(shown(str(part)) for part in parts if part is not None)


class _Recording:
    def __init__(self) -> None:
        self._messages: list[NotifierMessage | NotifierExceptionMessage] = []

    @property
    def messages(self) -> tuple[NotifierMessage | NotifierExceptionMessage, ...]:
        """All recorded messages, oldest first."""
        return tuple(self._messages)


class InmemoryNotifier(_Recording, Notifier):
    """Records its messages, for tests.

    >>> notifier = InmemoryNotifier()
    >>> notifier.publish(NotifierMessage("Import finished"))
    >>> notifier.messages
    (NotifierMessage(title='Import finished', message=None, meta={}, link=None),)
    """

    def publish(self, message: NotifierMessage) -> None:
        """Record a message."""
        self._messages.append(message)

    def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Record a message about an exception."""
        self._messages.append(message)


class AsyncInmemoryNotifier(_Recording, AsyncNotifier):
    """The async twin of InmemoryNotifier.

    >>> import asyncio
    >>> notifier = AsyncInmemoryNotifier()
    >>> asyncio.run(notifier.publish(NotifierMessage("Import finished")))
    >>> len(notifier.messages)
    1
    """

    async def publish(self, message: NotifierMessage) -> None:
        """Record a message."""
        self._messages.append(message)

    async def publish_exception(self, message: NotifierExceptionMessage) -> None:
        """Record a message about an exception."""
        self._messages.append(message)
