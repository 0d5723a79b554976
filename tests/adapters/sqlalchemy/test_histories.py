"""Random histories: a SQL repository answers as one in memory does, ends with the same, and tells the same events."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import count

import attrs
from databases import METADATA, OUTBOX, TASKS, Database, stored_messages
from returns.result import Failure, Result, Success
from sizes import FULL
from sqlalchemy import Engine, delete

from domainkit import CrudRepository, DomainError, InmemoryCrudRepository, Message
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork
from domainkit.testing import SampleTask, SampleTaskCreated, SampleTaskId

Repository = CrudRepository[SampleTask, SampleTaskId]
Outcome = Result[object, DomainError]
Step = Callable[[Repository], Outcome]

HISTORIES = 200 if FULL else 50
STEPS = 25


class Stopped(DomainError): ...


class History:
    """The steps of one random history: the same for each repository that it is played on."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = count()
        self._known = [self._new() for _ in range(4)]
        self._versions = [task.aggregate_version for task in self._known]
        self.units = [self._unit() for _ in range(STEPS)]

    def _new(self) -> SampleTask:
        return SampleTask.create(f"Task {next(self._numbers)}").clear_domain_events()

    def _unit(self) -> tuple[list[Step], bool]:
        """Return some steps that belong together, and whether they end with a Failure."""
        several = self._random.random() < 0.3
        return [self._step() for _ in range(self._random.randint(2, 4) if several else 1)], self._random.random() < 0.3

    def _step(self) -> Step:
        place = self._random.randrange(len(self._known))
        task = self._known[place]
        version = max(1, self._versions[place] + self._random.choice([0, 0, 0, 0, -1, 1]))
        event = SampleTaskCreated(task.aggregate_id)
        changed = attrs.evolve(task, aggregate_version=version, done=self._random.random() < 0.5).record(event)
        kind = self._random.choice(["save", "save", "update", "update", "update", "remove", "retrieve", "all"])
        if kind == "update":
            self._versions[place] += 1
        steps: dict[str, Step] = {
            "save": lambda tasks: tasks.save(changed),
            "update": lambda tasks: tasks.update(changed),
            "remove": lambda tasks: tasks.remove(task.aggregate_id),
            "retrieve": lambda tasks: tasks.retrieve(task.aggregate_id),
            "all": lambda tasks: tasks.retrieve_all(),
        }
        return steps[kind]


class InMemory:
    """Plays histories on a dict; a unit of work works on a copy, which takes its place where all succeeds."""

    def __init__(self) -> None:
        self.tasks = InmemoryCrudRepository[SampleTask, SampleTaskId](repository_name="tasks")
        self.events: list[Message] = []

    def play(self, steps: list[Step], *, fails: bool) -> list[Outcome]:
        """Return what each step answered."""
        before = dict(self.tasks._stored)
        outcomes = [step(self.tasks) for step in steps]
        if len(steps) > 1 and (fails or any(isinstance(outcome, Failure) for outcome in outcomes)):
            self.tasks._stored = before
        else:
            tasks = (outcome.unwrap() for outcome in outcomes if isinstance(outcome, Success))
            self.events += [event for task in tasks if isinstance(task, SampleTask) for event in task.domain_events]
        return outcomes


class InSql:
    """Plays histories on a database."""

    def __init__(self, engine: Engine) -> None:
        self._unit_of_work = UnitOfWork(engine, outbox=OUTBOX)
        self.tasks = SqlCrudRepository[SampleTask, SampleTaskId](
            SampleTask, TASKS, self._unit_of_work, repository_name="tasks"
        )
        with engine.begin() as connection:
            connection.execute(delete(TASKS))
            connection.execute(delete(OUTBOX.table))

    def play(self, steps: list[Step], *, fails: bool) -> list[Outcome]:
        """Return what each step answered."""
        if len(steps) == 1:
            return [steps[0](self.tasks)]
        outcomes: list[Outcome] = []

        def work() -> Result[None, Stopped]:
            outcomes.extend(step(self.tasks) for step in steps)
            failed = fails or any(isinstance(outcome, Failure) for outcome in outcomes)
            return Failure(Stopped()) if failed else Success(None)

        self._unit_of_work.atomic(work)()
        return outcomes


def comparable(outcome: Outcome) -> object:
    """Return what counts: the value, or the error's class, id and text but for the table, which memory hasn't."""
    if not isinstance(outcome, Failure):
        return outcome.unwrap()
    error = outcome.failure()
    return type(error), error.detail().replace(" (table: tasks)", "")


def test_histories_go_as_in_memory(database: Database) -> None:
    """Random histories, with stale versions and units of work that fail: no difference, no event more or less."""
    kinds: Counter[str] = Counter()
    with database.engine(METADATA) as engine:
        for seed in range(HISTORIES):
            memory, sql, history = InMemory(), InSql(engine), History(seed)
            for number, (steps, fails) in enumerate(history.units):
                expected, found = (player.play(steps, fails=fails) for player in (memory, sql))
                assert [*map(comparable, expected)] == [*map(comparable, found)], f"history {seed}, unit {number}"
                kinds.update(type(outcome).__name__ for outcome in found)
            assert memory.tasks.retrieve_all() == sql.tasks.retrieve_all(), f"history {seed}"
            assert memory.events == stored_messages(engine), f"history {seed}"
    assert min(kinds["Success"], kinds["Failure"]) > HISTORIES
