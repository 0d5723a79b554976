"""Domain errors as HTTP, without a framework."""

import json
import pickle
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from domainkit import (
    DEFAULT_HTTP_ERROR_MAP,
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregatesNotFoundError,
    AggregateVersionConflictError,
    AlreadyExists,
    BusCannotPublish,
    ClientAlreadyExists,
    ClientNotFound,
    CriticalError,
    DomainError,
    ErrorMap,
    HttpError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    NotAllowed,
    NotFound,
    Problem,
    UnknownError,
    UnknownMessage,
    UserAlreadyExists,
    UserNotFound,
    Uuid,
    ValueObject,
    fold,
    http_error_for,
    problem_details,
)

ID = Uuid.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
SECRET = "canary-hunter2"


class TaskNotFound(NotFound): ...


class HiddenTaskNotFound(TaskNotFound): ...


class NotAllowedToFind(NotAllowed, NotFound): ...


class Quota(DomainError): ...


@frozen
class SecretiveError(DomainError):
    password: str = SECRET


class Title(ValueObject[str]): ...


class TestDefaultMap:
    def test_exactly(self) -> None:
        """The map has petisco's statuses, and those of the errors that this library adds: exactly these."""
        expected = {
            DomainError: 500,
            NotFound: 404,
            AlreadyExists: 409,
            AggregateNotFoundError: 404,
            AggregatesNotFoundError: 404,
            AggregateAlreadyExistError: 409,
            ClientNotFound: 404,
            ClientAlreadyExists: 409,
            UserNotFound: 404,
            UserAlreadyExists: 409,
            InvalidUuid: 422,
            InvalidValueObject: 500,
            AggregateVersionConflictError: 409,
            InvalidMessage: 422,
            NotAllowed: 403,
        }
        assert expected == {cls: error.status_code for cls, error in DEFAULT_HTTP_ERROR_MAP.items()}
        assert {HttpError(status_code=status) for status in expected.values()} == set(DEFAULT_HTTP_ERROR_MAP.values())

    def test_read_only(self) -> None:
        """Nobody changes it for everybody else."""
        error_map: Any = DEFAULT_HTTP_ERROR_MAP
        with pytest.raises(TypeError):
            error_map[NotFound] = HttpError(status_code=410)


class TestHttpError:
    def test_defaults(self) -> None:
        """By default it is a 500 that says nothing."""
        error = HttpError()
        assert (500, "Unknown Error", None, "HttpError") == attrs.astuple(error)

    @pytest.mark.parametrize("status", [400, 404, 418, 499, 500, 599])
    def test_status(self, status: int) -> None:
        """Its status is one of an error, also one that has no name."""
        assert status == HttpError(status_code=status).status_code

    def test_a_class_of_ones_own(self) -> None:
        """A class of HttpErrors with a default of its own takes @frozen, or a constructor; without it is refused."""

        class Undecorated(HttpError):
            status_code: int = 404

        @frozen
        class Gone(HttpError):
            status_code: int = 410

        class Teapot(HttpError):
            def __init__(self) -> None:
                super().__init__(status_code=418)

        text = r"Undecorated\.status_code: the class has fields but isn't decorated; write @attrs\.frozen above `class"
        with pytest.raises(TypeError, match=text):
            Undecorated()
        with pytest.raises(TypeError, match=r"^Odd\.status_code: the name is taken by an inherited field; "):
            type("Odd", (HttpError,), {"status_code": 404})
        assert (410, 418) == (Gone().status_code, Teapot().status_code)

    @pytest.mark.parametrize("status", [-1, 0, 200, 399, 600, True])
    def test_no_status_of_an_error(self, status: int) -> None:
        """Any other status is refused."""
        with pytest.raises(ValueError, match="'status_code' must be"):
            HttpError(status_code=status)

    @pytest.mark.parametrize("status", ["404", 404.0, None])
    def test_no_status(self, status: Any) -> None:
        """A status is an int."""
        with pytest.raises(TypeError, match="'status_code' must be"):
            HttpError(status_code=status)

    def test_a_value(self) -> None:
        """It is frozen, hashable and picklable, with headers that are a read-only copy."""
        headers = {"Retry-After": "5"}
        error = HttpError(status_code=503, headers=headers)
        headers["Retry-After"] = "6"
        assert {"Retry-After": "5"} == error.headers
        assert hash(error) == hash(HttpError(status_code=503, headers={"Retry-After": "5"}))
        assert error == pickle.loads(pickle.dumps(error))
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            error.status_code = 200  # type: ignore[misc]  # on purpose


