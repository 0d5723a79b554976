"""The lending service of the documentation, run as it runs in production: processes and servers, all of them real."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from textwrap import indent
from typing import Any
from uuid import uuid4

import pytest
from brokers import RABBITMQ_URL, answers
from returns.result import Success
from servers import ENVIRONMENT, ROOT, running, said, serving

for needed in ("fastapi", "httpx", "uvicorn", "aiosqlite", "alembic", "aio_pika"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: the lending service needs it")

import httpx  # noqa: E402  # after it is known to be there
from databases import KINDS, new_database  # noqa: E402  # as above
from rabbits import Board, until  # noqa: E402  # as above
from sqlalchemy import make_url  # noqa: E402  # as above

from docs.examples.lending.domain import (  # noqa: E402  # as above
    Copy,
    CopyId,
    CopyReturned,
    Email,
    Member,
    MemberId,
    Name,
    Title,
)
from docs.examples.lending.repositories import SqlCopies  # noqa: E402  # as above
from docs.examples.lending.use_cases import HoldForNext, Return  # noqa: E402  # as above
from docs.examples.lending.wiring import LIBRARY, unit_of_work_of  # noqa: E402  # as above
from domainkit import AsyncInmemoryCrudRepository, InmemoryOutbox  # noqa: E402  # as above
from domainkit.adapters.rabbitmq import dead_letter_queue  # noqa: E402  # as above
from domainkit.adapters.sqlalchemy import make_async_engine  # noqa: E402  # as above
from domainkit.cli import main  # noqa: E402  # as above
from domainkit.testing import given  # noqa: E402  # as above

LENDING = "docs.examples.lending"
FOLDER = ROOT / "docs" / "examples" / "lending"


def run(*arguments: str, **environment: str) -> str:
    """Run a module to its end, and return what it wrote."""
    command = [sys.executable, "-m", *arguments]
    ran = subprocess.run(
        command, cwd=ROOT, env={**ENVIRONMENT, **environment}, capture_output=True, check=False, encoding="utf-8"
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    return ran.stdout


def relay(*options: str, **environment: str) -> str:
    """Run the command in this process, and return what it printed."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert 0 == main(["relay", *options])
    return printed.getvalue()


alembic = partial(run, "alembic", "-c", str(FOLDER / "alembic.ini"))


@pytest.fixture(scope="module", params=KINDS)
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the environment with a database of each kind, whose tables Alembic has made in an empty database."""
    with new_database(request.param, tmp_path_factory.mktemp("database")) as made:
        found = {"DOMAINKIT_DATABASE_URL": made.url.render_as_string(hide_password=False)}
        alembic("upgrade", "head", **found)
        yield found


@pytest.fixture(scope="module")
def address(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the API."""
    with serving(tmp_path_factory.mktemp("api") / "log", LENDING, **environment) as found:
        yield found


@pytest.fixture
async def client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the API."""
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as asking:
        yield asking


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    """Give names of the test's own on the broker; skip where there is none."""
    url = make_url(RABBITMQ_URL)
    if not answers(url.host or "127.0.0.1", url.port or 5672):
        pytest.skip("no RabbitMQ answers at RABBITMQ_URL")
    async with Board() as made:
        yield made


async def asked(client: httpx.AsyncClient, method: str, path: str, status: int = 200, **body: object) -> Any:
    """Return the answer to a request; fail where it has another status."""
    answer = await client.request(method, path, json=body or None)
    assert status == answer.status_code, answer.text
    return answer.json()


async def new_member(client: httpx.AsyncClient, name: str) -> str:
    """Make somebody a member, and return the id."""
    member_id = str(uuid4())
    email = f"{name}.{member_id}@example.org"
    await asked(client, "POST", "/members", 201, member_id=member_id, name=name, email=email)
    return member_id


async def new_copy(client: httpx.AsyncClient, title: str = "Emma") -> str:
    """Put a copy on the shelf, and return the path of it."""
    copy_id = str(uuid4())
    await asked(client, "POST", "/copies", 201, copy_id=copy_id, title=title)
    return f"/copies/{copy_id}"


