"""Secrets as fields of pydantic models, and in the answers of FastAPI."""

import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from attrs import frozen
from hidden import HUSH, REFUSING, ByOptions, ByOwnRule, Key, Login, OfInt, shows

from domainkit import InPlainText, Secret, UnsupportedTypeError, ValueObject

for needed in ("pydantic", "fastapi", "httpx"):
    pytest.importorskip(
        needed, reason=f"{needed} isn't installed: the extras pydantic and starlette are tested with it"
    )

import httpx  # noqa: E402  # after it is known to be there
import pydantic  # noqa: E402  # as above
from fastapi import FastAPI, Header  # noqa: E402  # as above
from pydantic import BaseModel, TypeAdapter, ValidationError  # noqa: E402  # after it is known to be there

from domainkit.adapters.pydantic import DomainType  # noqa: E402  # as above
from domainkit.adapters.starlette import exception_handlers  # noqa: E402  # as above


class Body(BaseModel):
    key: Annotated[Key, InPlainText]
    spare: Annotated[Key | None, InPlainText] = None
    old: tuple[Annotated[Key, InPlainText], ...] = ()


@frozen
class Sent:
    """A value object of several fields that asks for its secret."""

    key: Annotated[ByOwnRule, InPlainText]


class Around(ValueObject[Annotated[ByOwnRule, InPlainText]]):
    """A value object that is no secret, around one."""


@pytest.mark.parametrize("hint", [Key, Key | None, tuple[Key, ...], Secret, Secret[str], Annotated[Login, DomainType]])
def test_it_is_refused_unless_the_field_asks_for_it(hint: Any) -> None:
    """A model can't be made that would dump it, whatever the field has around it."""
    with pytest.raises(UnsupportedTypeError, match="got the secret"):
        pydantic.create_model("Model", key=(hint, ...))


def test_a_mark_without_a_secret() -> None:
    """It is refused as elsewhere."""
    with pytest.raises(UnsupportedTypeError, match="InPlainText: expected a type with a secret"):
        pydantic.create_model("Model", key=(Annotated[str, InPlainText], ...))


def test_it_is_read_and_dumped() -> None:
    """It is text in JSON mode alone: in Python mode it stays what it is, so that a log of the dump has stars."""
    body = Body.model_validate({"key": HUSH, "spare": HUSH, "old": [HUSH]})
    assert Body(key=Key(HUSH), spare=Key(HUSH), old=(Key(HUSH),)) == body
    assert {"key": Key(HUSH), "spare": Key(HUSH), "old": (Key(HUSH),)} == body.model_dump()
    assert [] == shows(body, body.model_dump())
    assert {"key": HUSH, "spare": HUSH, "old": [HUSH]} == json.loads(body.model_dump_json())
    assert body == Body.model_validate_json(body.model_dump_json()) == Body.model_validate(body.model_dump())


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_its_schema(mode: Any) -> None:
    """It says that it is a password, for writing alone; a default is left out."""
    schema = TypeAdapter(Annotated[Key, InPlainText]).json_schema(mode=mode)
    assert {"type": "string", "format": "password", "writeOnly": True, "title": "Key"} == schema

    class Defaulted(BaseModel):
        key: Annotated[Key, InPlainText] = Key(HUSH)

    with pytest.warns(UserWarning, match="efault") as caught:
        assert [] == shows(Defaulted.model_json_schema(mode=mode))
    assert [] == shows(*(one.message for one in caught))


@pytest.mark.parametrize("cls", REFUSING)
def test_what_is_refused(cls: type[Secret[object, object]]) -> None:
    """Neither the text of the error, nor its input, nor its reasons have the value, in either mode."""
    adapter = TypeAdapter(dict[str, Annotated[cls, InPlainText]])  # type: ignore[valid-type]  # known at run time
    reads: tuple[Callable[[], object], ...] = (
        lambda: adapter.validate_python({"a": HUSH}),
        lambda: adapter.validate_json(json.dumps({"a": HUSH})),
    )
    for read in reads:
        with pytest.raises(ValidationError) as caught:
            read()
        assert ("a",) == caught.value.errors()[0]["loc"]
        assert [] == shows(caught.value, caught.value.errors(), caught.value.json())
        assert [] == shows(caught.value.__cause__, caught.value.__context__)


def test_numbers() -> None:
    """An integer that is a secret is hidden as well, though pydantic reads it itself elsewhere."""
    adapter = TypeAdapter(Annotated[OfInt, InPlainText])
    assert OfInt(5) == adapter.validate_json("5") == adapter.validate_python(5)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_json('"98765432"')
    assert "98765432" not in f"{caught.value}"


def test_several_fields() -> None:
    """Of a value object of several fields the whole input is hidden, where a secret is in it."""
    adapter = TypeAdapter(Annotated[Sent, DomainType])
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Around).validate_python(HUSH)
    assert [] == shows(caught.value, caught.value.errors())
    for data in ({"key": HUSH}, {"key": HUSH, "more": HUSH}, {"keys": HUSH}, HUSH):
        with pytest.raises(ValidationError) as caught:
            adapter.validate_python(data)
        assert [] == shows(caught.value, caught.value.errors())


async def test_answers_of_fastapi(caplog: pytest.LogCaptureFixture) -> None:
    """No answer of FastAPI has a secret that it refused in a body or a header, nor has the log."""

    class Request(BaseModel):
        key: Annotated[ByOptions, InPlainText]

    app = FastAPI()

    @app.post("/")
    async def post(body: Request, token: Annotated[ByOwnRule, InPlainText, Header()]) -> str:
        raise AssertionError(body, token)

    caplog.set_level(logging.DEBUG)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.post("/", json={"key": HUSH}, headers={"token": HUSH})
        described = await client.get("/openapi.json")
    assert (422, [["header", "token"], ["body", "key"]]) == (
        answer.status_code,
        [one["loc"] for one in answer.json()["detail"]],
    )
    assert [] == shows(answer.text, described.text)
    assert [] == shows(*(record.getMessage() for record in caplog.records))


async def test_problems_of_the_starlette_adapter() -> None:
    """A problem document has the path and the class, though another field is missing beside the secret."""

    class Request(BaseModel):
        key: Annotated[ByOptions, InPlainText]
        user: str

    app = FastAPI(exception_handlers=exception_handlers())

    @app.post("/")
    async def post(body: Request) -> str:
        raise AssertionError(body)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.post("/", json={"key": HUSH})
    assert ["body.key", "body.user"] == [one["path"] for one in answer.json()["errors"]]
    assert [] == shows(answer.text)
