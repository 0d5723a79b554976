"""Fixtures of these tests, and the table of their counts."""

import pytest

pytest.importorskip("aio_pika", reason="needs the extra rabbitmq")
pytest.importorskip("pika", reason="needs pika, as petisco does")
pytest.importorskip("sqlalchemy", reason="needs the extra sql")

from brokers import RABBITMQ_URL, answers
from interop.counts import table
from yarl import URL


@pytest.fixture(scope="session")
def url() -> str:
    """Give the URL of the broker; skip where none answers there, or petisco can't get to it."""
    address = URL(RABBITMQ_URL)
    if not answers(address.host or "127.0.0.1", address.port or 5672):
        pytest.skip("no RabbitMQ answers at RABBITMQ_URL")
    if address.scheme != "amqp" or address.path not in {"", "/", "//"}:
        pytest.skip("RABBITMQ_URL has TLS or a virtual host, and petisco knows neither")
    return RABBITMQ_URL


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one table of all counts, whichever process they come from."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    counts = [value for one in reports for name, value in one.user_properties if name == "interop"]
    if counts:
        terminalreporter.section("petisco 2.2.3 and domainkit on one exchange")
        for line in table(counts):
            terminalreporter.write_line(line)
