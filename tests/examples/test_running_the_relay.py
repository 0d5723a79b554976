"""The files that run the relay, under systemd and in containers: their syntax, their commands, their times."""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path

import pytest
from forks import Forked

from domainkit.cli import relay
from domainkit.cli._arguments import BROKER, DATABASE

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "examples" / "relay"
PAGE = (ROOT / "docs" / "how-to" / "running-the-relay.md").read_text("utf-8")
UNIT = FILES / "domainkit-relay@.service"
LONGEST_STOP = 40.0
"""Seconds: two times the grace of a relay, a publisher's timeout, and some for the rest."""


def settings(file: Path) -> ConfigParser:
    """Return what stands in a unit file."""
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # the documented way to keep the case of keys
    parser.read_string(file.read_text("utf-8"))
    return parser


def environment() -> dict[str, str]:
    """Return the variables of relay.env."""
    lines = (FILES / "relay.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def in_the_unit() -> list[str]:
    """Return the command of the unit file."""
    return shlex.split(settings(UNIT)["Service"]["ExecStart"])


def in_the_dockerfile() -> list[str]:
    """Return the command of the Dockerfile."""
    (command,) = re.findall(r"^CMD (\[.*\])$", (FILES / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return [str(part) for part in json.loads(command)]


def in_the_deployment() -> list[str]:
    """Return the command of the Deployment."""
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed: it comes with the group extras")
    found = yaml.safe_load((FILES / "deployment.yaml").read_text("utf-8"))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return [str(part) for part in container["args"]]


def in_the_page() -> list[str]:
    """Return the command that the page has for an alarm, up to its pipe."""
    (line,) = re.findall(r"^\$ (python -m domainkit relay .*) \| python", PAGE, re.MULTILINE)
    return shlex.split(line)


@pytest.mark.parametrize("found", [in_the_unit, in_the_dockerfile, in_the_deployment, in_the_page])
def test_the_command_line_takes_it(found: Callable[[], list[str]]) -> None:
    """Each command runs `python -m domainkit relay` with arguments that it has."""
    python, dash_m, module, *arguments = found()
    parser = argparse.ArgumentParser()
    relay.add_to(parser.add_subparsers())

    assert ("python", "-m", "domainkit") == (Path(python).name, dash_m, module)
    assert parser.parse_args(arguments).run


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Systemd knows every setting of the unit file, and would start it."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert {"Unit", "Service", "Install"} == set(settings(UNIT).sections())
        return
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/task-manager/bin/python", sys.executable), "utf-8")
    verified = subprocess.run([program, "verify", str(unit)], capture_output=True, check=False, encoding="utf-8")

    said = (verified.stdout + verified.stderr).splitlines()

    assert 0 == verified.returncode
    assert [] == [line for line in said if "domainkit-relay" in line]  # there may be others, on the machine's own units


def test_the_unit_restarts_and_stops() -> None:
    """The unit starts the relay again always, stops it by SIGTERM, and reads the file with the passwords."""
    service = settings(UNIT)["Service"]

    assert ("always", "SIGTERM") == (service["Restart"], service["KillSignal"])
    assert "/etc/task-manager/relay.env" == service["EnvironmentFile"]
    assert "0" == settings(UNIT)["Unit"]["StartLimitIntervalSec"]


def test_no_stop_is_cut_short() -> None:
    """All give the relay longer to stop than it may take."""
    compose = (FILES / "compose.yaml").read_text("utf-8")
    deployment = (FILES / "deployment.yaml").read_text("utf-8")
    times = [
        settings(UNIT)["Service"]["TimeoutStopSec"],
        *re.findall(r"stop_grace_period: (\d+)s", compose),
        *re.findall(r"terminationGracePeriodSeconds: (\d+)", deployment),
        *re.findall(r"(\d+) seconds are enough", PAGE),
    ]

    assert 4 == len(times)
    assert LONGEST_STOP < min(map(float, times))


def test_the_variables_are_those_that_the_relay_reads() -> None:
    """The file relay.env has the database, the broker and the exchange, under the names that the command line knows."""
    assert [DATABASE, BROKER, relay.EXCHANGE] == list(environment())


@pytest.fixture
def outbox(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a relay with an empty outbox in SQLite, and a broker that it has nothing to say to."""
    for needed in ("sqlalchemy", "aio_pika"):
        pytest.importorskip(needed, reason=f"{needed} isn't installed: the relay needs the extras sql and rabbitmq")
    from sqlalchemy import MetaData  # noqa: PLC0415  # after it is known to be there

    from domainkit.adapters.sqlalchemy import make_engine, outbox_table  # noqa: PLC0415  # as above

    url, metadata = f"sqlite:///{tmp_path}/tasks.db", MetaData()
    outbox_table(metadata)
    engine = make_engine(url)
    metadata.create_all(engine)
    engine.dispose()
    places = {**environment(), DATABASE: url, BROKER: "amqp://guest:guest@127.0.0.1:9/"}
    return {**os.environ, **places, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_it_stops_when_it_is_asked_to(outbox: dict[str, str], tmp_path: Path) -> None:
    """The command of the unit runs with the environment alone, and ends with status 0 after SIGTERM."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        running = Forked(*in_the_unit()[1:], env=outbox, cwd=ROOT, stdout=file, stderr=file)
        try:
            while "relaying" not in log.read_text("utf-8") and running.poll() is None:
                time.sleep(0.05)
            running.send_signal(signal.SIGTERM)
            status = running.wait(LONGEST_STOP)
        finally:
            running.kill()
            running.wait()

    assert 0 == status, log.read_text("utf-8")
    assert "guest" not in log.read_text("utf-8")


@pytest.mark.parametrize(("stored", "expected"), [("", 0), ("datetime('now')", 0), ("datetime('now', '-1 hour')", 1)])
def test_the_alarm_is_raised_when_messages_wait(outbox: dict[str, str], stored: str, expected: int) -> None:
    """The command of the page ends with status 1 where a message has waited for long, and with 0 otherwise."""
    if stored:
        insert = "INSERT INTO outbox (message_id, name, version, kind, ordering_key, body, recorded_at) VALUES "
        with closing(sqlite3.connect(outbox[DATABASE].removeprefix("sqlite:///"))) as connection:
            connection.execute(f"{insert} ('{'0' * 32}', 'task.created', 1, 'domain_event', 'k', x'', {stored})")
            connection.commit()
    (line,) = re.findall(r"^\$ (python -m domainkit relay .*\| python.*)$", PAGE, re.MULTILINE)

    assert expected == subprocess.run(line, shell=True, env=outbox, cwd=ROOT, check=False).returncode
