"""The Task Manager of the documentation, run as its reader runs it: in a process of its own."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from brokers import RABBITMQ_URL, answers
from forks import ran, uncovered

for needed in ("sqlalchemy", "aiosqlite"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: the example needs the extra sql")

from databases import new_database  # noqa: E402  # after it is known to be there
from sqlalchemy import make_url  # noqa: E402  # as above

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "task_manager"

COMMAND = {
    "data": {
        "id": "24422850-abc3-4525-9567-e2fd4bd0adcb",
        "type": "create.task",
        "type_message": "command",
        "version": 1,
        "occurred_on": "2026-03-01 08:01:52.158659",
        "attributes": {"task_id": "62faa9fb-9a32-4aea-831b-dbeaa379f0f1", "title": "Buy milk"},
    }
}


def run(
    *arguments: str | Path, cwd: Path = ROOT, module: str = "docs.examples.task_manager", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in a terminal of 100 columns unless said otherwise."""
    environment = {**uncovered(), "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", **environment}
    return ran("-m", module, *map(str, arguments), cwd=cwd, env=environment)


def line(task: int = 0, **attributes: object) -> bytes:
    """Return a command with an id of its own, as JSON."""
    task_id = f"62faa9fb-9a32-4aea-831b-{task:012x}"
    data = {**COMMAND["data"], "attributes": {"task_id": task_id, "title": "Buy milk", **attributes}}
    return json.dumps({"data": data}, ensure_ascii=False).encode()


def section(output: str, title: str) -> list[str]:
    """Return the lines under a heading, the empty ones left out."""
    _, _, rest = output.partition(f"{title}: ")
    block = rest.split("\n\n")[1] if "\n\n" in rest else ""
    return block.splitlines()


def envelopes(output: str) -> Iterator[Mapping[str, object]]:
    """Return the envelopes that the output shows, read as JSON."""
    text = output.partition("Delivered envelopes: ")[2].partition("Reminders: ")[0].partition("\n")[2].strip()
    while text:
        envelope, end = json.JSONDecoder().raw_decode(text)
        yield envelope["data"]
        text = text[end:].strip()


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    """Return what `make demo` runs, once."""
    return run()


def test_demo_succeeds_and_says_of_what(demo: subprocess.CompletedProcess[str]) -> None:
    """The demo names its file, and ends with status 0 and nothing on stderr, though some lines are refused."""
    assert (0, "") == (demo.returncode, demo.stderr)
    assert "Task Manager: commands from docs/examples/task_manager/tasks.jsonl" == demo.stdout.splitlines()[0]
    assert "All went well: the refused lines are wrong on purpose." == demo.stdout.splitlines()[-1]


def test_demo_shows_the_stored_tasks(demo: subprocess.CompletedProcess[str]) -> None:
    """Each good line is a stored task: its day, its title and its labels, in the order of the file."""
    assert [
        "  2026-03-02  Buy milk  #home  #errands",
        "  2026-04-17  Book the train to Genève  #travel",
        "  some day    Call the dentist",
        "  2026-05-09  Write the talk  #work  #writing",
    ] == section(demo.stdout, "Stored tasks")


def test_demo_shows_an_envelope_for_each_stored_task(demo: subprocess.CompletedProcess[str]) -> None:
    """Each stored task has recorded an event; its envelope is JSON, and names the command that caused it."""
    lines = (EXAMPLE / "tasks.jsonl").read_text("utf-8").splitlines()
    commands = [json.loads(lines[index])["data"] for index in (0, 1, 5, 9)]
    published = list(envelopes(demo.stdout))

    assert [{"due": None, "labels": [], **command["attributes"]} for command in commands] == [
        event["attributes"] for event in published
    ]
    assert [{"correlation_id": command["id"], "causation_id": command["id"]} for command in commands] == [
        event["meta"] for event in published
    ]
    assert {("task.created", "domain_event", 1)} == {
        (event["type"], event["type_message"], event["version"]) for event in published
    }


