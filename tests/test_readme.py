"""README.md, held to its word: its example runs, its facts hold, its links lead somewhere."""

import argparse
import json
import re
import shlex
import tomllib
from doctest import ELLIPSIS
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import petisco
import pydantic
import pytest
from attrs import frozen
from attrs.exceptions import FrozenInstanceError
from checkers import README, errors_of, examples
from sybil.document import Document
from sybil.parsers.myst import PythonCodeBlockParser

import domainkit
from domainkit.cli import relay
from domainkit.cli._arguments import BROKER

ROOT = Path(__file__).parents[1]
TEXT = README.read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def runs_here(block: str) -> bool:
    """Tell whether the extra that a block needs is installed."""
    return "sqlalchemy" not in block or find_spec("sqlalchemy") is not None


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Python block runs, in order, and shows what it says that it shows."""
    monkeypatch.chdir(tmp_path)  # for the database
    examples = list(Document.parse(str(README), PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)).examples())
    for example in takewhile(lambda one: runs_here(str(one.parsed)), examples):
        example.evaluate()

    assert len(blocks("python")) <= len(examples)
    assert [tmp_path / "tasks.db"] * (find_spec("sqlalchemy") is not None) == list(tmp_path.iterdir())


def test_example_has_thirty_lines() -> None:
    """The example has thirty lines at most, not counting the empty ones."""
    assert 30 >= sum(map(bool, blocks("python")[0].splitlines()))


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_refuse_the_wrong_lines_alone(checker: str) -> None:
    """The checkers refuse each of the lines that README.md calls wrong, and no other."""
    lines = TEXT.splitlines()
    module = next((module for module, page in examples().items() if page == README), None)
    if module is None:
        pytest.skip("sqlalchemy is not installed: the example has a part that needs the extra sql")
    wrong = [line for line in blocks("py")[0].splitlines() if "  # " in line]

    assert wrong == [lines[number - 1] for number in sorted(errors_of(checker).get(module, {}))]


class PetiscoTaskId(petisco.Uuid):
    """A typed id of petisco."""


class PetiscoUserId(petisco.Uuid):
    """Another one."""


class PetiscoCounted(petisco.DomainEvent):
    """An event of petisco."""

    task_id: PetiscoTaskId
    count: int


class TaskId(domainkit.Uuid):
    """A typed id."""


class UserId(domainkit.Uuid):
    """Another one."""


@frozen
class Counted(domainkit.DomainEvent):
    """The same event."""

    task_id: TaskId
    count: int

    class Config:
        """The same event, by petisco's name."""

        name = "petisco.counted"


