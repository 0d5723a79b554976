"""Bugs in what publishes to RabbitMQ."""

from mutations.bug import Bug

BUGS = (
    Bug(
        "a publish waits for the broker's confirm",
        "adapters/rabbitmq/publisher.py",
        "publisher_confirms=True, on_return_raises=True",
        "publisher_confirms=False",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_message_that_the_broker_says_no_to_is_refused",
    ),
    Bug(
        "what was confirmed outlives the broker",
        "adapters/rabbitmq/publisher.py",
        "publisher_confirms=True, on_return_raises=True",
        "publisher_confirms=False",
        "tests/adapters/rabbitmq/test_publisher.py::test_what_was_confirmed_outlives_the_broker",
    ),
    Bug(
        "an unroutable message is refused",
        "adapters/rabbitmq/publisher.py",
        "mandatory=True",
        "mandatory=False",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_message_that_no_queue_is_bound_for_is_refused",
    ),
    Bug(
        "messages are persistent",
        "adapters/rabbitmq/publisher.py",
        "DeliveryMode.PERSISTENT",
        "DeliveryMode.NOT_PERSISTENT",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_message_arrives_with_what_a_reader_needs",
    ),
    Bug(
        "a message published twice at once is refused twice",
        "adapters/rabbitmq/publisher.py",
        "self._in_hand.get(message_id)",
        "self._in_hand.get('')",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_message_that_is_published_twice_at_once_is_refused_twice",
    ),
    Bug(
        "a publish is bounded in time",
        "adapters/rabbitmq/publisher.py",
        "asyncio.timeout(self._timeout)",
        "asyncio.timeout(5 * self._timeout)",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_broker_that_says_nothing_is_a_failure_in_time",
    ),
    Bug(
        "no password in an error of the publisher",
        "adapters/rabbitmq/publisher.py",
        'f"{place(self._url)}: {reason}"',
        'f"{self._url}: {reason}"',
        "tests/adapters/rabbitmq/test_publisher.py::test_without_a_broker_a_message_is_a_failure",
    ),
    Bug(
        "a publisher opens a closed channel again",
        "adapters/rabbitmq/publisher.py",
        "if self._channel is not None and not self._channel.is_closed:",
        "if self._channel is not None:",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_channel_that_the_broker_closed_is_opened_again",
    ),
    Bug(
        "publishes are pipelined",
        "adapters/rabbitmq/publisher.py",
        "            await channel.basic_publish(",
        "            async with self._lock: await channel.basic_publish(",
        "tests/adapters/rabbitmq/test_publisher.py::test_confirms_are_not_awaited_one_after_the_other",
    ),
    Bug(
        "a cancelled publish passes through",
        "adapters/rabbitmq/publisher.py",
        "            if is_cancelled():",
        "            if False:",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_cancelled_call_passes_through",
    ),
    Bug(
        "one late confirm ends no connection of others",
        "adapters/rabbitmq/publisher.py",
        "self._heard >= self._timeout:",
        "self._heard >= self._timeout or True:",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_message_without_confirm_ends_no_connection_that_has_others",
    ),
    Bug(
        "a closed publisher refuses",
        "adapters/rabbitmq/publisher.py",
        "        self._open = False\n",
        "        pass\n",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_closed_publisher_refuses",
    ),
    Bug(
        "no event is published where one can not be encoded",
        "adapters/rabbitmq/buses.py",
        "                return _unencodable(message, error)",
        "                continue",
        "tests/adapters/rabbitmq/test_buses.py::test_no_event_is_published_where_one_can_not_be_encoded",
    ),
    Bug(
        "a refused event is a failure of the bus",
        "adapters/rabbitmq/buses.py",
        "return _failed(failures) if failures else _DONE",
        "return _DONE",
        "tests/adapters/rabbitmq/test_buses.py::test_what_nobody_is_bound_for_is_a_failure",
    ),
    Bug(
        "published messages have their cause",
        "adapters/rabbitmq/buses.py",
        "return caused(",
        "return (",
        "tests/adapters/rabbitmq/test_buses.py::test_messages_have_the_one_being_handled_as_their_cause",
    ),
    Bug(
        "a closed bus refuses",
        "adapters/rabbitmq/buses.py",
        "        self._closed.set()",
        "        pass",
        "tests/adapters/rabbitmq/test_buses.py::test_a_closed_bus_leaves_its_publisher_open",
    ),
    Bug(
        "messages keep the order of the calls",
        "adapters/rabbitmq/publisher.py",
        ("        try:\n            channel = await self._ready()\n"),
        (
            "        try:\n"
            "            await asyncio.sleep(hash(message_id) % 7 / 100)\n"
            "            channel = await self._ready()\n"
        ),
        "tests/adapters/rabbitmq/test_publisher.py::test_messages_that_are_published_at_once_keep_their_order",
    ),
    Bug(
        "no password in an error where it is wrong",
        "adapters/rabbitmq/publisher.py",
        'f"{place(self._url)}: {reason}"',
        'f"{self._url}: {reason}"',
        "tests/adapters/rabbitmq/test_publisher.py::test_a_wrong_password_is_a_failure",
    ),
    Bug(
        "a publisher whose broker hung works again",
        "adapters/rabbitmq/publisher.py",
        "            self._drop()  # nothing was confirmed",
        "            pass  # nothing was confirmed",
        "tests/adapters/rabbitmq/test_publisher.py::test_a_broker_that_hangs_is_a_failure_in_time_and_works_again_after",
    ),
    Bug(
        "the other events of a failure are with the broker",
        "adapters/rabbitmq/buses.py",
        "return _failed(failures) if failures else _DONE",
        "return _DONE",
        "tests/adapters/rabbitmq/test_buses.py::test_a_failure_leaves_the_others_with_the_broker",
    ),
    Bug(
        "the bytes arrive as they are",
        "adapters/rabbitmq/publisher.py",
        ("                message.body,\n                exchange"),
        ("                message.body + b' ',\n                exchange"),
        "tests/adapters/rabbitmq/test_publisher.py::test_a_message_arrives_with_what_a_reader_needs",
    ),
)