def test_demo_shows_the_reminders(demo: subprocess.CompletedProcess[str]) -> None:
    """Each task with a day has one reminder, which the subscriber has stored: on the day before."""
    assert [
        "  2026-03-01  Buy milk",
        "  2026-04-16  Book the train to Genève",
        "  2026-05-08  Write the talk",
    ] == section(demo.stdout, "Reminders")


def test_demo_shows_an_outbox_without_rest(demo: subprocess.CompletedProcess[str]) -> None:
    """The relay has sent the event of each stored task, and a second round has nothing left to send."""
    assert "Relay: 4 sent in a first round, 0 in a second\nOutbox: 4 sent, 0 waiting, 0 parked\n" in demo.stdout


CHOSEN = re.compile(r"^DATABASE = .*$", re.MULTILINE)
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
ANEW = re.compile(r'"(id|occurred_on)": "[^"]*"')
"""The parts that differ in each run: the ids and times of events."""


@pytest.mark.parametrize("database", ["memory", "sqlite", "postgresql"])
def test_one_line_chooses_where_all_is_kept(
    demo: subprocess.CompletedProcess[str], database: str, tmp_path: Path
) -> None:
    """With the line of wiring.py that the tutorial shows for a database, the program says the same as with another."""
    shutil.copytree(EXAMPLE, tmp_path / "task_manager")
    wiring = tmp_path / "task_manager" / "wiring.py"
    shown = {"memory": "sqlite+aiosqlite://", "sqlite": "sqlite+aiosqlite:///{folder}/tasks.db"}
    with new_database("postgresql" if database == "postgresql" else "sqlite", tmp_path) as made:
        url = shown.get(database) or made.url.render_as_string(hide_password=False)
        text, count = CHOSEN.subn(lambda _: f'DATABASE = "{url}"', wiring.read_text("utf-8"))
        wiring.write_text(text, "utf-8")
        result = run(cwd=tmp_path, module="task_manager")

    assert (1, 0, "") == (count, result.returncode, result.stderr)
    assert ANEW.sub("", demo.stdout).splitlines()[1:] == ANEW.sub("", result.stdout).splitlines()[1:]
    assert f'DATABASE = "{shown.get(database, "postgresql+psycopg://")}' in TUTORIAL


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_stored_stays(kind: str, tmp_path: Path) -> None:
    """A second run with the same database finds the tasks of the first, and makes none of them again: that is well."""
    with new_database(kind, tmp_path) as database:
        url = database.async_url.render_as_string(hide_password=False)
        first, second = run("--database", url), run(TASK_MANAGER_DATABASE=url)

    assert (0, 0) == (first.returncode, second.returncode)
    assert section(first.stdout, "Stored tasks") == section(second.stdout, "Stored tasks")
    assert section(first.stdout, "Reminders") == section(second.stdout, "Reminders")
    assert "Relay: 0 sent in a first round" in second.stdout
    assert "  line 1   DuplicateTask (62faa9fb-9a32-4aea-831b-dbeaa379f0f1)" in section(second.stdout, "Refused lines")
    assert second.stdout.endswith("wrong on purpose, or their tasks were stored before.\n")


def test_an_event_that_comes_again_has_no_second_effect(tmp_path: Path) -> None:
    """All events are sent again, as after a relay that was killed: they are delivered again, and nothing follows."""
    file = tmp_path / "tasks.db"
    first = run("--database", f"sqlite+aiosqlite:///{file}")
    again = run(
        "relay", "--database", f"sqlite:///{file}", "--replay-since", "2000-01-01T00:00:00Z", module="domainkit"
    )
    second = run("--database", f"sqlite+aiosqlite:///{file}")

    assert ("4 messages to be sent again\n", "") == (again.stdout, again.stderr)
    assert "Relay: 4 sent in a first round" in second.stdout
    assert list(envelopes(first.stdout)) == list(envelopes(second.stdout))
    assert section(first.stdout, "Reminders") == section(second.stdout, "Reminders")