PETISCO_ID = PetiscoTaskId("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
PETISCO = PetiscoCounted.model_validate({"task_id": PETISCO_ID, "count": 5})
OURS = Counted(TaskId.v4(), 5)


def refusal(envelope: object) -> str:
    """Return the one problem that Counted has with an envelope."""
    with pytest.raises(domainkit.InvalidMessage) as caught:
        Counted.from_json(json.dumps(envelope))
    (problem,) = caught.value.problems
    return str(problem)


def test_fact_both_read_the_json_of_the_other() -> None:
    """Each library reads the JSON that the other one writes."""
    assert 5 == Counted.from_json(PETISCO.format_json()).count
    assert str(OURS.header.id) == PetiscoCounted.from_format(OURS.json()).get_message_id()


def test_fact_a_message_without_an_id() -> None:
    """A message without an id gets a new one from petisco; domainkit refuses it, with the text in the table."""
    theirs, ours = json.loads(PETISCO.format_json()), json.loads(OURS.json())
    del theirs["data"]["id"], ours["data"]["id"]

    assert PETISCO.get_message_id() != PetiscoCounted.from_format(theirs).get_message_id()
    assert f"`{refusal(ours)}`" in TEXT


def test_fact_text_where_an_int_belongs() -> None:
    """Text that reads as an int is taken by petisco, and stays text; domainkit refuses it, as the table says."""
    theirs, ours = json.loads(PETISCO.format_json()), json.loads(OURS.json())
    theirs["data"]["attributes"]["count"] = ours["data"]["attributes"]["count"] = "5"

    assert "5" == vars(PetiscoCounted.from_format(theirs))["count"]
    assert f"`{refusal(ours)}`" in TEXT


def test_fact_typed_ids_after_decoding() -> None:
    """A typed id comes back from petisco as a plain str, and from domainkit as what it was."""
    assert str is type(vars(PetiscoCounted.from_format(PETISCO.format_json()))["task_id"])
    assert TaskId is type(Counted.from_json(OURS.json()).task_id)


def test_fact_ids_of_the_same_text() -> None:
    """Two ids of different classes with the same text are equal in petisco, and differ in domainkit."""
    text = str(TaskId.v4())
    theirs: tuple[object, object] = PetiscoTaskId(text), PetiscoUserId(text)
    ours: tuple[object, object] = TaskId.from_str(text), UserId.from_str(text)

    assert theirs[0] == theirs[1]
    assert ours[0] != ours[1]


def test_fact_changing_an_event() -> None:
    """An event of petisco can change after it was made; one of domainkit can't."""
    event = PetiscoCounted.model_validate({"task_id": PETISCO_ID, "count": 5})
    event.count = 6

    assert 6 == event.count
    with pytest.raises(FrozenInstanceError):
        OURS.count = 6  # type: ignore[misc]  # what is to be seen: the type checker refuses it too


def test_fact_add_meta() -> None:
    """The `add_meta` of petisco replaces the meta of the event; that of domainkit returns a copy that has both."""
    theirs = PetiscoCounted.model_validate({"task_id": PETISCO_ID, "count": 5})
    theirs.add_meta({"a": 1})
    theirs.add_meta({"b": 2})

    assert {"b": 2} == theirs.get_message_meta()
    assert {"a": 1, "b": 2} == dict(OURS.add_meta({"a": 1}).add_meta({"b": 2}).header.meta)
    assert {} == dict(OURS.header.meta)


def test_fact_pydantic_reads_text_as_an_int() -> None:
    """The text "5" is 5 for pydantic unless it is told to be strict."""
    adapter = pydantic.TypeAdapter(int)

    assert 5 == adapter.validate_json('"5"')
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_json('"5"', strict=True)


def test_install_commands_name_distribution_and_extras() -> None:
    """README.md and the tutorial install the project by its real name, with extras that it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pages = [TEXT, (ROOT / "docs" / "tutorial.md").read_text("utf-8")]
    found = [re.findall(r"^\$ pip install '?([\w-]+)(?:\[([\w,]+)\]')?", page, re.MULTILINE) for page in pages]
    extras = {extra for page in found for _, listed in page for extra in listed.split(",") if extra}
    (further,) = re.findall(r"^Further extras: (.*?)\.$", TEXT, re.MULTILINE)

    assert [[project["name"]] * 4, [project["name"]]] == [[name for name, _ in page] for page in found]
    assert set(project["optional-dependencies"]) == extras | set(re.findall(r"`(\w+)`", further))


def test_commands_of_the_relay_are_taken() -> None:
    """Each command of domainkit in README.md has arguments that the command line takes."""
    parser = argparse.ArgumentParser()
    relay.add_to(parser.add_subparsers())
    commands = re.findall(r"^\$ python -m domainkit (relay .*)$", TEXT, re.MULTILINE)

    assert 2 == len(commands)
    assert all(parser.parse_args(shlex.split(command)).run for command in commands)
    assert f"$ export {BROKER}=" in TEXT


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_lead_somewhere(page: str) -> None:
    """Each relative link of the pages in the root names a file that exists."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)

    assert [] == [link for link in links if not (ROOT / link).is_file()]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_exist(page: str) -> None:
    """Each `make` command that the pages in the root name is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    commands = set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE))

    assert commands
    assert set() == commands - targets
