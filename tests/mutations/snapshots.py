"""Bugs in snapshots."""

from mutations.bug import Bug

SNAPSHOTS, SQL, PORT = "snapshots.py", "adapters/sqlalchemy/snapshots.py", "event_sourced.py"
TESTS, SQL_TESTS = "tests/test_snapshots.py", "tests/adapters/sqlalchemy/test_snapshots.py"
MEMORY, IN_MEMORY = "memory/snapshots.py", f"{TESTS}::TestInmemorySnapshotStore"

BUGS = (
    Bug(
        "a snapshot is of the events of its stream",
        SNAPSHOTS,
        "first.revision == self.revision and first.event.header.id.value == self.event_id",
        "first.revision == self.revision",
        f"{TESTS}::test_a_snapshot_that_does_not_fit_is_ignored_and_replaced",
        quick=True,
    ),
    Bug(
        "a snapshot of another version is ignored",
        SNAPSHOTS,
        "if found.version != self.version:",
        "if not found.version:",
        f"{TESTS}::test_another_version_of_the_fold_is_folded_again",
    ),
    Bug(
        "the answers with snapshots are those of the events",
        PORT,
        "return _loaded(self.decider, stored[1:], restored)\n            self.snapshots.refuse(stream)\n"
        "        return _loaded(self.decider, self.store.read(stream))",
        "return _loaded(self.decider, stored, restored)\n            self.snapshots.refuse(stream)\n"
        "        return _loaded(self.decider, self.store.read(stream))",
        f"{TESTS}::test_the_answers_are_those_of_the_events_alone",
        quick=True,
    ),
    Bug(
        "the shape of the state is a part of the version",
        SNAPSHOTS,
        "{sha256(self._form.shape.encode()).hexdigest()[:16]}",
        "{self.name}",
        f"{TESTS}::test_the_shape_of_the_state_is_a_part_of_the_version",
    ),
    Bug(
        "a state that could not be read back is not written",
        "value_form.py",
        "if self.read(text) != value:",
        "if not text:",
        f"{TESTS}::test_a_state_that_could_not_be_read_back_is_not_kept",
    ),
    Bug(
        "a snapshot is rolled back with its events",
        SQL,
        "with self._apart(), self._unit_of_work.writing() as connection:\n            connection.execute(self._upsert",
        "with self._unit_of_work._committing() as connection:\n            connection.execute(self._upsert",
        f"{SQL_TESTS}::test_a_snapshot_is_in_the_unit_of_work_of_its_events",
    ),
    Bug(
        "a snapshot that fails leaves the unit of work as it was",
        SQL,
        "return self._unit_of_work.begin() if self._is_inside() else nullcontext()",
        "return nullcontext()",
        f"{SQL_TESTS}::test_what_fails_in_a_unit_of_work_leaves_it_as_it_was",
        quick=True,
    ),
    Bug(
        "a lost race leaves the unit of work as it was",
        SQL,
        "return self._unit_of_work.begin() if self._is_inside() else nullcontext()",
        "return nullcontext()",
        f"{SQL_TESTS}::test_a_lost_race_of_a_snapshot_leaves_the_unit_of_work_as_it_was",
    ),
    Bug(
        "snapshots of a stream are removed for all names",
        SQL,
        'sa.delete(table).where(table.c.stream == sa.bindparam("of_stream"))',
        'sa.delete(table).where(table.c.stream == sa.bindparam("of_stream"), table.c.name == "Task")',
        f"{SQL_TESTS}::TestStore::test_all_of_a_stream_are_removed",
    ),
    Bug(
        "streams and names are kept apart",
        SQL,
        'sa.and_(table.c.stream == sa.bindparam("of_stream"), table.c.name == sa.bindparam("of_name"))',
        'sa.and_(table.c.stream == sa.bindparam("of_stream"), sa.bindparam("of_name") != "")',
        f"{SQL_TESTS}::TestStore::test_streams_and_names_are_kept_apart",
    ),
    Bug(
        "there is no snapshot before the first",
        MEMORY,
        "return self._snapshots.get(stream_name(stream), {}).get(name)",
        "return next(iter(self._snapshots.get(stream_name(stream), {}).values()), None)",
        f"{IN_MEMORY}::test_there_is_none_before_the_first",
    ),
    Bug(
        "the latest snapshot is kept",
        MEMORY,
        "self._snapshots.setdefault(snapshot.stream, {})[snapshot.name] = snapshot",
        "self._snapshots.setdefault(snapshot.stream, {}).setdefault(snapshot.name, snapshot)",
        f"{IN_MEMORY}::test_the_latest_one_to_be_saved_is_kept",
    ),
    Bug(
        "a snapshot comes back as it was saved",
        SQL,
        '"state": snapshot.state,',
        '"state": snapshot.state[:100],',
        f"{SQL_TESTS}::TestStore::test_a_snapshot_comes_back_as_it_was_saved",
    ),
    Bug(
        "of many snapshots one is kept whole",
        SQL,
        "made: sa.Executable = insert.on_conflict_do_update(index_elements=table.primary_key.columns, set_=changed)",
        "made: sa.Executable = insert.on_conflict_do_update(\n        index_elements=table.primary_key.columns,"
        ' set_={"revision": changed["revision"]}\n    )',
        f"{SQL_TESTS}::TestStore::test_many_writers_leave_one_whole",
    ),
    Bug(
        "a stream is named by an id too",
        MEMORY,
        "self._snapshots.pop(stream_name(stream), None)",
        "self._snapshots.pop(str(id(stream)), None)",
        f"{IN_MEMORY}::test_a_stream_may_be_named_by_an_id",
    ),
)
