"""Contract tests of every CrudRepository: subclass one of the classes, and run it with pytest.

The methods are plain asserts that need neither fixtures nor pytest. Each test makes a new repository. If yours needs
setup or cleanup, do that in your subclass, with a fixture or `teardown_method`.
"""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import attrs

from domainkit.aggregates import AggregateRoot, AnyId
from domainkit.errors import AggregateAlreadyExistError, AggregateNotFoundError, AggregateVersionConflictError
from domainkit.ports import CrudRepository
from domainkit.testing._expect import expect_refused, expect_same, expect_same_all, value_of
from domainkit.testing.samples import SampleTask, SampleTaskId, SampleTitle

AggT = TypeVar("AggT", bound=AggregateRoot[Any])  # Any: its ids are of the class IdT, like the repository's
IdT = TypeVar("IdT", bound=AnyId)

_MANY = 120  # more than a usual page size


class AggregateRepositoryContract(ABC, Generic[AggT, IdT]):
    """Contract of a CrudRepository of one of your aggregate classes.

    >>> from domainkit import CrudRepository, InmemoryCrudRepository
    >>> class TestTasks(AggregateRepositoryContract[SampleTask, SampleTaskId]):
    ...     def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
    ...         return InmemoryCrudRepository()
    ...     def make_aggregate(self) -> SampleTask:
    ...         return SampleTask.create("Buy milk")
    ...     def change(self, aggregate: SampleTask) -> SampleTask:
    ...         return attrs.evolve(aggregate, done=not aggregate.done)
    >>> TestTasks().test_save_stores_the_aggregate()
    """

    @abstractmethod
    def make_repository(self) -> CrudRepository[AggT, IdT]:
        """Return a new, empty repository, independent of earlier ones."""

    @abstractmethod
    def make_aggregate(self) -> AggT:
        """Return a new aggregate with its own id. The tests cover more if it has a recorded event."""

    @abstractmethod
    def change(self, aggregate: AggT, /) -> AggT:
        """Return `aggregate` with another field changed, but not its id or version."""

    def test_save_stores_the_aggregate(self) -> None:
        """Save returns the stored aggregate, and retrieve returns an equal one of the same class."""
        repository, aggregate = self.make_repository(), self.make_aggregate()
        saved = value_of(repository.save(aggregate))
        expect_same(aggregate, saved)
        expect_same(aggregate, value_of(repository.retrieve(aggregate.aggregate_id)))

    def test_save_keeps_the_version(self) -> None:
        """Save stores the aggregate's version unchanged: 1 is not raised, a later one not reset."""
        repository, first = self.make_repository(), self.make_aggregate()
        moved = attrs.evolve(self.make_aggregate(), aggregate_version=7)
        for aggregate in (first, moved):
            value_of(repository.save(aggregate))
            found = value_of(repository.retrieve(aggregate.aggregate_id))
            assert aggregate.aggregate_version == found.aggregate_version, "save changed the version"

    def test_save_refuses_an_id_that_is_there(self) -> None:
        """A second save with the same id is AggregateAlreadyExistError, and changes nothing."""
        repository, aggregate = self.make_repository(), self.make_aggregate()
        value_of(repository.save(aggregate))
        expect_refused(repository.save(self.change(aggregate)), AggregateAlreadyExistError, aggregate)
        expect_same(aggregate, value_of(repository.retrieve(aggregate.aggregate_id)))

    def test_save_all_stores_all_in_order(self) -> None:
        """Save all returns the stored aggregates, and stores them in their order; no aggregates are no error."""
        repository, aggregates = self.make_repository(), [self.make_aggregate() for _ in range(3)]
        assert value_of(repository.save_all(())) == (), "nothing to save should give an empty tuple"
        expect_same_all(aggregates, value_of(repository.save_all(iter(aggregates))))
        expect_same_all(aggregates, value_of(repository.retrieve_all()))

    def test_save_all_refuses_an_id_that_is_there(self) -> None:
        """If one id is stored already, save all is AggregateAlreadyExistError for that one, and stores none."""
        repository, aggregates = self.make_repository(), [self.make_aggregate() for _ in range(4)]
        stored = aggregates[2]
        value_of(repository.save(stored))
        refused = [*aggregates[:2], self.change(stored), aggregates[3]]
        expect_refused(repository.save_all(refused), AggregateAlreadyExistError, stored)
        expect_same_all([stored], value_of(repository.retrieve_all()))
        value_of(repository.save_all([aggregates[0], aggregates[1], aggregates[3]]))

    def test_save_all_refuses_an_id_that_comes_twice(self) -> None:
        """If two of the aggregates have one id, save all is AggregateAlreadyExistError for it, and stores none."""
        repository, one, other = self.make_repository(), self.make_aggregate(), self.make_aggregate()
        expect_refused(repository.save_all([other, one, self.change(one)]), AggregateAlreadyExistError, one)
        assert value_of(repository.retrieve_all()) == (), "a refused save_all stored something"

    def test_retrieve_of_a_missing_id(self) -> None:
        """Retrieve of an unknown id is AggregateNotFoundError, in an empty repository and in a full one."""
        repository, missing = self.make_repository(), self.make_aggregate()
        expect_refused(repository.retrieve(missing.aggregate_id), AggregateNotFoundError, missing)
        value_of(repository.save(self.make_aggregate()))
        expect_refused(repository.retrieve(missing.aggregate_id), AggregateNotFoundError, missing)

    def test_retrieve_tells_aggregates_apart(self) -> None:
        """Each id gives its own aggregate, whose id keeps its class."""
        repository, aggregates = self.make_repository(), [self.make_aggregate() for _ in range(3)]
        for aggregate in aggregates:
            value_of(repository.save(aggregate))
        for aggregate in aggregates:
            found = value_of(repository.retrieve(aggregate.aggregate_id))
            expect_same(aggregate, found)
            assert type(aggregate.aggregate_id) is type(found.aggregate_id), "the id came back as another class"

    def test_update_stores_the_change(self) -> None:
        """Update returns the stored aggregate: changed, its version raised by one; also repeatedly."""
        repository, stored = self.make_repository(), self.make_aggregate()
        value_of(repository.save(stored))
        for _ in range(3):
            changed = self.change(stored)
            updated = value_of(repository.update(changed))
            expect_same(attrs.evolve(changed, aggregate_version=stored.aggregate_version + 1), updated)
            stored = value_of(repository.retrieve(changed.aggregate_id))
            expect_same(updated, stored)

    def test_update_changes_one_aggregate(self) -> None:
        """Update doesn't change other aggregates."""
        repository, one, other = self.make_repository(), self.make_aggregate(), self.make_aggregate()
        value_of(repository.save(one))
        value_of(repository.save(other))
        value_of(repository.update(self.change(one)))
        expect_same(other, value_of(repository.retrieve(other.aggregate_id)))

    def test_update_of_a_missing_id(self) -> None:
        """Update of an unknown aggregate is AggregateNotFoundError, and stores nothing."""
        repository, missing = self.make_repository(), self.make_aggregate()
        expect_refused(repository.update(missing), AggregateNotFoundError, missing)
        expect_refused(repository.retrieve(missing.aggregate_id), AggregateNotFoundError, missing)

    def test_update_refuses_a_stale_aggregate(self) -> None:
        """Of two changes to one version the second is AggregateVersionConflictError, and changes nothing."""
        repository, read = self.make_repository(), self.make_aggregate()
        value_of(repository.save(read))
        first = value_of(repository.update(self.change(read)))
        expect_refused(repository.update(read), AggregateVersionConflictError, read)
        expect_same(first, value_of(repository.retrieve(read.aggregate_id)))

    def test_update_refuses_a_version_that_was_never_stored(self) -> None:
        """A version above the stored one is AggregateVersionConflictError too, and changes nothing."""
        repository, aggregate = self.make_repository(), self.make_aggregate()
        value_of(repository.save(aggregate))
        ahead = attrs.evolve(self.change(aggregate), aggregate_version=aggregate.aggregate_version + 1)
        expect_refused(repository.update(ahead), AggregateVersionConflictError, aggregate)
        expect_same(aggregate, value_of(repository.retrieve(aggregate.aggregate_id)))

    def test_remove_takes_the_aggregate_away(self) -> None:
        """Remove removes one aggregate: it can't be retrieved, updated or removed again, and the others stay."""
        repository, gone, other = self.make_repository(), self.make_aggregate(), self.make_aggregate()
        value_of(repository.save(gone))
        value_of(repository.save(other))
        assert value_of(repository.remove(gone.aggregate_id)) is None, "remove returns Success(None)"
        expect_refused(repository.retrieve(gone.aggregate_id), AggregateNotFoundError, gone)
        expect_refused(repository.update(gone), AggregateNotFoundError, gone)
        expect_refused(repository.remove(gone.aggregate_id), AggregateNotFoundError, gone)
        expect_same_all([other], value_of(repository.retrieve_all()))

    def test_remove_of_a_missing_id(self) -> None:
        """Remove of an unknown id is AggregateNotFoundError."""
        missing = self.make_aggregate()
        expect_refused(self.make_repository().remove(missing.aggregate_id), AggregateNotFoundError, missing)

    def test_save_after_remove(self) -> None:
        """An id that was removed can be saved again."""
        repository, aggregate = self.make_repository(), self.make_aggregate()
        value_of(repository.save(aggregate))
        value_of(repository.remove(aggregate.aggregate_id))
        value_of(repository.save(self.change(aggregate)))
        expect_same(self.change(aggregate), value_of(repository.retrieve(aggregate.aggregate_id)))

    def test_retrieve_all_of_an_empty_repository(self) -> None:
        """Retrieve all of an empty repository gives an empty tuple."""
        found = value_of(self.make_repository().retrieve_all())
        assert found == (), f"expected an empty tuple, got {found!r}"

    def test_retrieve_all_keeps_the_order(self) -> None:
        """Retrieve all gives every aggregate in the order of saving: an update keeps its place, a saved one is last."""
        repository, aggregates = self.make_repository(), [self.make_aggregate() for _ in range(_MANY)]
        for aggregate in aggregates:
            value_of(repository.save(aggregate))
        expect_same_all(aggregates, value_of(repository.retrieve_all()))
        first, second, *others = aggregates
        updated = value_of(repository.update(self.change(second)))
        value_of(repository.remove(first.aggregate_id))
        value_of(repository.save(first))
        expect_same_all([updated, *others, first], value_of(repository.retrieve_all()))

    def test_recorded_events_are_not_stored(self) -> None:
        """A retrieved aggregate has no recorded events, whether it was saved or updated."""
        repository, aggregate = self.make_repository(), self.make_aggregate()
        value_of(repository.save(aggregate))
        found = [value_of(repository.retrieve(aggregate.aggregate_id)), *value_of(repository.retrieve_all())]
        value_of(repository.update(self.change(aggregate)))
        found += [value_of(repository.retrieve(aggregate.aggregate_id)), *value_of(repository.retrieve_all())]
        for one in found:
            assert one.domain_events == (), f"recorded events were stored: {one.domain_events!r}"

    def test_aggregates_are_values(self) -> None:
        """The repository doesn't change aggregates that it was given or has returned."""
        repository, given = self.make_repository(), self.make_aggregate()
        events, version = given.domain_events, given.aggregate_version
        value_of(repository.save(given))
        read = value_of(repository.retrieve(given.aggregate_id))
        changed = self.change(read)
        value_of(repository.update(changed))
        value_of(repository.remove(given.aggregate_id))
        assert [version] * 3 == [one.aggregate_version for one in (given, read, changed)], (
            "a version was changed in place"
        )
        assert events == given.domain_events, "recorded events were removed from the given aggregate"
        assert given == read, "an aggregate was changed in place"

    def test_repositories_are_independent(self) -> None:
        """Aggregates of one repository aren't in another."""
        one, other, aggregate = self.make_repository(), self.make_repository(), self.make_aggregate()
        value_of(one.save(aggregate))
        expect_refused(other.retrieve(aggregate.aggregate_id), AggregateNotFoundError, aggregate)
        assert value_of(other.retrieve_all()) == (), "two repositories share what they store"


class CrudRepositoryContract(AggregateRepositoryContract[SampleTask, SampleTaskId]):
    """Contract of a CrudRepository that stores any aggregate; the tests use SampleTasks.

    >>> from domainkit import CrudRepository, InmemoryCrudRepository
    >>> class TestInmemoryCrudRepository(CrudRepositoryContract):
    ...     def make_repository(self) -> CrudRepository[SampleTask, SampleTaskId]:
    ...         return InmemoryCrudRepository()
    >>> TestInmemoryCrudRepository().test_update_refuses_a_stale_aggregate()
    """

    def make_aggregate(self) -> SampleTask:
        """Return a new task."""
        return SampleTask.create("Buy milk")

    def change(self, aggregate: SampleTask) -> SampleTask:
        """Return the task with one more step, and with `done` toggled."""
        return attrs.evolve(aggregate, done=not aggregate.done, steps=(*aggregate.steps, SampleTitle("Pay")))
