"""The Task Manager's API, served by uvicorn in a process of its own, and asked over the loopback."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from servers import ENVIRONMENT, serving
from sizes import at_full

for needed in ("fastapi", "httpx", "schemathesis", "uvicorn", "aiosqlite"):
    pytest.importorskip(
        needed, reason=f"{needed} isn't installed: the example of the extra starlette is tested with it"
    )

import httpx  # noqa: E402  # after it is known to be there

PROBLEM_JSON = "application/problem+json"
CONFORMANCE = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
)
"""Left out: positive_data_acceptance, since JSON Schema has no words for the rule of a title, and
allow_header_conformance, since routers of Starlette answer 405 for one route of a path, and not for all."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server, which has no bug while it serves, and ends cleanly when it is asked to."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(log, "docs.examples.task_manager_api") as found:
        yield found


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """Return a client of the server."""
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as asking:
        yield asking


def new_task(**fields: object) -> dict[str, object]:
    """Return the body of a request for a new task."""
    return {"task_id": str(uuid4()), "title": "Buy milk", **fields}


def test_the_life_of_a_task(client: httpx.Client) -> None:
    """A task is created, found, listed, renamed and removed; what goes out is what came in, value objects unwrapped."""
    task = new_task(due="2999-12-31", labels=["home"])
    created = client.post("/tasks", json=task)
    assert (201, {**task, "version": 1}) == (created.status_code, created.json())
    found = client.get(f"/tasks/{task['task_id']}")
    assert created.json() == found.json()
    assert created.json() in client.get("/tasks").json()
    renamed = client.put(f"/tasks/{task['task_id']}/title", json={"title": "Buy bread", "version": 1})
    assert {**task, "title": "Buy bread", "version": 2} == renamed.json()
    removed = client.delete(f"/tasks/{task['task_id']}")
    assert (204, b"") == (removed.status_code, removed.content)
    assert 404 == client.get(f"/tasks/{task['task_id']}").status_code


@asynccontextmanager
async def in_process(file: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Yield a client of the API over a database, in this process; it starts and ends."""
    from docs.examples.task_manager_api.app import make_app  # noqa: PLC0415  # after its extras are known to be there

    app = make_app(f"sqlite+aiosqlite:///{file}")
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://tasks") as asking,
    ):
        yield asking


async def test_what_is_created_stays_and_its_event_waits_for_a_relay(tmp_path: Path) -> None:
    """In a database, the task outlives the program, and its event stands in the outbox beside it."""
    task, file = new_task(), tmp_path / "tasks.db"
    async with in_process(file) as asking:
        assert [201, 409] == [(await asking.post("/tasks", json=task)).status_code for _ in range(2)]
    async with in_process(file) as asking:
        assert 200 == (await asking.get(f"/tasks/{task['task_id']}")).status_code
    with closing(sqlite3.connect(file)) as connection:
        stored = connection.execute("SELECT name, ordering_key FROM outbox").fetchall()

    assert [("task.created", task["task_id"])] == stored


def problem(answer: httpx.Response, status: int) -> Any:
    """Return the problem document of an answer."""
    assert (status, PROBLEM_JSON, status) == (
        answer.status_code,
        answer.headers["content-type"],
        answer.json()["status"],
    )
    return answer.json()


def test_expected_failures(client: httpx.Client) -> None:
    """Each error that a use case declares has its status."""
    task = new_task()
    client.post("/tasks", json=task)
    problem(client.post("/tasks", json=task), 409)
    problem(client.get(f"/tasks/{uuid4()}"), 404)
    problem(client.delete(f"/tasks/{uuid4()}"), 404)
    stale = client.put(f"/tasks/{task['task_id']}/title", json={"title": "Buy bread", "version": 7})
    problem(stale, 409)
    assert "The day is over already" == problem(client.post("/tasks", json=new_task(due="1999-01-01")), 422)["detail"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"title": "hunter2" * 10}, "body.title"),
        ({"title": "hunter2\nhunter2"}, "body.title"),
        ({"task_id": "hunter2"}, "body.task_id"),
        ({"due": "hunter2"}, "body.due"),
        ({"labels": ["home", "hunter2" * 4]}, "body.labels[1]"),
    ],
)
def test_an_invalid_request(client: httpx.Client, fields: dict[str, object], path: str) -> None:
    """A problem is reported by its path, and the answer doesn't repeat the value."""
    answer = client.post("/tasks", json=new_task(**fields))
    assert [path] == [one["path"] for one in problem(answer, 422)["errors"]]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"title": "' + b"x" * 1_000_000 + b'"}'])
def test_a_body_that_is_no_task(client: httpx.Client, content: bytes) -> None:
    """Any bytes get a problem document."""
    answer = client.post("/tasks", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert len(problem(answer, answer.status_code)["title"]) < len(answer.text) < 2_000


def test_the_document_names_the_declared_errors(client: httpx.Client) -> None:
    """The OpenAPI document has each route's statuses, as problem documents, and the rules of the value objects."""
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/tasks"]["post"]["responses"]
    assert {"201", "400", "409", "422", "500"} == set(responses)
    assert "Conflict: There is a task with this id already." == responses["409"]["description"]
    assert [PROBLEM_JSON] == list(responses["409"]["content"])
    title = document["components"]["schemas"]["NewTask"]["properties"]["title"]
    assert ("string", 60) == (title["type"], title["maxLength"])


def test_every_answer_conforms_to_the_document(address: str, tmp_path: Path) -> None:
    """Schemathesis asks with right and wrong requests: there is no server error, and each answer is as documented."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{address}/openapi.json",
        f"--checks={','.join(CONFORMANCE)}",
        f"--max-examples={at_full(100)}",
        "--seed=1",
        "--suppress-health-check=filter_too_much",  # of the requests that it makes up: old versions throw many away
        "--generation-database=none",
        "--no-color",
    ]
    ran = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False, encoding="utf-8", timeout=1_200
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    tested = re.search(r"Tested: (\d+)", ran.stdout)
    assert "5" == (tested and tested[1])
