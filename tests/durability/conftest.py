"""Fixtures of these tests."""

import pytest

for library in ("sqlalchemy", "aio_pika"):
    pytest.importorskip(library, reason="it is of an extra: pip install 'domainkit-attrs[sql,rabbitmq]'")