@pytest.fixture
async def exchange() -> AsyncIterator[str]:
    """Give the name of an exchange of the test's own, gone with its queues afterwards; skip where no broker is."""
    aio_pika = pytest.importorskip("aio_pika", reason="needs the extra rabbitmq")
    address = make_url(RABBITMQ_URL)
    if not answers(address.host or "127.0.0.1", address.port or 5672):
        pytest.skip("no RabbitMQ answers at RABBITMQ_URL")
    name = f"test-{uuid4().hex[:12]}"
    yield name
    async with await aio_pika.connect(RABBITMQ_URL) as connection:
        channel = await connection.channel()
        for queue in (f"{name}.reminders.reminder", f"{name}.reminders.reminder.dead_letters"):
            await channel.queue_delete(queue)
        for made in (name, f"{name}.dead_letters"):
            await channel.exchange_delete(made)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_over_a_broker(demo: subprocess.CompletedProcess[str], exchange: str, kind: str, tmp_path: Path) -> None:
    """Over RabbitMQ the program says the same, on both databases."""
    with new_database(kind, tmp_path) as database:
        url = database.async_url.render_as_string(hide_password=False)
        result = run("--database", url, "--broker", RABBITMQ_URL, "--exchange", exchange)

    assert (0, "") == (result.returncode, result.stderr)
    assert ANEW.sub("", demo.stdout) == ANEW.sub("", result.stdout)


@pytest.mark.parametrize(
    ("option", "url", "reason"),
    [
        ("--database", "postgresql+psycopg://ada:hunter2@127.0.0.1:9/none", "the database can't be used"),
        ("--database", "sqlite+aiosqlite:////no/such/folder/tasks.db", "the database can't be used"),
        ("--database", "hunter2", "the database can't be used"),
        ("--broker", "hunter2", "expected a URL like amqp://"),
    ],
)
def test_servers_that_cannot_be_used_are_named(option: str, url: str, reason: str) -> None:
    """A database or broker that can't be used is one line on stderr, without passwords, and status 2."""
    result = run(option, url)

    assert (2, "", 1) == (result.returncode, result.stdout, len(result.stderr.splitlines()))
    assert reason in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_event_sourced(demo: subprocess.CompletedProcess[str], kind: str, tmp_path: Path) -> None:
    """Over events the program says the same, on both databases; run again, it finds its tasks."""
    with new_database(kind, tmp_path) as database:
        url = database.async_url.render_as_string(hide_password=False)
        first, again = (run("--event-sourced", "--database", url) for _ in range(2))

    assert [(0, "")] * 2 == [(one.returncode, one.stderr) for one in (first, again)]
    assert ANEW.sub("", demo.stdout) == ANEW.sub("", first.stdout)
    assert section(first.stdout, "Stored tasks") == section(again.stdout, "Stored tasks")
    assert "  line 1   DuplicateTask (62faa9fb-9a32-4aea-831b-dbeaa379f0f1)" in section(again.stdout, "Refused lines")


def test_demo_shows_every_reason_with_its_line_and_path(demo: subprocess.CompletedProcess[str]) -> None:
    """Each bad line is refused with all its reasons, each with the path where it applies, below one another."""
    assert [
        "  line 3   $.data.attributes.title      expected Title (str) (missing)",
        "  line 4   $.data.attributes.title      expected a valid Title: it must be a line of text (value)",
        "           $.data.attributes.due        expected a date, such as 2021-12-28 (value)",
        "           $.data.attributes.labels[1]  expected a valid Label: it must be a line of text (value)",
        "  line 5   $.data.attributes.title      expected Title (str) (type)",
        "           $.data.attributes.labels     expected an array of Label (str) (type)",
        "  line 7   $                            expected JSON (RFC 8259) in UTF-8 (json)",
        "  line 8   $.data.attributes.task_id    expected TaskId (a UUID) (value)",
        "  line 9   $.data.version               expected int (type)",
        "           $.data.occurred_on           expected a UTC time, such as 2021-12-28 14:11:47.845618",
        "                                        (missing)",
        "  line 11  $.data                       expected a command create.task version 1 (unknown)",
        "  line 12  DuplicateTask (62faa9fb-9a32-4aea-831b-dbeaa379f0f1)",
        "  line 13  DueInThePast [{'due': '2026-02-28', 'given on': '2026-03-01'}]",
    ] == section(demo.stdout, "Refused lines")


