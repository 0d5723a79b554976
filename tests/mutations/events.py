"""Bugs in the store of events."""

from mutations.bug import Bug

STATEMENTS, STORE = "adapters/sqlalchemy/event_statements.py", "adapters/sqlalchemy/event_store.py"
POSTGRESQL = "adapters/sqlalchemy/postgresql_events.py"
MEMORY, IN_MEMORY = "memory/event_store.py", "tests/test_event_sourced.py::TestInmemoryEventStore"
TESTS, RACES = "tests/adapters/sqlalchemy/test_event_store.py", "tests/adapters/sqlalchemy/test_event_store_races.py"
LOCKS, TAGGED_POSTGRESQL = "adapters/sqlalchemy/event_locks.py", "adapters/sqlalchemy/postgresql_event_tags.py"
TAGS, TAG_TESTS = "adapters/sqlalchemy/event_tags.py", "tests/adapters/sqlalchemy/test_event_tags.py"
TAG_RACES, TAGGED = "tests/adapters/sqlalchemy/test_event_tags_races.py", "tests/test_tags.py::TestInmemory"

BUGS = (
    Bug(
        "a reader waits for those who appended before",
        POSTGRESQL,
        "SELECT least(seen.top, min(",
        "SELECT greatest(seen.top, min(",
        f"{RACES}::test_an_event_is_not_given_before_an_earlier_one_may_come",
        quick=True,
    ),
    Bug(
        "each transaction announces that it appends",
        POSTGRESQL,
        "set_config({_FLAG}, 'yes', true)",
        "set_config({_FLAG}, 'yes', false)",
        f"{RACES}::test_an_announcement_ends_with_its_transaction",
    ),
    Bug(
        "a transaction announces itself once",
        POSTGRESQL,
        "THEN\n        set_config({_FLAG}, 'yes', true) ||",
        "THEN",
        f"{RACES}::test_a_transaction_announces_itself_once",
    ),
    Bug(
        "positions may have more than 32 bits",
        POSTGRESQL,
        " & 4294967295) - 2147483648",
        ") - 2147483648",
        f"{RACES}::test_positions_may_be_larger_than_a_lock_can_say",
    ),
    Bug(
        "an append is all or nothing",
        POSTGRESQL,
        "body FROM first, given\n",
        "body FROM (SELECT coalesce(max(revision), 2) AS revision FROM first) AS first, given\n",
        f"{RACES}::test_a_writer_that_waited_has_a_conflict",
    ),
    Bug(
        "an append is refused if the revision is another",
        STATEMENTS,
        "{HEAD} = :start",
        "{HEAD} <> -1",
        f"{TESTS}::test_a_part_of_more_than_one_statement_takes_is_never_stored",
        quick=True,
    ),
    Bug(
        "a deleted event keeps its revision",
        STATEMENTS,
        '    "UPDATE {events} SET message_id = NULL, name = NULL, version = NULL, body = NULL"\n'
        '    " WHERE stream = :stream AND body IS NOT NULL"\n',
        '    "DELETE FROM {events} WHERE stream = :stream AND body IS NOT NULL"\n',
        f"{RACES}::test_nothing_is_appended_behind_a_stream_that_was_closed_meanwhile",
    ),
    Bug(
        "appended events are in the outbox",
        STORE,
        "                    if self._outbox is not None:\n",
        "                    if self._outbox is None:\n",
        f"{TESTS}::test_events_are_in_the_outbox_of_the_unit_of_work",
        quick=True,
    ),
    Bug(
        "in a unit of work an append belongs to that",
        STORE,
        "return is_one and not self._is_inside()",
        "return is_one",
        f"{TESTS}::test_an_append_is_stored_with_the_unit_of_work",
        quick=True,
    ),
    Bug(
        "a lost race outside of a unit of work is tried again",
        "adapters/sqlalchemy/event_appends.py",
        "        raise error\n    return is_inside\n",
        "        raise error\n    return True\n",
        f"{RACES}::test_a_lost_race_outside_of_a_unit_is_tried_again",
    ),
    Bug(
        "a lost connection is told",
        "adapters/sqlalchemy/outcomes.py",
        "            refuse_doubt(error)\n            raise\n",
        "            raise\n",
        f"{RACES}::test_a_connection_lost_in_an_append",
    ),
    Bug(
        "a snapshot that is too old is refused",
        STORE,
        "if settled.has_old_snapshot and is_inside:",
        "if False:",
        f"{RACES}::test_reading_all_needs_to_see_what_is_committed",
    ),
    Bug(
        "a reader skips no late commit",
        POSTGRESQL,
        "SELECT least(seen.top, min(",
        "SELECT greatest(seen.top, min(",
        f"{RACES}::test_a_reader_skips_no_late_commit",
    ),
    Bug(
        "writers of different streams don't wait",
        POSTGRESQL,
        "CAST(pg_advisory_xact_lock_shared(",
        "CAST(pg_advisory_xact_lock(",
        f"{RACES}::test_writers_of_different_streams_do_not_wait",
    ),
    Bug(
        "one of many writers wins",
        MEMORY,
        "            refused = conflict(name, expected, found.revision)\n",
        "            refused = None\n",
        f"{IN_MEMORY}::test_one_of_many_writers_wins",
        quick=True,
    ),
    Bug(
        "the same append is stored once",
        MEMORY,
        "            if repeated is not None:\n",
        "            if False:\n",
        f"{IN_MEMORY}::test_the_same_append_is_stored_once",
    ),
    Bug(
        "a deleted stream stays closed",
        MEMORY,
        "            found.is_closed = True\n",
        "",
        f"{IN_MEMORY}::test_a_deleted_stream_is_gone_and_stays_closed",
    ),
    Bug(
        "an event that cannot be read is reported in its place",
        MEMORY,
        "given = stored[:limit]",
        "given = [one for one in stored[:limit] if isinstance(self._codec.decode(one.raw), Success)]",
        f"{IN_MEMORY}::test_an_event_of_a_class_that_the_codec_lacks_is_reported_in_its_place",
    ),
    Bug(
        "an append locks the tags that it guards",
        LOCKS,
        "keys = {lock_key(tag): True for one in guarded for tag in one.tags}",
        "keys = {lock_key(tag): True for one in guarded[:0] for tag in one.tags}",
        f"{TAG_RACES}::test_of_two_decisions_that_exclude_each_other_one_is_stored",
        quick=True,
    ),
    Bug(
        "a plain append locks its tags",
        TAGGED_POSTGRESQL,
        "        locks = Locks.of(tags)\n",
        "        locks = Locks.of(())\n",
        f"{TAG_RACES}::test_decisions_about_different_things_do_not_wait",
    ),
    Bug(
        "each item of a query has a position of its own",
        STORE,
        "positions[0] if len(positions) == 1 else tuple(positions)",
        "max(positions)",
        f"{TAG_RACES}::test_an_event_that_appears_late_is_against_a_decision",
        quick=True,
    ),
    Bug(
        "a query without ids reads what is settled",
        STORE,
        "        if not all(one.tags for one in wanted):\n            upto = self",
        "        if False:\n            upto = self",
        f"{TAG_RACES}::test_an_event_that_appears_late_is_against_a_decision",
    ),
    Bug(
        "tags that differ have locks that differ",
        LOCKS,
        "    key = crc32(tag.bytes) or 1\n",
        "    key = 1\n",
        f"{TAG_RACES}::test_decisions_about_different_things_do_not_wait",
    ),
    Bug(
        "locks are taken in one order",
        LOCKS,
        "        order = sorted(keys)\n",
        "        order = list(keys)\n",
        f"{TAG_RACES}::test_no_two_appends_wait_for_each_other",
    ),
    Bug(
        "the tags of a deleted stream are deleted",
        TAGS,
        '        self._run(connection, _DELETE_TAGS, {"stream": stream})\n',
        "",
        f"{TAG_TESTS}::test_a_deleted_stream_has_no_tags_any_more",
        quick=True,
    ),
    Bug(
        "a condition is checked",
        MEMORY,
        "any(one.position > after and one.fits(item) for item, after in pairs)",
        "False",
        f"{TAGGED}::test_a_decision_is_stored_if_nothing_happened_meanwhile",
        quick=True,
    ),
)