@pytest.fixture
def consumed(board: Board, environment: Mapping[str, str], tmp_path: Path) -> Iterator[Path]:
    """Run the consumer and the relay, and return the log of the consumer; all that was meant is sent in the end."""
    exchange, log = board.topology.exchange, tmp_path / "consumer"
    queues = f"{exchange}.lending.policy", f"{exchange}.lending.letters", f"{exchange}.command.hold_for_next"
    board.queues.update(queues)
    named = {**environment, "DOMAINKIT_BROKER_URL": board.url, "DOMAINKIT_EXCHANGE": exchange}
    with ExitStack() as parts:
        consuming = running(log, "domainkit", "consume", f"{LENDING}.consumer:consumer", **named)
        said(log, "consuming .*letters", parts.enter_context(consuming))
        parts.enter_context(running(tmp_path / "relay", "domainkit", "relay", **named))
        yield log
    relay("--once", **named)
    status = json.loads(relay("--status", "--json", **named))
    assert (0, 0) == (status["waiting"], status["parked"])


async def test_what_comes_back_is_held_for_the_next(client: httpx.AsyncClient, consumed: Path) -> None:
    """The policy: the event goes to RabbitMQ, the command comes back from there, and a letter is written."""
    ada, bob, eve = [await new_member(client, name) for name in ("Ada", "Bob", "Eve")]
    copy = await new_copy(client, "Persuasion")
    await asked(client, "PUT", f"{copy}/loan", member_id=ada)
    await asked(client, "POST", f"{copy}/reservations", member_id=bob)
    assert [bob] == (await asked(client, "POST", f"{copy}/reservations", member_id=eve))["reserved_by"][:1]
    await asked(client, "DELETE", f"{copy}/loan")

    async def is_held() -> bool:
        return bool((await asked(client, "GET", copy))["held_for"])

    async def is_written() -> bool:
        log = await asyncio.to_thread(consumed.read_text, "utf-8")
        return f"Persuasion waits for you | {{'to': 'Bob.{bob}@example.org'}}" in log

    await until(is_held)
    await until(is_written)
    held = await asked(client, "GET", copy)
    assert (None, bob, [eve]) == (held["lent_to"], held["held_for"], held["reserved_by"])
    await asked(client, "PUT", f"{copy}/loan", 409, member_id=eve)
    assert bob == (await asked(client, "PUT", f"{copy}/loan", member_id=bob))["lent_to"]


async def test_a_command_that_the_check_refuses_has_no_effect(
    client: httpx.AsyncClient, board: Board, consumed: Path, environment: Mapping[str, str]
) -> None:
    """A command of another library, or of no tenant, is a dead letter; the same command of this library is done."""
    assert await asyncio.to_thread(consumed.exists)
    bob = await new_member(client, "Bob")
    copy = Copy(Title("Emma"), reserved_by=(MemberId.from_str(bob),))
    await stored(copy, environment["DOMAINKIT_DATABASE_URL"])
    command, queue = HoldForNext(copy.aggregate_id), f"{board.topology.exchange}.command.hold_for_next"
    board.waits.update({1_000, 2_000})
    strange = command, HoldForNext(copy.aggregate_id).add_meta({"library": "elsewhere"})

    for one in strange:
        await board.send(one.json().encode(), "1.command.hold_for_next")
    dead = [json.loads(letter.body)["data"]["id"] for letter in await board.taken(dead_letter_queue(queue), 2)]
    assert {str(one.header.id) for one in strange} == set(dead)
    found = await asked(client, "GET", f"/copies/{copy.aggregate_id}")
    assert (None, [bob]) == (found["held_for"], found["reserved_by"])

    await board.send(command.add_meta({"library": LIBRARY}).json().encode(), "1.command.hold_for_next")

    async def is_held() -> bool:
        return bool((await asked(client, "GET", f"/copies/{copy.aggregate_id}"))["held_for"] == bob)

    await until(is_held)


async def stored(copy: Copy, url: str) -> None:
    """Store a copy without events."""
    engine = make_async_engine(url)
    assert isinstance(await SqlCopies(unit_of_work_of(engine)).save(copy), Success)
    await engine.dispose()


async def test_the_list_is_read_page_by_page(client: httpx.AsyncClient) -> None:
    """The pages have all copies by title, each once, those of one title too; after the last there is none."""
    for title in ("Middlemarch", "Emma", "Villette", "Emma", "Emma"):
        await new_copy(client, title)
    page = await asked(client, "GET", "/copies?limit=2")
    listed: list[dict[str, Any]] = page["copies"]
    while page["after"]:
        assert 2 == len(page["copies"])
        page = await asked(client, "GET", f"/copies?limit=2&after={page['after']}")
        listed += page["copies"]

    assert sorted(listed, key=lambda copy: (copy["title"], copy["copy_id"])) == listed
    assert len(listed) == len({copy["copy_id"] for copy in listed}) >= 5
    await asked(client, "GET", f"/copies?after={uuid4()}", 404)
    await asked(client, "GET", "/copies?limit=0", 422)