def test_demo_fits_a_terminal_of_80_columns() -> None:
    """In a terminal of 80 columns no line is longer."""
    assert 80 >= max(map(len, run(COLUMNS="80").stdout.splitlines()))


@pytest.mark.parametrize("columns", ["1", "10000"])
def test_any_width_of_the_terminal_is_fine(columns: str) -> None:
    """A terminal of any width gets the same report, folded in another way."""
    result = run(COLUMNS=columns)

    assert 0 == result.returncode
    assert 4 == len(list(envelopes(result.stdout)))


def test_demo_fails_when_a_line_meets_another_fate_than_it_should(tmp_path: Path) -> None:
    """The demo's status is 1 when a good line of its own file is refused: 0 is no constant."""
    shutil.copytree(EXAMPLE, tmp_path / "task_manager")
    own = tmp_path / "task_manager" / "tasks.jsonl"
    own.write_bytes(own.read_bytes().replace(b"Call the dentist", b""))
    result = run(cwd=tmp_path, module="task_manager")

    assert 1 == result.returncode
    assert "Not all went well: there are lines that should not have been refused." == result.stdout.splitlines()[-1]


def test_a_file_of_good_lines_is_a_success(tmp_path: Path) -> None:
    """With a file whose lines all become tasks, the status is 0."""
    file = tmp_path / "good.jsonl"
    file.write_bytes(line(1) + b"\n" + line(2, title="Read", due="2026-03-01"))
    result = run(file)

    assert (0, "") == (result.returncode, result.stderr)
    assert f"Task Manager: commands from {file}" == result.stdout.splitlines()[0]
    assert ["  some day    Buy milk", "  2026-03-01  Read"] == section(result.stdout, "Stored tasks")
    assert result.stdout.endswith("Refused lines: 0\n\nAll went well.\n")


def test_a_file_with_a_bad_line_is_a_failure(tmp_path: Path) -> None:
    """With a file of one's own, a refused line makes the status 1; the other lines are handled all the same."""
    file = tmp_path / "mixed.jsonl"
    file.write_bytes(line(1) + b"\n{}\n" + line(1) + b"\n" + line(2) + b"\n")
    result = run(file)

    assert (1, "") == (result.returncode, result.stderr)
    assert 2 == len(section(result.stdout, "Stored tasks"))
    assert [
        "  line 2   $.data                       expected an object (missing)",
        "  line 3   DuplicateTask (62faa9fb-9a32-4aea-831b-000000000001)",
    ] == section(result.stdout, "Refused lines")


