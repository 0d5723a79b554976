"""Bugs in the units of work, the engines and the buses over the outbox."""

from mutations.bug import Bug

BUGS = (
    Bug(
        "a write that failed can not be committed",
        "adapters/sqlalchemy/_units.py",
        "        unit.broken_by = error\n",
        "",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_a_write_that_failed_cannot_be_committed",
        quick=True,
    ),
    Bug(
        "no other task writes into a unit of work",
        "adapters/sqlalchemy/_units.py",
        "        if self._owner != _here():",
        "        if self._owner[0] != _here()[0]:",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_async_another_task_is_refused",
    ),
    Bug(
        "no other thread writes into a unit of work",
        "adapters/sqlalchemy/_units.py",
        "        if self._owner != _here():",
        "        if self._owner[1] != _here()[1]:",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_another_thread_has_a_unit_of_its_own",
        quick=True,
    ),
    Bug(
        "a commit that failed is taken back",
        "adapters/sqlalchemy/_units.py",
        "            connection.connection.rollback()",
        "            pass",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_a_constraint_that_fails_at_commit_is_definite",
        quick=True,
    ),
    Bug(
        "a COMMIT without an answer is unknown",
        "adapters/sqlalchemy/_units.py",
        ("    if error.connection_invalidated:\n        return False\n"),
        ("    if error.connection_invalidated:\n        return True\n"),
        "tests/adapters/sqlalchemy/test_connections.py::test_a_connection_lost_at_commit",
        quick=True,
    ),
    Bug(
        "a constraint that fails at commit is definite",
        "adapters/sqlalchemy/_units.py",
        "        sqlite3.SQLITE_CONSTRAINT,\n",
        "",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_a_constraint_that_fails_at_commit_is_definite",
    ),
    Bug(
        "an IO error at commit is unknown",
        "adapters/sqlalchemy/_units.py",
        "        sqlite3.SQLITE_FULL,\n",
        ("        sqlite3.SQLITE_FULL,\n        sqlite3.SQLITE_IOERR,\n"),
        "tests/adapters/sqlalchemy/test_connections.py::test_what_sqlite_says_at_commit",
        quick=True,
    ),
    Bug(
        "a transaction of SQLite takes the lock at once",
        "adapters/sqlalchemy/engines.py",
        '"BEGIN" if reads else "BEGIN IMMEDIATE"',
        '"BEGIN"',
        "tests/adapters/sqlalchemy/test_engines.py::test_a_transaction_takes_the_lock_at_once",
        quick=True,
    ),
    Bug(
        "processes wait for their turn",
        "adapters/sqlalchemy/engines.py",
        '"BEGIN" if reads else "BEGIN IMMEDIATE"',
        '"BEGIN"',
        "tests/adapters/sqlalchemy/test_concurrency.py::test_processes_wait_for_their_turn",
    ),
    Bug(
        "a reader waits for no writer",
        "adapters/sqlalchemy/engines.py",
        '"BEGIN" if reads else "BEGIN IMMEDIATE"',
        '"BEGIN IMMEDIATE"',
        "tests/adapters/sqlalchemy/test_concurrency.py::test_a_reader_waits_for_no_writer",
    ),
    Bug(
        "a writer waits for its turn",
        "adapters/sqlalchemy/engines.py",
        'cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")',
        "pass",
        "tests/adapters/sqlalchemy/test_engines.py::test_sqlite_is_set_up",
    ),
    Bug(
        "SQLite has a write-ahead log",
        "adapters/sqlalchemy/engines.py",
        'cursor.execute("PRAGMA journal_mode = WAL")',
        "pass",
        "tests/adapters/sqlalchemy/test_engines.py::test_sqlite_is_set_up",
    ),
    Bug(
        "no values in errors of an engine",
        "adapters/sqlalchemy/engines.py",
        '{"hide_parameters": True, **given}',
        "dict(given)",
        "tests/adapters/sqlalchemy/test_engines.py::test_values_are_in_no_error",
        quick=True,
    ),
    Bug(
        "threads share a database in memory",
        "adapters/sqlalchemy/engines.py",
        'alone = {} if "poolclass" in given else',
        "alone = {} if True else",
        "tests/adapters/sqlalchemy/test_engines.py::test_threads_share_a_database_in_memory",
    ),
    Bug(
        "a connection that rested is asked",
        "adapters/sqlalchemy/engines.py",
        "                engine.dialect.do_ping(connection)",
        "                pass",
        "tests/adapters/sqlalchemy/test_connections.py::test_a_connection_that_rested_is_asked",
    ),
    Bug(
        "a closed bus over the outbox refuses",
        "adapters/sqlalchemy/buses.py",
        "        if self._closed:",
        "        if False:",
        "tests/adapters/sqlalchemy/test_contracts.py::TestEventBus::test_a_closed_bus_refuses",
    ),
    Bug(
        "a bus over the outbox adds its meta",
        "adapters/sqlalchemy/buses.py",
        "message.add_meta(self._meta) if self._meta else message",
        "message",
        "tests/adapters/sqlalchemy/test_contracts.py::TestEventBus::test_with_meta_merges",
    ),
    Bug(
        "a bus over the outbox fails with its transaction",
        "adapters/sqlalchemy/buses.py",
        ("            if not alone:\n                raise\n            return _failed(error)\n\n\nclass _AsyncBus"),
        ("            return _failed(error)\n\n\nclass _AsyncBus"),
        "tests/adapters/sqlalchemy/test_connections.py::test_a_bus_that_cannot_store_is_a_failure",
    ),
    Bug(
        "a Failure takes back what was done before it",
        "adapters/sqlalchemy/unit_of_work.py",
        ("    if isinstance(result, Failure):\n        raise _RolledBackError"),
        ("    if isinstance(result, bool):\n        raise _RolledBackError"),
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_a_failure_takes_all_back",
        quick=True,
    ),
    Bug(
        "an exception takes all back",
        "adapters/sqlalchemy/unit_of_work.py",
        "                    transaction.rollback()",
        "                    transaction.commit()",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_an_exception_takes_all_back",
        quick=True,
    ),
    Bug(
        "wherever it fails nothing is stored in part",
        "adapters/sqlalchemy/unit_of_work.py",
        "                    await transaction.rollback()",
        "                    await transaction.commit()",
        "tests/adapters/sqlalchemy/test_faults.py::test_async_all_or_nothing",
    ),
    Bug(
        "a task that is cancelled has stored nothing",
        "adapters/sqlalchemy/unit_of_work.py",
        "                    await transaction.rollback()",
        "                    await transaction.commit()",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_async_a_cancelled_unit_is_taken_back",
    ),
    Bug(
        "a nested unit is taken back alone",
        "adapters/sqlalchemy/unit_of_work.py",
        "        with connection.begin_nested(), entered(",
        "        with entered(",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_a_nested_unit_is_taken_back_alone",
    ),
    Bug(
        "a connection lost before COMMIT is definite",
        "adapters/sqlalchemy/unit_of_work.py",
        (
            "            except BaseException:\n"
            "                with suppress(DBAPIError):  # it is gone, and the database rolls back by itself\n"
            "                    transaction.rollback()\n"
        ),
        (
            "            except BaseException as error:\n"
            "                take_back(connection, error)\n"
            "                with suppress(DBAPIError):\n"
            "                    transaction.rollback()\n"
        ),
        "tests/adapters/sqlalchemy/test_connections.py::test_a_connection_lost_before_a_statement_is_definite",
    ),
    Bug(
        "SQLite writes through",
        "adapters/sqlalchemy/engines.py",
        '        cursor.execute("PRAGMA foreign_keys = ON")',
        '        cursor.execute("PRAGMA synchronous = NORMAL")',
        "tests/test_guarantees.py::test_sqlite_writes_through",
        quick=True,
    ),
    Bug(
        "an aborted transaction is never taken for a committed one",
        "adapters/sqlalchemy/_units.py",
        "    return status == _ABORTED\n",
        "    return False\n",
        "tests/adapters/sqlalchemy/test_unit_of_work.py::test_a_transaction_that_is_aborted_is_no_success",
        quick=True,
    ),
)
