"""The release: one version in every file, and workflows that may do no more than they must."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RELEASED = re.compile(r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = [
    *(path for path in (ROOT / ".github").rglob("*") if path.is_file()),
    ROOT / "SECURITY.md",
    ROOT / "CITATION.cff",
]


def test_every_file_has_the_same_version() -> None:
    """The newest release of CHANGELOG.md is that of pyproject.toml, and that of CITATION.cff with its day."""
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    cited = [re.findall(rf'^{key}: "?([^"\n]+)"?$', citation, re.MULTILINE) for key in ("version", "date-released")]
    newest, *_ = RELEASED.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))

    assert [[PROJECT["version"]], [newest[1]]] == cited
    assert PROJECT["version"] == newest[0]


def test_changes_to_come_have_a_place() -> None:
    """CHANGELOG.md begins with what is not released yet, and goes from the newest release to the oldest."""
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    days = [day for _, day in RELEASED.findall("\n".join(f"## {section}" for section in sections))]

    assert "[Unreleased]" == sections[0]
    assert len(sections[1:]) == len(days)
    assert sorted(days, reverse=True) == days


def test_it_is_cited_under_the_name_of_its_authors() -> None:
    """Whoever made it has one name, for package managers and for those who cite."""
    citation = (ROOT / "CITATION.cff").read_text("utf-8")

    assert [one["name"] for one in PROJECT["authors"]] == re.findall(r"^  - name: (.*)$", citation, re.MULTILINE)
    assert [PROJECT["license"]] == re.findall(r"^license: (.*)$", citation, re.MULTILINE)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_named_by_its_commit(path: Path) -> None:
    """A tag can be moved, a commit can't: each action is named by a commit, with the tag beside it for people."""
    used = re.findall(r"uses: (.*)$", path.read_text("utf-8"), re.MULTILINE)

    assert used
    assert [] == [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", one)]


def test_an_action_is_the_same_everywhere() -> None:
    """No two workflows use an action at different commits."""
    used = {one for path in WORKFLOWS for one in re.findall(r"uses: (.*)$", path.read_text("utf-8"), re.MULTILINE)}

    assert len({one.partition("@")[0] for one in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path: Path) -> None:
    """A workflow reads; only a job that publishes has an identity, and none keeps credentials beside the sources."""
    text = path.read_text("utf-8")
    writing = set(re.findall(r"^ +([a-z-]+): write", text, re.MULTILINE))
    checkouts = re.findall(r"uses: actions/checkout@.*\n +with:\n +persist-credentials: (\w+)", text)

    assert "\npermissions:\n  contents: read\n\n" in text
    assert {"docs.yml": {"pages", "id-token"}, "release.yml": {"id-token"}}.get(path.name, set()) == writing
    assert ["false"] * text.count("uses: actions/checkout@") == checkouts
    assert "secrets." not in text


def test_all_supported_versions_of_python_are_tested() -> None:
    """The matrix goes from the oldest Python that is supported up, and every one of it is among the classifiers."""
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8")
    (matrix,) = re.findall(r"^ +python: \[(.*)\]$", text, re.MULTILINE)
    tested = re.findall(r'"([\d.]+)"', matrix)
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))

    assert PROJECT["requires-python"] == f">={tested[0]}"
    assert tested == supported[: len(tested)]
    assert all(f"python{version}" in text for version in tested)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_address_is_made_up(path: Path) -> None:
    """The pages of the repository have no link out of it, and no mail address."""
    text = path.read_text("utf-8")

    assert [] == re.findall(r"https?://\S+|[\w.]+@[\w-]+\.\w+", text)
