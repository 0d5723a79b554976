"""Domain errors as HTTP, without a framework."""

import inspect
import json
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType
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
    ConflictError,
    CriticalError,
    DomainError,
    ErrorMap,
    HttpError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    MessageRefused,
    NotAllowed,
    NotFound,
    OutcomeUnknownError,
    Problem,
    ProblemOptions,
    UnknownError,
    UnknownMessage,
    UserAlreadyExists,
    UserNotFound,
    Uuid,
    ValueObject,
    fold,
    http_error_for,
    http_headers_for,
    parse,
    problem_details,
)
from domainkit.http import title_of

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


@frozen
class Line:
    sku: str
    count: int


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
            ConflictError: 409,
            AggregateVersionConflictError: 409,
            InvalidMessage: 422,
            NotAllowed: 403,
            BusCannotPublish: 503,
            OutcomeUnknownError: 503,
        }
        assert expected == {cls: error.status_code for cls, error in DEFAULT_HTTP_ERROR_MAP.items()}
        assert {HttpError(status_code=status) for status in expected.values()} == set(DEFAULT_HTTP_ERROR_MAP.values())

    def test_read_only(self) -> None:
        """Nobody changes it for everybody else."""
        error_map: Any = DEFAULT_HTTP_ERROR_MAP
        with pytest.raises(TypeError):
            error_map[NotFound] = HttpError(status_code=410)

    def test_a_signature_names_it(self) -> None:
        """In help(), a default that is the map stands by its name, and not by its fifteen classes."""
        assert "= DEFAULT_HTTP_ERROR_MAP" in str(inspect.signature(http_error_for))
        assert 200 > max(len(str(found.default)) for found in inspect.signature(problem_details).parameters.values())


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
            (BusCannotPublish(), 503),
            (MessageRefused(), 503),
            (OutcomeUnknownError(), 503),
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
            (ConflictError(), 409),
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
    @pytest.mark.parametrize(
        ("error", "name", "title"),
        [
            (NotFound(), "not-found", "Not Found"),
            (HiddenTaskNotFound(), "hidden-task-not-found", "Hidden Task Not Found"),
            (AggregateNotFoundError(ID, "tasks"), "aggregate-not-found", "Aggregate Not Found"),
            (AggregatesNotFoundError("tasks"), "aggregates-not-found", "Aggregates Not Found"),
            (AggregateAlreadyExistError(ID, "tasks", "t"), "aggregate-already-exist", "Aggregate Already Exist"),
            (
                AggregateVersionConflictError(ID, 1, 2, "tasks"),
                "aggregate-version-conflict",
                "Aggregate Version Conflict",
            ),
            (type("HTTPQuotaV2Error", (NotFound,), {})(), "http-quota-v2", "HTTP Quota V2"),
            (type("Error", (NotFound,), {})(), "error", "Error"),
            (type("Ämter_weg", (NotFound,), {})(), "%C3%A4mter-weg", "Ämter weg"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_below_500(self, error: DomainError, name: str, title: str) -> None:
        """Below 500 the body has the members of RFC 9457; type and title say which error, and nothing else is told."""
        assert {
            "type": f"/problems/{name}",
            "title": title,
            "status": http_error_for(error).status_code,
        } == problem_details(error)

    def test_a_type_of_ones_own(self) -> None:
        """The HttpError may name the kind of error, whatever its class is called; the base is the user's."""
        error_map: ErrorMap = {TaskNotFound: HttpError(status_code=404, type_error="NoSuchTask")}
        options = ProblemOptions(type_base="https://tasks.example/problems#")
        body = problem_details(HiddenTaskNotFound(), error_map=error_map, options=options)
        assert ("https://tasks.example/problems#no-such-task", "No Such Task") == (body["type"], body["title"])

    def test_instance_and_type(self) -> None:
        """The caller may say which occurrence it is, and give a URI for the kind of problem."""
        body = problem_details(NotAllowed(), instance="/tasks/7", type_uri="https://example.org/not-allowed")
        assert ("https://example.org/not-allowed", "/tasks/7") == (body["type"], body["instance"])
        assert "instance" not in problem_details(NotAllowed())
        plain = problem_details(TaskNotFound(), type_uri="about:blank")
        assert ("about:blank", "Not Found") == (plain["type"], plain["title"])

    def test_detail(self) -> None:
        """The detail is the map's; or, if asked for, the error's message, or all that the error says of itself."""
        error_map: ErrorMap = {NotFound: HttpError(status_code=404, detail="Nothing here")}
        options = ProblemOptions(tells={NotFound: ("detail",)})
        assert "Nothing here" == problem_details(NotFound(), error_map=error_map, options=options)["detail"]
        told = [
            (NotFound(additional_info={"message": "There is no such task"}), "There is no such task"),
            (TaskNotFound(uuid_value="7d2b"), "TaskNotFound (7d2b)"),
            (NotFound(additional_info={"message": 5}), "NotFound [{'message': 5}]"),
        ]
        for error, text in told:
            assert text == problem_details(error, options=options)["detail"]
            assert "detail" not in problem_details(error)
        assert "detail" not in problem_details(NotAllowed(), options=options)

    def test_problems_of_a_message(self) -> None:
        """The problems of a message are listed, each with its path, what was expected, and a code."""
        problems = (Problem("$.data.id", "a UUID", "missing"), Problem("$.data", "an object", "type"))
        assert [
            {"path": "$.data.id", "expected": "a UUID", "code": "missing"},
            {"path": "$.data", "expected": "an object", "code": "type"},
        ] == problem_details(InvalidMessage(problems=problems))["errors"]
        assert "errors" not in problem_details(InvalidMessage())
        assert "errors" not in problem_details(InvalidMessage(additional_info={"message": SECRET}))
        as_500: ErrorMap = {InvalidMessage: HttpError(status_code=500)}
        assert "errors" not in problem_details(InvalidMessage(problems=problems), error_map=as_500)

    def test_problems_of_a_value_object(self) -> None:
        """Each has its rule and its path: those of several fields, and the one of a single value."""
        as_422: ErrorMap = {InvalidValueObject: HttpError(status_code=422)}
        error = fold(Title.parse(5), lambda _: NotFound(), lambda error: error)
        assert [{"path": "$", "expected": "Title: expected str, got int", "code": "value"}] == problem_details(
            error, error_map=as_422
        )["errors"]
        several = fold(parse(Line, {"sku": 5, "count": "x"}), lambda _: NotFound(), lambda error: error)
        assert [
            {"path": "$.sku", "expected": "str", "code": "type"},
            {"path": "$.count", "expected": "int", "code": "type"},
        ] == problem_details(several, error_map=as_422)["errors"]
        assert "errors" not in problem_details(InvalidValueObject(), error_map=as_422)

    @given(status=st.integers(400, 599), text=st.text())
    def test_json(self, status: int, text: str) -> None:
        """Whatever the status and the texts, the body is JSON with a title, and its status is the response's."""
        error = Quota(additional_info={"message": text})
        options = ProblemOptions(tells={DomainError: ("detail",)})
        body = problem_details(error, error_map=of_status(status), options=options)
        assert body == json.loads(json.dumps(body))
        assert status == body["status"]
        assert ("Quota" if status < 500 else title_of(status)) == body["title"]
        assert (text if status < 500 else None) == body.get("detail")


@frozen
class TooMany(DomainError):
    limit: int
    owner: Uuid
    until: datetime


class FarTooMany(TooMany): ...


@frozen
class Mistitled(DomainError):
    title: str


@frozen
class Opaque(DomainError):
    number: complex


class TestMembers:
    """The fields of an error as extension members (RFC 9457, section 3.2)."""

    error_map: ErrorMap = MappingProxyType({TooMany: HttpError(status_code=429)})

    def test_told(self) -> None:
        """Those that are named stand in the body as they do in messages, for the classes below too; others don't."""
        error = FarTooMany(limit=3, owner=ID, until=datetime(2021, 12, 28, tzinfo=UTC))
        options = ProblemOptions(tells={DomainError: (), TooMany: ("owner", "limit", "until", "detail")})
        body: Mapping[str, object] = {**problem_details(error, error_map=self.error_map, options=options)}
        assert {"limit": 3, "owner": str(ID), "until": "2021-12-28T00:00:00Z"} == {
            name: body[name] for name in ("limit", "owner", "until")
        }
        assert {"type", "title", "status"} == {*problem_details(error, error_map=self.error_map)}
        assert {"type", "title", "status"} == {*problem_details(error, options=options)}  # a 500

    def test_without_a_form_in_json(self) -> None:
        """A value that JSON can't carry is left out."""
        error = TooMany(limit=3, owner=ID, until=datetime(2021, 12, 28))
        options = ProblemOptions(tells={TooMany: ("limit", "until")})
        body: Mapping[str, object] = {**problem_details(error, error_map=self.error_map, options=options)}
        assert (3, False) == (body["limit"], "until" in body)

    @pytest.mark.parametrize(
        ("cls", "name", "text"),
        [
            (TooMany, "limt", r"ProblemOptions\.tells: expected a field of TooMany that .*, got 'limt'"),
            (DomainError, "limit", r"expected a field of DomainError that .*, got 'limit'"),
            (Mistitled, "title", r"expected a field of Mistitled that isn't a standard member of problem"),
            (Opaque, "number", r"Opaque\.number: expected a type with a wire form, got complex"),
        ],
    )
    def test_refused(self, cls: type[DomainError], name: str, text: str) -> None:
        """A name of no field, of a member of every document, or of what JSON can't carry, is refused at once."""
        with pytest.raises(TypeError, match=text):
            ProblemOptions(tells={cls: (name,)})


class TestHeaders:
    @pytest.mark.parametrize(
        ("wait", "text"), [(timedelta(minutes=1), "60"), (timedelta(seconds=0.1), "1"), (timedelta(seconds=-5), "0")]
    )
    def test_when_to_ask_again(self, wait: timedelta, text: str) -> None:
        """Whole seconds, upwards, where the error knows them; those of the map win."""
        assert {"Retry-After": text} == http_headers_for(BusCannotPublish(retry_after=wait))
        assert {"Retry-After": text} == http_headers_for(OutcomeUnknownError(retry_after=wait))
        own: ErrorMap = {BusCannotPublish: HttpError(status_code=503, headers={"retry-after": "7"})}
        assert {"retry-after": "7"} == http_headers_for(MessageRefused(retry_after=wait), error_map=own)

    def test_without(self) -> None:
        """Nothing is made up."""
        assert {} == http_headers_for(BusCannotPublish())
        assert {} == http_headers_for(RuntimeError())


class TestTitles:
    def test_of_the_standard(self) -> None:
        """The phrases are those of RFC 9110, whatever the Python: older ones have other words for four of them."""
        assert "Content Too Large" == title_of(413)
        assert "URI Too Long" == title_of(414)
        assert "Range Not Satisfiable" == title_of(416)
        assert "Unprocessable Content" == title_of(422)

    def test_others(self) -> None:
        """The others are Python's; a status without a name is an Error."""
        same = {one.value: one.phrase for one in HTTPStatus if one not in (413, 414, 416, 422)}
        assert same == {status: title_of(status) for status in same}
        assert "Error" == title_of(599)


SECRETIVE: list[BaseException] = [
    RuntimeError(SECRET),
    KeyError(SECRET),
    DomainError(uuid_value=SECRET, additional_info={"message": SECRET, SECRET: SECRET}),
    SecretiveError(),
    InvalidValueObject(additional_info={"message": SECRET}),
    UnknownError.from_exception(RuntimeError(SECRET), executor=SECRET),
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

    @pytest.mark.parametrize("error", [BusCannotPublish(uuid_value=SECRET), OutcomeUnknownError(uuid_value=SECRET)])
    def test_what_may_work_later(self, error: DomainError) -> None:
        """A temporary failure is a 503, and the body is a constant too."""
        constant = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
        told = ProblemOptions(tells={DomainError: ("detail", "uuid_value")})
        assert constant == problem_details(error) == problem_details(error, options=told)

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