class TestHttpErrorFor:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (DomainError(), 500),
            (Quota(), 500),
            (CriticalError(), 500),
            (BusCannotPublish(), 500),
            (UnknownError(), 500),
            (NotFound(), 404),
            (TaskNotFound(), 404),
            (HiddenTaskNotFound(), 404),
            (AggregateNotFoundError(ID), 404),
            (AggregatesNotFoundError(), 404),
            (ClientNotFound(), 404),
            (UserNotFound(), 404),
            (AlreadyExists(), 409),
            (AggregateAlreadyExistError(ID), 409),
            (ClientAlreadyExists(), 409),
            (UserAlreadyExists(), 409),
            (AggregateVersionConflictError(ID, 1), 409),
            (NotAllowed(), 403),
            (NotAllowedToFind(), 403),
            (InvalidValueObject(), 500),
            (InvalidUuid(), 422),
            (InvalidMessage(), 422),
            (UnknownMessage(), 422),
            (ZeroDivisionError(), 500),
            (KeyboardInterrupt(), 500),
            (ValueError(), 500),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_default(self, error: BaseException, status: int) -> None:
        """An error has the status of its class, or else of the nearest class above; any other exception is a 500."""
        assert status == http_error_for(error).status_code

    def test_of_a_real_refusal(self) -> None:
        """A text that is no id is a 422, and a value object that the program itself made wrongly a 500."""
        assert 422 == fold(Uuid.parse("nonsense"), lambda _: None, http_error_for_alone)
        assert 500 == fold(Title.parse(5), lambda _: None, http_error_for_alone)

    def test_own_map(self) -> None:
        """A map of one's own has the say for its classes and what is below them; the default map for the rest."""
        gone, teapot = HttpError(status_code=410), HttpError(status_code=418, detail="A teapot")
        error_map = {TaskNotFound: gone, Quota: teapot}
        assert gone is http_error_for(TaskNotFound(), error_map=error_map)
        assert gone is http_error_for(HiddenTaskNotFound(), error_map=error_map)
        assert teapot is http_error_for(Quota(), error_map=error_map)
        assert 404 == http_error_for(NotFound(), error_map=error_map).status_code
        assert 422 == http_error_for(InvalidUuid(), error_map=error_map).status_code

    def test_own_map_for_a_class_of_the_default_map(self) -> None:
        """For a class that both maps have, one's own has the say; a class nearer to the error goes before both."""
        error_map = {NotFound: HttpError(status_code=410), DomainError: HttpError(status_code=400)}
        assert 410 == http_error_for(NotFound(), error_map=error_map).status_code
        assert 410 == http_error_for(TaskNotFound(), error_map=error_map).status_code
        assert 404 == http_error_for(AggregateNotFoundError(ID), error_map=error_map).status_code
        assert 400 == http_error_for(Quota(), error_map=error_map).status_code
        assert 400 == http_error_for(UnknownError(), error_map=error_map).status_code
        assert 500 == http_error_for(ZeroDivisionError(), error_map=error_map).status_code

    def test_empty_map(self) -> None:
        """An empty map changes nothing."""
        assert 404 == http_error_for(NotFound(), error_map={}).status_code


def http_error_for_alone(error: DomainError) -> int:
    """Return the status of an error."""
    return http_error_for(error).status_code


def of_status(status: int, **more: Any) -> Mapping[type[DomainError], HttpError]:
    """Return a map that gives every domain error this status."""
    return {cls: HttpError(status_code=status, **more) for cls in (DomainError, SecretiveError, NotFound, Quota)}