@pytest.mark.parametrize("content", [b"", b"\n \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_a_file_without_commands_is_a_success(tmp_path: Path, content: bytes) -> None:
    """A file that is empty, or blank, has nothing in it that could be refused."""
    file = tmp_path / "empty.jsonl"
    file.write_bytes(content)
    result = run(file)

    assert (0, "") == (result.returncode, result.stderr)
    assert "Stored tasks: 0" in result.stdout
    assert "Delivered envelopes: 0" in result.stdout
    assert "Refused lines: 0" in result.stdout


def test_line_ends_blank_lines_and_byte_order_marks_do_not_matter(tmp_path: Path) -> None:
    """Lines may end in CRLF, blank lines are skipped but counted, and a byte order mark may come first."""
    file = tmp_path / "windows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + line(1) + b"\r\n\r\n  " + line(2) + b"  \r\n" + b"oops\r\n")
    result = run(file)

    assert 2 == len(section(result.stdout, "Stored tasks"))
    assert ["  line 4   $                            expected JSON (RFC 8259) in UTF-8 (json)"] == section(
        result.stdout, "Refused lines"
    )


def test_hostile_lines_are_refused_one_by_one(tmp_path: Path) -> None:
    """Bytes that are no text, or no JSON, or too large or too deep, are refused with their reason; the rest goes on."""
    lines = {
        b"\xff\xfe\x00": "$ expected JSON (RFC 8259) in UTF-8 (json)",
        line(2).replace(b"milk", b"m\xe9lk"): "$ expected JSON (RFC 8259) in UTF-8 (json)",
        b'{"data":' * 100_000: "$ expected at most 64 levels of nesting (limit)",
        line(3, title="x" * 2_000_000): "$ expected strings of at most 1048576 bytes (limit)",
        line(4, labels=["home"] * 1_200_000): "$ expected at most 8388608 bytes (limit)",
        line(
            5, title="x" * 61
        ): "$.data.attributes.title expected a valid Title: Length of 'value' must be <= 60: 61 (value)",
        b"NaN": "$ expected JSON (RFC 8259) in UTF-8 (json)",
        b"\x00": "$ expected JSON (RFC 8259) in UTF-8 (json)",
        b"null": "$ expected an object (type)",
    }
    file = tmp_path / "hostile.jsonl"
    file.write_bytes(b"\n".join([*lines, line(6)]))
    result = run(file, COLUMNS="120")

    assert (1, "") == (result.returncode, result.stderr)
    assert [f"line {number} {reason}" for number, reason in enumerate(lines.values(), start=1)] == [
        " ".join(row.split()) for row in section(result.stdout, "Refused lines")
    ]
    assert ["  some day    Buy milk"] == section(result.stdout, "Stored tasks")


def test_refusals_never_show_the_value(tmp_path: Path) -> None:
    """The text of a refused field, or of the rest of a refused line, isn't printed."""
    secret = "hunter2-swordfish"
    file = tmp_path / "secrets.jsonl"
    bad = [
        line(1, title=secret * 10),
        line(2, due=secret),
        line(3, labels=[f"{secret}\x07"]),
        line(4, title={secret: secret}),
        line(5, title=secret)[:-3],
        line(6, task_id=secret),
        line(7, title=secret).replace(b"create.task", secret.encode()),
        line(8, title=secret).replace(b"2026-03-01 08", secret.encode()),
    ]
    file.write_bytes(b"\n".join(bad))
    result = run(file)

    assert f"Refused lines: {len(bad)}" in result.stdout
    assert "hunter2" not in result.stdout + result.stderr


def test_titles_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """A title with control characters is refused, so that no file moves the cursor of the one who reads the report."""
    file = tmp_path / "escape.jsonl"
    file.write_bytes(line(1, title="\x1b[2J") + b"\n" + line(2, title="two\nlines") + b"\n" + line(3, title="\u202e"))
    result = run(file)

    assert 3 == len(section(result.stdout, "Refused lines"))
    assert result.stdout.replace("\n", "").isprintable()


def test_a_terminal_without_unicode_gets_escapes() -> None:
    """If the terminal's encoding lacks a letter of a title, it is shown escaped."""
    result = run(PYTHONIOENCODING="ascii")

    assert (0, "") == (result.returncode, result.stderr)
    assert "Book the train to Gen\\xe8ve" in result.stdout


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A file that is missing, or is a directory, is one line on stderr, and status 2."""
    result = run(tmp_path / name)

    assert (2, "") == (result.returncode, result.stdout)
    assert f"task_manager: can't read {tmp_path / name}: " in result.stderr
    assert 1 == len(result.stderr.splitlines())


def test_help_says_what_the_exit_status_means() -> None:
    """`--help` names the argument and each exit status."""
    result = run("--help")

    assert 0 == result.returncode
    assert "task_manager [-h] [--database URL] [--broker URL] [--event-sourced] [--exchange NAME]" in result.stdout
    assert all(f"\n  {status}  " in result.stdout for status in (0, 1, 2))


def test_a_wrong_option_is_refused() -> None:
    """An option that doesn't exist is status 2, with the usage on stderr."""
    result = run("--loud")

    assert (2, "") == (result.returncode, result.stdout)
    assert result.stderr.startswith("usage: task_manager")
