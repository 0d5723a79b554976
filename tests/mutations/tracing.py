"""Bugs in the traces that follow a message."""

from mutations.bug import Bug

BUGS = (
    Bug(
        "a message carries the context",
        "adapters/opentelemetry.py",
        "    propagate.inject(carrier)\n",
        "",
        "tests/adapters/test_opentelemetry.py::test_a_message_carries_the_context",
    ),
    Bug(
        "a handler runs in the trace of its message",
        "adapters/opentelemetry.py",
        "carried = _carried(meta, here)",
        "carried = here",
        "tests/adapters/test_opentelemetry.py::test_a_handler_runs_in_the_trace_of_its_message",
    ),
    Bug(
        "a span is linked to that of its message",
        "adapters/opentelemetry.py",
        "links = [] if origin is active else [Link(origin.get_span_context())]",
        "links = []",
        "tests/adapters/test_opentelemetry.py::test_a_handler_runs_in_the_trace_of_its_message",
    ),
    Bug(
        "an active span stays the parent",
        "adapters/opentelemetry.py",
        "parent = trace.set_span_in_context(active, carried) if active.get_span_context().is_valid else carried",
        "parent = carried",
        "tests/adapters/test_opentelemetry.py::test_an_active_span_stays_the_parent",
    ),
    Bug(
        "a malformed context stops nothing",
        "adapters/opentelemetry.py",
        "{key: value for key, value in meta.items() if isinstance(value, str)}",
        "dict(meta)",
        "tests/adapters/test_opentelemetry.py::test_a_context_that_is_no_context_stops_nothing",
    ),
    Bug(
        "a propagator that fails stops nothing",
        "adapters/opentelemetry.py",
        "    except Exception as error:  # of a propagator",
        "    except ZeroDivisionError as error:  # of a propagator",
        "tests/adapters/test_opentelemetry.py::test_a_propagator_that_fails_stops_nothing",
    ),
    Bug(
        "a Failure is told without its text",
        "adapters/opentelemetry.py",
        "span.set_status(StatusCode.ERROR)",
        "span.set_status(StatusCode.ERROR, str(error))",
        "tests/adapters/test_opentelemetry.py::test_a_failure_is_told_by_its_class",
    ),
    Bug(
        "an exception is told without its text",
        "adapters/opentelemetry.py",
        ("        _failed(span, error)\n        raise\n"),
        ("        _failed(span, error)\n        span.record_exception(error)\n        raise\n"),
        "tests/adapters/test_opentelemetry.py::test_an_exception_is_told_by_its_class",
    ),
    Bug(
        "a Failure marks the span",
        "adapters/opentelemetry.py",
        ("    if isinstance(outcome, Failure):\n        _failed"),
        ("    if False:\n        _failed"),
        "tests/adapters/test_opentelemetry.py::test_a_failure_is_told_by_its_class",
    ),
    Bug(
        "a span has nothing of the payload",
        "adapters/opentelemetry.py",
        "attributes = known | _attributes(",
        "attributes = known | {'body': message.json()} | _attributes(",
        "tests/adapters/test_opentelemetry.py::test_the_attributes_of_a_handler",
    ),
    Bug(
        "spans are ended and left",
        "adapters/opentelemetry.py",
        ("        detach(token)\n        span.end()\n"),
        "        span.end()\n",
        "tests/adapters/test_opentelemetry.py::test_baggage_and_context_inside_of_the_handler",
    ),
    Bug(
        "a published body stays as it is",
        "adapters/opentelemetry.py",
        "await self._publisher.publish(message))",
        "await self._publisher.publish(__import__('attrs').evolve(message, body=message.body + b' ')))",
        "tests/adapters/test_opentelemetry.py::test_publishing_has_a_span",
    ),
    Bug(
        "a body that is no envelope is published",
        "adapters/opentelemetry.py",
        "    except (msgspec.MsgspecError, ValueError, RecursionError):",
        "    except ZeroDivisionError:",
        "tests/adapters/test_opentelemetry.py::test_a_body_that_is_no_envelope_is_published_too",
    ),
)
