"""Bugs in the tables of the children of aggregates."""

from mutations.bug import Bug

FILE = "adapters/sqlalchemy/child_rows.py"
TESTS = "tests/adapters/sqlalchemy/test_child_rows.py"

BUGS = (
    Bug(
        "root and children are stored together",
        FILE,
        '        """Store the rows of a new aggregate."""\n',
        "        connection.connection.driver_connection.commit()\n",
        f"{TESTS}::test_what_is_refused_in_a_child_table_stores_nothing",
    ),
    Bug(
        "root and children are of one version",
        FILE,
        "            if row[self._version] == versions[key]:\n",
        "            if True:\n",
        f"{TESTS}::test_root_and_children_are_of_one_version",
        quick=True,
    ),
    Bug(
        "what is read again is still what was asked for",
        FILE,
        "self._roots if where is None else self._roots.where(where)",
        "self._roots",
        f"{TESTS}::test_root_and_children_are_of_one_version",
    ),
    Bug(
        "a stale aggregate changes no child",
        FILE,
        "version in (None, stored):",
        "version != 0:",
        f"{TESTS}::test_a_stale_aggregate_changes_no_child",
        quick=True,
    ),
    Bug(
        "children keep their order",
        FILE,
        "            .order_by(position)\n",
        "            .order_by(position.desc())\n",
        f"{TESTS}::test_children_keep_their_order",
    ),
    Bug(
        "a value that is equal and not the same is stored",
        FILE,
        "repr(value) == repr(other) and ",
        "",
        f"{TESTS}::test_a_value_that_is_equal_and_not_the_same_is_stored",
    ),
    Bug(
        "children of many aggregates are read at once",
        FILE,
        "islice(left, _ROOTS_PER_STATEMENT)",
        "islice(left, 1)",
        f"{TESTS}::test_all_are_read_with_one_statement_for_a_table",
        quick=True,
    ),
    Bug(
        "an update writes the difference",
        FILE,
        "if number in stored and self._equal(row, stored[number])",
        "if False",
        f"{TESTS}::test_an_update_writes_the_difference",
    ),
    Bug(
        "swapped children break no constraint",
        FILE,
        "        for table, (gone, _) in zip(self._tables, changes, strict=True):\n",
        (
            "        for table, given, (_, new) in zip(self._tables, rows, changes, strict=True):\n"
            "            for one in new:\n"
            "                table.delete(connection, key, [one])\n"
            "                table.store(connection, key, given, [one])\n"
            "        for table, (gone, _) in ():\n"
        ),
        f"{TESTS}::test_children_keep_their_order",
    ),
    Bug(
        "the root is locked before its children go",
        FILE,
        "            stored = connection.execute(self._lock, {KEY: key}).scalar()\n",
        "            stored = version\n",
        f"{TESTS}::test_an_aggregate_is_removed_with_its_children",
    ),
)
