"""petisco 2.2.3 and this library on one exchange: each publishes, and each consumes what both have published.

Both have the same subscribers: some fail once, at random or always, some are stopped, killed and started again. Every
message is followed from what it was meant to say to its effects, or to the dead letters of those who can't handle it.
"""

import os
import random
import signal
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from brokers import rabbitmq_of_its_own
from interop.run import MESSAGES, PAUSE, PUBLISHERS, Plan, Record, judge, running

ROUNDS = 1 + MESSAGES // 500
SEED = int(os.environ.get("INTEROP_SEED", random.randrange(1_000_000)))


def test_each_message_is_handled_as_often_as_its_subscribers_need(
    url: str, tmp_path: Path, record_property: Record
) -> None:
    """A failing function is called again until it succeeds; after the last retry there is an unchanged dead letter."""
    with running(Plan("calm", MESSAGES), url, tmp_path) as run:
        judge(run, run.end(), record_property)
        assert {} == run.revived


def test_nothing_is_lost_while_all_are_stopped_and_killed(url: str, tmp_path: Path, record_property: Record) -> None:
    """Publishers, relay and consumers of both sides get SIGKILL and SIGTERM and go on: each message has one effect.

    A message may come again then. petisco's publisher waits for the broker's confirm; what its process was about to
    publish when it was killed is stored or not: it counts as placed if the broker had it.
    """
    chance = random.Random(SEED)
    with running(Plan("killed", MESSAGES, limit=5, pause=PAUSE, exact=False), url, tmp_path) as run:
        actions = [action for _ in range(ROUNDS) for action in shuffled_actions(chance, run.processes)]
        over = 0
        for place, (name, is_kill) in enumerate(actions, start=1):
            run.wait(partial(run.has_published, place / (len(actions) + 1)))
            process = run.processes[name]
            if process.exit_status is not None:
                over += 1
            elif is_kill:
                process.kill()
            else:  # one that has just begun ends by the signal itself
                assert process.restart(60) in {0, -signal.SIGTERM}, f"{name} did not stop well\n{process.output()}"
        assert over <= len(PUBLISHERS) * ROUNDS, "none but a publisher ends by itself"
        judge(run, run.end(), record_property)


def shuffled_actions(chance: random.Random, names: Iterable[str]) -> list[tuple[str, bool]]:
    """Return whom to kill, or to stop: each publisher once, and the others once each way."""
    actions = [(name, True) for name in names] + [(name, False) for name in names if name not in PUBLISHERS]
    return chance.sample(actions, len(actions))


def test_the_queues_of_petisco_are_taken_over(url: str, tmp_path: Path, record_property: Record) -> None:
    """A consumer of this library shares petisco's queues with petisco's own, and finishes them once that is gone."""
    plan = Plan("taken over", MESSAGES, limit=5, pause=PAUSE, taken_over=True, exact=False)
    with running(plan, url, tmp_path) as run:
        run.wait(partial(run.has_published, 0.5))
        run.dismiss("petisco consumer")
        judge(run, run.end(), record_property)


def test_the_store_of_petisco_and_a_broker_that_is_restarted(tmp_path: Path, record_property: Record) -> None:
    """The store of petisco gets all messages of both; a broker that is stopped and started again loses none.

    The consumer of petisco may end when its connection is lost: it is started again then, as a service manager does.
    """
    with (
        rabbitmq_of_its_own(tmp_path) as broker,
        running(
            Plan("restarted", MESSAGES, limit=5, pause=PAUSE, store=True, exact=False), broker.url, tmp_path
        ) as run,
    ):
        run.wait(partial(run.has_published, 0.5))
        broker.restart()
        judge(run, run.end(), record_property)