class TestProblemDetails:
    def test_below_500(self) -> None:
        """Below 500 the body has the members of RFC 9457: type, title, status, and what the error says."""
        error = NotFound(additional_info={"message": "There is no such task"})
        assert {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "There is no such task",
        } == problem_details(error)

    def test_instance_and_type(self) -> None:
        """The caller may say which occurrence it is, and give a URI for the kind of problem."""
        body = problem_details(NotAllowed(), instance="/tasks/7", type_uri="https://example.org/not-allowed")
        assert ("https://example.org/not-allowed", "/tasks/7") == (body["type"], body["instance"])
        assert "instance" not in problem_details(NotAllowed())

    def test_detail(self) -> None:
        """The detail is the map's, else the error's message, else all that the error says of itself."""
        error_map: ErrorMap = {NotFound: HttpError(status_code=404, detail="Nothing here")}
        assert "Nothing here" == problem_details(NotFound(), error_map=error_map)["detail"]
        assert "NotFound (7d2b)" == problem_details(NotFound(uuid_value="7d2b"))["detail"]
        assert "NotFound [{'message': 5}]" == problem_details(NotFound(additional_info={"message": 5}))["detail"]

    def test_problems_of_a_message(self) -> None:
        """The problems of a message are listed, each with its path, what was expected, and a code."""
        problems = (Problem("$.data.id", "a UUID", "missing"), Problem("$.data", "an object", "type"))
        assert [
            {"path": "$.data.id", "expected": "a UUID", "code": "missing"},
            {"path": "$.data", "expected": "an object", "code": "type"},
        ] == problem_details(InvalidMessage(problems=problems))["errors"]
        assert "errors" not in problem_details(InvalidMessage())
        as_500: ErrorMap = {InvalidMessage: HttpError(status_code=500)}
        assert "errors" not in problem_details(InvalidMessage(problems=problems), error_map=as_500)

    @given(status=st.integers(400, 599), text=st.text())
    def test_json(self, status: int, text: str) -> None:
        """Whatever the status and the texts, the body is JSON with a title, and its status is the response's."""
        error = Quota(additional_info={"message": text})
        body = problem_details(error, error_map=of_status(status))
        assert body == json.loads(json.dumps(body))
        assert status == body["status"]
        names = {entry.value: entry.phrase for entry in HTTPStatus}
        assert names.get(status, "Error") == body["title"]
        assert (text if status < 500 else None) == body.get("detail")


SECRETIVE: list[BaseException] = [
    RuntimeError(SECRET),
    KeyError(SECRET),
    DomainError(uuid_value=SECRET, additional_info={"message": SECRET, SECRET: SECRET}),
    SecretiveError(),
    InvalidValueObject(additional_info={"message": SECRET}),
    UnknownError.from_exception(RuntimeError(SECRET), executor=SECRET),
    BusCannotPublish(uuid_value=SECRET),
    type(SECRET, (DomainError,), {})(),
    type(SECRET, (Exception,), {})(),
    SystemExit(SECRET),
]


class TestServerErrors:
    @pytest.mark.parametrize("error", SECRETIVE, ids=range(len(SECRETIVE)))
    def test_constant_body(self, error: BaseException) -> None:
        """A 5xx body is a constant: no text, class name or value of the error is in it, nor what the caller adds."""
        constant = {"type": "about:blank", "title": "Internal Server Error", "status": 500}
        assert constant == problem_details(error)
        assert constant == problem_details(error, instance=f"/{SECRET}", type_uri=f"urn:{SECRET}")

    @given(status=st.integers(500, 599))
    def test_any_server_error(self, status: int) -> None:
        """The same goes for every status from 500 on, and for what the map says of it."""
        error = SecretiveError(uuid_value=SECRET, additional_info={"message": SECRET})
        body = problem_details(error, error_map=of_status(status, detail=SECRET, headers={"X": SECRET}))
        assert {"type", "title", "status"} == set(body)
        assert SECRET not in json.dumps(body)
        assert body == problem_details(Quota(), error_map=of_status(status))

    def test_linked_errors(self) -> None:
        """Causes and contexts are not looked at."""
        with pytest.raises(SecretiveError) as caught:
            raise SecretiveError from KeyError(SECRET)
        assert SECRET not in json.dumps(problem_details(caught.value))
