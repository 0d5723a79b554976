"""Bugs in read models and their projectors."""

from mutations.bug import Bug

FOLDER = "adapters/sqlalchemy"
MODELS, FOLLOWING, PROJECTOR = f"{FOLDER}/read_models.py", f"{FOLDER}/following.py", f"{FOLDER}/projector.py"
CHECKPOINTS, REBUILDING = f"{FOLDER}/checkpoints.py", f"{FOLDER}/rebuilding.py"
REPOSITORIES = f"{FOLDER}/repository_read_models.py"
TESTS, REBUILDS = "tests/adapters/sqlalchemy/test_projector.py", "tests/adapters/sqlalchemy/test_rebuilding.py"
WAKEUPS = "tests/adapters/sqlalchemy/test_projector_wakeups.py"
KEPT = "tests/adapters/sqlalchemy/test_repository_read_models.py"

BUGS = (
    Bug(
        "a step gets the stored row",
        MODELS,
        "        rows.update(known)\n",
        "",
        f"{TESTS}::test_a_read_model_is_the_fold_of_all_events",
        quick=True,
    ),
    Bug(
        "effect and checkpoint are of one transaction",
        FOLLOWING,
        "                model.apply(connection, batch.events)\n",
        "                model.apply(connection, batch.events)\n                connection.connection.commit()\n",
        f"{TESTS}::test_effect_and_checkpoint_are_stored_together",
        quick=True,
    ),
    Bug(
        "one projector at a time has a read model",
        FOLLOWING,
        "if locked is None or (locked.position, locked.version) != (seen.position, seen.version):",
        "if locked is None:",
        f"{TESTS}::test_several_projectors_share_the_work",
    ),
    Bug(
        "a checkpoint that moved is left alone",
        FOLLOWING,
        "if locked is None or (locked.position, locked.version) != (seen.position, seen.version):",
        "if locked is None or locked.version != seen.version:",
        f"{TESTS}::test_a_checkpoint_that_moved_meanwhile_is_left_alone",
        quick=True,
    ),
    Bug(
        "a projector waits for no other one",
        CHECKPOINTS,
        "self._read.with_for_update(skip_locked=True)",
        'self._read.with_for_update(nowait=True).where(sa.text("model IS NOT NULL"))',
        f"{TESTS}::test_a_read_model_that_another_projector_has_is_passed_over",
    ),
    Bug(
        "an unreadable event stops a read model",
        FOLLOWING,
        "            elif policy is OnUnreadable.SKIP:\n",
        "            elif policy:\n",
        f"{TESTS}::test_an_unreadable_event_stops_a_read_model",
        quick=True,
    ),
    Bug(
        "a skipped event is counted",
        FOLLOWING,
        "unreadable=locked.unreadable + len(batch.skipped),",
        "unreadable=locked.unreadable,",
        f"{TESTS}::test_an_unreadable_event_that_is_skipped",
    ),
    Bug(
        "a failing step stops before its event",
        PROJECTOR,
        "                if len(found) == 1:\n",
        "                if found:\n",
        f"{TESTS}::test_a_step_that_raises_stops_its_read_model_alone",
        quick=True,
    ),
    Bug(
        "rows of another version are left alone",
        PROJECTOR,
        "        if seen.version != model.version:\n",
        "        if seen.version > model.version:\n",
        f"{TESTS}::test_another_version_is_left_alone",
    ),
    Bug(
        "rows of unknown origin are left alone",
        FOLLOWING,
        "0 if has_rows else model.version",
        "model.version",
        f"{TESTS}::test_rows_without_a_checkpoint_are_not_folded_into",
    ),
    Bug(
        "old and new rows are swapped at once",
        REBUILDING,
        "            with connection.begin_nested():\n                _replace_rows(connection, table, shadow)\n",
        "            connection.execute(delete(table))\n            connection.connection.commit()\n"
        "            _replace_rows(connection, table, shadow)\n",
        f"{REBUILDS}::test_a_rebuild_while_writers_write_and_readers_read",
    ),
    Bug(
        "a swap deletes no rows that refer to the new ones",
        REBUILDING,
        "        if referring := _referring(connection, table):\n",
        "        if (referring := '') is None:\n",
        f"{REBUILDS}::test_a_rebuild_that_would_delete_rows_of_others",
    ),
    Bug(
        "new rows are beside the old ones",
        REBUILDING,
        "self._model.apply(connection, batch.events, to=self._model.shadow)",
        "self._model.apply(connection, batch.events)",
        f"{REBUILDS}::test_the_old_rows_are_kept_current_until_the_swap",
    ),
    Bug(
        "an interrupted rebuild goes on",
        REBUILDING,
        "if found.position == 0 or found.version != model.version or not _exists(model.shadow, connection):",
        "if True:",
        f"{REBUILDS}::test_an_interrupted_rebuild_goes_on",
    ),
    Bug(
        "a rebuild that moved meanwhile is left alone",
        REBUILDING,
        "        if locked.position != seen.position:\n",
        "        if False:\n",
        f"{REBUILDS}::test_several_share_a_rebuild",
    ),
    Bug(
        "a commit wakes the projector",
        PROJECTOR,
        "self._wakeups(wake.set)",
        "self._wakeups(lambda: None)",
        f"{WAKEUPS}::test_a_commit_wakes_it",
    ),
    Bug(
        "a commit wakes the async projector",
        f"{FOLDER}/async_projector.py",
        "inner._wakeups(wake.set)",
        "inner._wakeups(lambda: None)",
        f"{WAKEUPS}::test_async_a_commit_wakes_it",
    ),
    Bug(
        "the poll finds events that nobody has announced",
        PROJECTOR,
        "(left := ends - monotonic()) > 0 and not wake.wait(min(left, _LOOK))",
        "not wake.wait(_LOOK)",
        f"{WAKEUPS}::test_events_that_nobody_has_announced",
    ),
    Bug(
        "a projector that is not to be woken listens to nothing",
        PROJECTOR,
        "if not (self._wakes and isinstance(store, SqlEventStore)):",
        "if not isinstance(store, SqlEventStore):",
        f"{WAKEUPS}::test_it_can_be_turned_off",
        quick=True,
    ),
    Bug(
        "the command can be told to poll only",
        "cli/_projecting.py",
        "inner._wakes and options.wakes",
        "inner._wakes",
        "tests/cli/test_project.py::test_no_wakes",
    ),
    Bug(
        "aggregates and checkpoint are of one transaction",
        REPOSITORIES,
        "                self._store(one_id, before.get(one_id), aggregate)\n",
        (
            "                self._store(one_id, before.get(one_id), aggregate)\n"
            "            connection.connection.commit()\n"
        ),
        f"{KEPT}::test_aggregates_and_checkpoint_are_stored_together",
        quick=True,
    ),
    Bug(
        "a repository joins the transaction of the projector",
        REPOSITORIES,
        "return nullcontext() if is_open else unit_of_work.joining(connection)",
        "return nullcontext()",
        f"{KEPT}::test_another_unit_of_work_of_the_engine",
    ),
    Bug(
        "an aggregate that changed meanwhile is not overwritten",
        REPOSITORIES,
        "aggregate_version=before.aggregate_version)",
        "aggregate_version=self._repository.retrieve(one_id).unwrap().aggregate_version)",
        f"{KEPT}::test_another_writer_is_noticed",
    ),
)