async def test_what_the_domain_refuses(client: httpx.AsyncClient) -> None:
    """Each error has its status, and a refused loan changes neither the copy nor the member."""
    ada, bob = await new_member(client, "Ada"), await new_member(client, "Bob")
    first, *others = [await new_copy(client) for _ in range(4)]
    await asked(client, "POST", "/members", 422, member_id=ada, name="Ada", email="\0@example.org")
    await asked(client, "POST", f"{first}/reservations", 409, member_id=ada)
    await asked(client, "DELETE", f"{first}/loan", 409)
    for copy in others:
        await asked(client, "PUT", f"{copy}/loan", member_id=ada)
    await asked(client, "POST", f"{others[0]}/reservations", 409, member_id=ada)
    too_many = await asked(client, "PUT", f"{first}/loan", 409, member_id=ada)
    taken = await asked(client, "PUT", f"{others[0]}/loan", 409, member_id=bob)
    missing = await asked(client, "PUT", f"{first}/loan", 404, member_id=str(uuid4()))

    assert 3 == len({one.get("detail") for one in (too_many, taken, missing)})
    assert None is (await asked(client, "GET", first))["lent_to"]
    assert [3, 0] == [(await asked(client, "GET", f"/members/{one}"))["loans"] for one in (ada, bob)]


async def test_two_at_the_same_time(client: httpx.AsyncClient) -> None:
    """Of two who join with one email one is a member, and of two who want one copy one gets it."""
    email = f"{uuid4()}@example.org"
    bodies = [{"member_id": str(uuid4()), "name": "Ada", "email": email} for _ in range(2)]
    joined = await asyncio.gather(*[client.post("/members", json=body) for body in bodies])
    assert [201, 409] == sorted(answer.status_code for answer in joined)

    copy, members = await new_copy(client), [await new_member(client, name) for name in ("Bob", "Eve")]
    lent = await asyncio.gather(*[client.put(f"{copy}/loan", json={"member_id": member}) for member in members])
    assert [200, 409] == sorted(answer.status_code for answer in lent)
    assert [0, 1] == sorted([(await asked(client, "GET", f"/members/{one}"))["loans"] for one in members])


def test_the_migrations_make_the_tables_of_the_code(environment: Mapping[str, str]) -> None:
    """Alembic has nothing to add to them."""
    alembic("check", **environment)


def test_a_copy_that_is_out_again_is_not_held() -> None:
    """The command of the policy may come late: what somebody has borrowed meanwhile waits for nobody."""
    ada, bob, eve = MemberId.v4(), MemberId.v4(), MemberId.v4()
    back, _ = Copy(Title("Emma"), lent_to=ada).reserve_for(bob).unwrap().give_back().unwrap()
    again = back.lend_to(eve).unwrap()

    assert bob == back.hold_for_next().held_for
    assert again == again.hold_for_next()


async def test_a_return_changes_both_and_is_told() -> None:
    """A use case is tested in memory: what it stores, and the events that go into its outbox."""
    ada = Member(Name("Ada"), Email("ada@example.org"), loans=2)
    copy = Copy(Title("Emma"), lent_to=ada.aggregate_id)
    outbox = InmemoryOutbox()
    members = AsyncInmemoryCrudRepository[Member, MemberId]()
    copies = AsyncInmemoryCrudRepository[Copy, CopyId](outbox=outbox)
    await members.save(ada)
    await copies.save(copy)

    then = await given(Return(copies, members), bus=outbox).when_async(lambda give_back: give_back(copy.aggregate_id))

    then.then_events(CopyReturned(copy.aggregate_id, ada.aggregate_id))
    assert 1 == (await members.retrieve(ada.aggregate_id)).unwrap().loans


def test_no_use_case_unwraps_a_result() -> None:
    """A Failure ends a use case by `do`, or is a step's that the pipeline ends with."""
    sources = list(FOLDER.rglob("*.py"))
    assert sources
    assert [] == [source.name for source in sources if "unwrap(" in source.read_text("utf-8")]


def test_the_readme_shows_the_code_as_it_is() -> None:
    """The page's quotes are in the sources, and it names each of them."""
    readme = (FOLDER / "README.md").read_text("utf-8")
    quoted = re.findall(r"^```py\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    code = (FOLDER / "use_cases.py").read_text("utf-8")
    assert [True] == [indent(block, "    ") in code for block in quoted]
    assert [] == [source.name for source in FOLDER.glob("[!_]*.py") if f"`{source.name}`" not in readme]
