"""Bugs in the SQL repositories and the outbox that they fill."""

from mutations.bug import Bug

BUGS = (
    Bug(
        "the state is stored before the events",
        "adapters/sqlalchemy/repositories.py",
        "            if self._sql.insert.run(connection, (row,)).rowcount == 0:",
        (
            "            if self._outbox is not None:\n"
            "                self._outbox.store(connection, events)\n"
            "            if self._sql.insert.run(connection, (row,)).rowcount == 0:"
        ),
        "tests/adapters/sqlalchemy/test_repositories.py::test_a_save_with_one_event_is_two_statements",
    ),
    Bug(
        "databases answer as memory does",
        "adapters/sqlalchemy/statements.py",
        "sa.update(table).where(self_id, as_expected)",
        "sa.update(table).where(self_id)",
        "tests/adapters/sqlalchemy/test_histories.py::test_histories_go_as_in_memory",
    ),
    Bug(
        "one of those who race wins",
        "adapters/sqlalchemy/statements.py",
        "sa.update(table).where(self_id, as_expected)",
        "sa.update(table).where(self_id)",
        "tests/adapters/sqlalchemy/test_concurrency.py::test_one_of_those_who_race_wins",
    ),
    Bug(
        "what is refused stores no events",
        "adapters/sqlalchemy/statements.py",
        "self.delete_version: sa.Delete = sa.delete(table).where(self_id, as_expected)",
        "self.delete_version: sa.Delete = sa.delete(table).where(self_id)",
        "tests/adapters/sqlalchemy/test_repositories.py::test_what_is_refused_stores_no_events",
        quick=True,
    ),
    Bug(
        "of many that are saved all are stored or none",
        "adapters/sqlalchemy/repositories.py",
        "nested.rollback()",
        "nested.commit()",
        "tests/adapters/sqlalchemy/test_contracts.py::TestWithOutbox::test_save_all_refuses_an_id_that_is_there",
    ),
    Bug(
        "an event is stored once",
        "adapters/sqlalchemy/repositories.py",
        "events, once=once)",
        "events, once=False)",
        "tests/adapters/sqlalchemy/test_repositories.py::test_an_event_that_was_stored_is_not_stored_again",
        quick=True,
    ),
    Bug(
        "retrieve_all keeps the order of saving",
        "adapters/sqlalchemy/statements.py",
        "table.c.position if order_by is None",
        "table.c.version if order_by is None",
        "tests/adapters/sqlalchemy/test_contracts.py::TestWithOutbox::test_retrieve_all_keeps_the_order",
    ),
    Bug(
        "another conflict than that of ids is an exception",
        "adapters/sqlalchemy/statements.py",
        "on_conflict_do_nothing(index_elements=key)",
        "on_conflict_do_nothing()",
        "tests/adapters/sqlalchemy/test_repositories.py::test_another_unique_column_is_an_exception",
    ),
    Bug(
        "id and version stand in their columns alone",
        "states.py",
        "frozenset({_ID, _VERSION}))",
        "frozenset({_ID}))",
        "tests/adapters/sqlalchemy/test_repositories.py::test_id_and_version_stand_in_their_columns_alone",
    ),
    Bug(
        "an event that is unknown is refused before anything is stored",
        "adapters/sqlalchemy/repositories.py",
        (
            "        row = self._row(aggregate)\n"
            '        events = self._events(aggregate, row["id"])\n'
            "        children = self._children.rows(aggregate)\n"
            "\n"
            "        def store(connection: Connection) -> Result[AggT, AggregateAlreadyExistError]:\n"
        ),
        (
            "        row = self._row(aggregate)\n"
            "        children = self._children.rows(aggregate)\n"
            "\n"
            "        def store(connection: Connection) -> Result[AggT, AggregateAlreadyExistError]:\n"
            "            connection.exec_driver_sql('SELECT 1')\n"
            '            events = self._events(aggregate, row["id"])\n'
        ),
        "tests/adapters/sqlalchemy/test_repositories.py::test_an_event_that_the_outbox_does_not_know_is_not_stored",
        quick=True,
    ),
    Bug(
        "an async reader waits for no writer",
        "adapters/sqlalchemy/async_unit_of_work.py",
        (
            "        async with self._engine.connect() as connection:\n"
            "            return await connection.run_sync(self.inner._read_on"
        ),
        (
            "        async with self._begun() as connection:\n"
            "            return await connection.run_sync(self.inner._read_on"
        ),
        "tests/adapters/sqlalchemy/test_concurrency.py::test_an_async_reader_waits_for_no_writer",
    ),
    Bug(
        "a read leaves its connection as it was",
        "adapters/sqlalchemy/lean_reads.py",
        "                driver.autocommit = before\n",
        "                pass\n",
        ("tests/adapters/sqlalchemy/test_lean_reads.py::test_a_read_may_be_interrupted_at_any_moment[postgresql]"),
    ),
    Bug(
        "a listener is told of each read",
        "adapters/sqlalchemy/lean_reads.py",
        "return fits and not is_watched(self._engine)",
        "return fits",
        "tests/adapters/sqlalchemy/test_lean_reads.py::test_a_listener_of_the_engine_is_told_all",
    ),
    Bug(
        "a lost connection takes those before it out of the pool",
        "adapters/sqlalchemy/lean.py",
        "            lost.exec_driver_sql(",
        "            str(",
        ("tests/adapters/sqlalchemy/test_lean_reads.py::test_a_lost_connection_takes_those_before_it_out_of_the_pool"),
    ),
    Bug(
        "a read of its own is one trip to the server",
        "adapters/sqlalchemy/unit_of_work.py",
        "options = for_one_read(self._engine) if single else {READ_ONLY: True}",
        "options = {READ_ONLY: True}",
        "tests/adapters/sqlalchemy/test_lean_reads.py::test_a_read_is_one_trip",
    ),
    Bug(
        "state and events are stored together",
        "adapters/sqlalchemy/unit_of_work.py",
        "        with self._lean.get().connect() as connection:\n            return self._finish",
        (
            "        with self._engine.execution_options(**at_once(self.dialect)).connect() as connection:\n"
            "            return self._finish"
        ),
        "tests/adapters/sqlalchemy/test_faults.py::test_all_or_nothing",
    ),
    Bug(
        "an aggregate of a subclass is refused",
        "adapters/sqlalchemy/repositories.py",
        "if type(aggregate) is not self._type:",
        "if not isinstance(aggregate, self._type):",
        "tests/adapters/sqlalchemy/test_repositories.py::test_an_aggregate_of_a_subclass_is_refused",
    ),
    Bug(
        "a moment comes back in UTC",
        "adapters/sqlalchemy/tables.py",
        "in_utc.replace(tzinfo=None) if dialect.name",
        "value.replace(tzinfo=None) if dialect.name",
        "tests/adapters/sqlalchemy/test_tables.py::test_a_moment_comes_back_in_utc",
    ),
    Bug(
        "columns with defaults of Python are filled",
        "adapters/sqlalchemy/statements.py",
        "        if not set(compiled.bind_names.values()) <= set(self._parameters):\n            return None\n",
        "",
        "tests/adapters/sqlalchemy/test_repositories.py::test_columns_with_defaults_of_python_are_filled",
    ),
    Bug(
        "schemas are translated",
        "adapters/sqlalchemy/statements.py",
        ' or connection.get_execution_options().get("schema_translate_map")',
        "",
        "tests/adapters/sqlalchemy/test_repositories.py::test_schemas_are_translated",
    ),
    Bug(
        "a text id that looks alike is another",
        "adapters/sqlalchemy/tables.py",
        "str: sa.Text()}",
        'str: sa.Text().with_variant(sa.Text(collation="NOCASE"), "sqlite")}',
        "tests/adapters/sqlalchemy/test_ids.py::test_ids_that_look_alike_are_told_apart",
    ),
    Bug(
        "equal ids have one key",
        "ids.py",
        "value.normalize(_exact) if value else Decimal(0)",
        "value",
        "tests/test_ids.py::test_equal_ids_have_one_key",
    ),
    Bug(
        "an id that can't be stored is refused before anything is sent",
        "ids.py",
        "            refusal = self._refusal(key)\n",
        "            refusal = None\n",
        "tests/adapters/sqlalchemy/test_ids.py::test_what_cannot_be_stored_is_refused_before_anything_is_sent",
        quick=True,
    ),
    Bug(
        "an id is saved once",
        "adapters/sqlalchemy/repositories.py",
        "if self._sql.insert.run(connection, (row,)).rowcount == 0:",
        "if self._sql.insert.run(connection, (row,)).rowcount < 0:",
        "tests/adapters/sqlalchemy/test_contracts.py::TestWithOutbox::test_save_refuses_an_id_that_is_there",
        quick=True,
    ),
    Bug(
        "no update is lost",
        "adapters/sqlalchemy/statements.py",
        (
            "where(self_id, as_expected)\n"
            "        self.update: Prepared = Prepared(self.changed, (*state, KEY, EXPECTED) if columns else ())\n"
        ),
        "where(self_id)\n        self.update: Prepared = Prepared(self.changed, (*state, KEY) if columns else ())\n",
        "tests/adapters/sqlalchemy/test_contracts.py::TestWithOutbox::test_update_refuses_a_stale_aggregate",
        quick=True,
    ),
    Bug(
        "what could not be read back is not stored",
        "states.py",
        "            raise unreadable(self._cls.__qualname__, problems)\n",
        "            return '{}'\n",
        "tests/adapters/sqlalchemy/test_repositories.py::test_what_could_not_be_read_back_is_not_stored",
        quick=True,
    ),
    Bug(
        "a row that can not be read shows no value",
        "adapters/sqlalchemy/repositories.py",
        "problems=error.problems) from None",
        "problems=error.problems) from ValueError(repr(given))",
        "tests/adapters/sqlalchemy/test_repositories.py::test_a_state_that_cannot_be_read_is_told",
        quick=True,
    ),
    Bug(
        "events have the id of their aggregate as key",
        "adapters/sqlalchemy/repositories.py",
        "key=str(key))",
        "key=None)",
        "tests/adapters/sqlalchemy/test_repositories.py::test_events_have_the_id_of_their_aggregate_as_key",
        quick=True,
    ),
    Bug(
        "messages keep their order",
        "adapters/sqlalchemy/outbox.py",
        "        for given in messages:",
        "        for given in reversed(list(messages)):",
        "tests/adapters/sqlalchemy/test_outbox.py::test_messages_keep_their_order",
        quick=True,
    ),
    Bug(
        "an event says what caused it",
        "adapters/sqlalchemy/outbox.py",
        "message = caused(",
        "message = (",
        "tests/adapters/sqlalchemy/test_repositories.py::test_the_cause_of_an_event_is_stored",
    ),
    Bug(
        "what a converter could not read back is not stored",
        "states.py",
        "        if found != aggregate or found.domain_events:",
        "        if False:",
        "tests/adapters/sqlalchemy/test_repositories.py::test_what_a_converter_could_not_read_back_is_not_stored",
    ),
    Bug(
        "memory refuses what a database refuses",
        "memory/repositories.py",
        "            self._forms[cls].write(aggregate)\n",
        "            pass\n",
        "tests/adapters/sqlalchemy/test_repositories.py::test_memory_refuses_what_a_database_refuses",
    ),
)
