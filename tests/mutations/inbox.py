"""Bugs in the inbox."""

from mutations.bug import Bug

BUGS = (
    Bug(
        "a message that comes again has no second effect",
        "adapters/sqlalchemy/inbox.py",
        ".rowcount == 1:",
        ".rowcount >= 0:",
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_message_is_handled_once",
        quick=True,
    ),
    Bug(
        "the mark has the id of the message",
        "adapters/sqlalchemy/inbox.py",
        '"message_id": message.header.id.value',
        '"message_id": __import__("uuid").uuid4()',
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_message_is_handled_once",
    ),
    Bug(
        "each handler has marks of its own",
        "adapters/sqlalchemy/inbox.py",
        'message.header.id.value, "handler": name,',
        'message.header.id.value, "handler": "",',
        "tests/adapters/sqlalchemy/test_inbox.py::test_each_handler_of_a_message_handles_it",
        quick=True,
    ),
    Bug(
        "a Failure takes back effect and mark",
        "adapters/sqlalchemy/inbox.py",
        ("        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)\n\n    def clean"),
        ("        return named_as(step, handler)\n\n    def clean"),
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_failure_takes_all_back",
        quick=True,
    ),
    Bug(
        "an exception takes back effect and mark",
        "adapters/sqlalchemy/inbox.py",
        ("        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)\n\n    def clean"),
        ("        return named_as(step, handler)\n\n    def clean"),
        "tests/adapters/sqlalchemy/test_inbox.py::test_an_exception_takes_all_back",
        quick=True,
    ),
    Bug(
        "an async Failure takes back effect and mark",
        "adapters/sqlalchemy/inbox.py",
        ("        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)\n\n    async def clean"),
        ("        return named_as(step, handler)\n\n    async def clean"),
        "tests/adapters/sqlalchemy/test_inbox.py::test_async_once",
    ),
    Bug(
        "of deliveries at the same time one has an effect",
        "adapters/sqlalchemy/inbox.py",
        (
            "            if not self._mark(message, handler_name):\n"
            "                return Success(None)\n"
            "            return _result(handler, message, handler(message))\n"
        ),
        (
            "            outcome = _result(handler, message, handler(message))\n"
            "            return outcome if self._mark(message, handler_name) else Success(None)\n"
        ),
        "tests/adapters/sqlalchemy/test_inbox.py::test_two_deliveries_at_the_same_time",
        quick=True,
    ),
    Bug(
        "of deliveries to processes one has an effect",
        "adapters/sqlalchemy/inbox.py",
        ".rowcount == 1:",
        ".rowcount >= 0:",
        "tests/adapters/sqlalchemy/test_inbox.py::test_deliveries_to_several_processes",
    ),
    Bug(
        "of async deliveries at the same time one has an effect",
        "adapters/sqlalchemy/inbox.py",
        ".rowcount == 1:",
        ".rowcount >= 0:",
        "tests/adapters/sqlalchemy/test_inbox.py::test_async_deliveries_at_the_same_time",
    ),
    Bug(
        "where the first of two fails the second has the effect",
        "adapters/sqlalchemy/inbox.py",
        "            return _result(handler, message, handler(message))\n",
        (
            "            outcome = _result(handler, message, handler(message))\n"
            "            return outcome if isinstance(outcome, Success) else Success(None)\n"
        ),
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_delivery_that_waits_is_handled_where_the_first_fails",
    ),
    Bug(
        "a handler that is cancelled leaves no mark",
        "adapters/sqlalchemy/inbox.py",
        ("        return named_as(self._unit_of_work.atomic(step), handler, adds=ATOMIC_ADDS)\n\n    async def clean"),
        ("        return named_as(step, handler)\n\n    async def clean"),
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_cancelled_handler_leaves_no_mark",
        quick=True,
    ),
    Bug(
        "what is handled in a unit of work belongs to that",
        "adapters/sqlalchemy/unit_of_work.py",
        "        if unit is None:\n            with self._begun()",
        "        if unit is not self:\n            with self._begun()",
        "tests/adapters/sqlalchemy/test_inbox.py::test_inside_of_a_unit_of_work[postgresql]",
    ),
    Bug(
        "a handler of a command needs a Result",
        "adapters/sqlalchemy/inbox.py",
        "if outcome is None and isinstance(message, DomainEvent):",
        "if outcome is None:",
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_command_needs_a_result",
    ),
    Bug(
        "what is no Result leaves no mark",
        "adapters/sqlalchemy/inbox.py",
        '    raise TypeError(\n        f"{name_of(handler)}: expected a Result',
        '    return Success(outcome)\n    raise TypeError(\n        f"{name_of(handler)}: expected a Result',
        "tests/adapters/sqlalchemy/test_inbox.py::test_no_result_is_a_bug",
    ),
    Bug(
        "a lost COMMIT of a handler is a Failure",
        "adapters/sqlalchemy/unit_of_work.py",
        "            except (OutcomeUnknownError, ConflictError) as error:\n",
        "            except ConflictError as error:\n",
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_lost_commit_is_a_failure",
    ),
    Bug(
        "names of handlers last",
        "adapters/sqlalchemy/inbox.py",
        'if name is None and "<" in found:',
        'if name is None and "!" in found:',
        "tests/adapters/sqlalchemy/test_inbox.py::test_a_name_that_does_not_last_is_refused",
    ),
    Bug(
        "two handlers have no common name",
        "adapters/sqlalchemy/inbox.py",
        "if not found or self._named.setdefault(found, handler) != handler:",
        "if not found:",
        "tests/adapters/sqlalchemy/test_inbox.py::test_two_handlers_of_one_name_are_refused",
    ),
    Bug(
        "marks of late are kept",
        "adapters/sqlalchemy/inbox.py",
        "handled_at < before",
        "handled_at > before",
        "tests/adapters/sqlalchemy/test_inbox.py::test_clean_forgets_what_is_older",
    ),
    Bug(
        "what was forgotten is handled again",
        "adapters/sqlalchemy/inbox.py",
        "handled_at < before",
        "handled_at > before",
        "tests/adapters/sqlalchemy/test_inbox.py::test_what_was_forgotten_is_handled_again",
    ),
    Bug(
        "marks are deleted in batches",
        "adapters/sqlalchemy/inbox.py",
        ".order_by(handled_at).limit(batch)",
        ".order_by(handled_at)",
        "tests/adapters/sqlalchemy/test_inbox.py::test_clean_deletes_in_batches",
    ),
    Bug(
        "another message of an id that was handled is noticed",
        "adapters/sqlalchemy/inbox.py",
        "if known is None or known == digest or",
        "if known is None or known != digest or",
        "tests/adapters/sqlalchemy/test_inbox.py::test_another_message_of_a_known_id_is_refused",
        quick=True,
    ),
)
