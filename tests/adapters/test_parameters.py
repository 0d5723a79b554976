"""Value objects as parameters of FastAPI routes: path, query, header, cookie and form."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import pytest
from attrs import field, frozen
from attrs.validators import ge, le

from domainkit import Uuid, ValueObject

for needed in ("starlette", "fastapi", "httpx", "python_multipart"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: value objects as parameters are tested with it")

import httpx  # noqa: E402  # after it is known to be there
from fastapi import Body, Cookie, FastAPI, Form, Header, Path, Query  # noqa: E402  # as above
from pydantic import BaseModel  # noqa: E402  # as above

from domainkit.adapters.starlette import exception_handlers  # noqa: E402  # as above


class Color(Enum):
    RED = "red"


class Level(Enum):
    LOW = 1


@frozen
class Page(ValueObject[int]):
    value: int = field(validator=[ge(1), le(50)])


class Done(ValueObject[bool]): ...


class Ratio(ValueObject[float]): ...


class Price(ValueObject[Decimal]): ...


class Paint(ValueObject[Color]): ...


class Size(ValueObject[Level]): ...


class Day(ValueObject[date]): ...


class Maybe(ValueObject[int | None]): ...


class TaskId(Uuid): ...


ID = "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"
READ = [
    (Page, "5", Page(5)),
    (Done, "true", Done(value=True)),
    (Done, "false", Done(value=False)),
    (Ratio, "0.5", Ratio(0.5)),
    (Ratio, "5", Ratio(5.0)),
    (Ratio, "-1e-3", Ratio(-0.001)),
    (Price, "12.50", Price(Decimal("12.50"))),
    (Paint, "red", Paint(Color.RED)),
    (Size, "1", Size(Level.LOW)),
    (Day, "2021-12-28", Day(date(2021, 12, 28))),
    (Maybe, "5", Maybe(5)),
    (TaskId, ID, TaskId.from_str(ID)),
]
REFUSED = [
    (Page, "x", "Page: expected int"),
    (Page, "5.0", "Page: expected int"),
    (Page, "5.5", "Page: expected int"),
    (Page, " 5", "Page: expected int"),
    (Page, "5 ", "Page: expected int"),
    (Page, "05", "Page: expected int"),
    (Page, "5" * 5000, "Page: expected int"),
    (Page, "true", "Page: expected int"),
    (Page, "0", "Page: 'value' must be >= 1"),
    (Page, "51", "Page: 'value' must be <= 50"),
    (Done, "1", "Done: expected bool"),
    (Done, "True", "Done: expected bool"),
    (Ratio, "NaN", "Ratio: expected float"),
    (Ratio, "1e999", "Ratio: expected float"),
    (Price, "NaN", 'Price: expected a decimal number as text, such as "12.50"'),
    (Paint, "green", "Paint: expected a Color"),
    (Size, "2", "Size: expected a Level"),
    (Day, "20211228", "Day: expected a date, such as 2021-12-28"),
    (Maybe, "null", "Maybe: expected int or None"),
    (TaskId, "me", "TaskId: expected a UUID"),
]
PLACES = ["path", "query", "header", "cookie", "form", "query model", "form model", "list"]
Ask = Callable[[Any, str], Any]  # Any: a class, and the request that httpx makes


def app_with(cls: Any, place: str, seen: list[object]) -> FastAPI:
    """Return an app whose route takes a parameter of this class, and keeps what it got."""
    app = FastAPI(exception_handlers=exception_handlers())
    model: Any = type("Model", (BaseModel,), {"__annotations__": {"it": cls}})
    hint: Any = {
        "path": Annotated[cls, Path()],
        "query": Annotated[cls, Query()],
        "header": Annotated[cls, Header()],
        "cookie": Annotated[cls, Cookie()],
        "form": Annotated[cls, Form()],
        "query model": Annotated[model, Query()],
        "form model": Annotated[model, Form()],
        "list": Annotated[list[cls], Query()],
    }[place]

    def route(it: Any) -> None:
        seen.append(it.it if place.endswith("model") else it[0] if place == "list" else it)

    route.__annotations__["it"] = hint
    app.add_api_route("/{it}" if place == "path" else "/", route, methods=["POST"])
    return app


async def post(app: FastAPI, place: str, text: str) -> httpx.Response:
    """Send the text in its place."""
    sent: dict[str, Any] = {
        "query": {"params": {"it": text}},
        "header": {"headers": {"it": text}},
        "cookie": {"headers": {"cookie": f"it={text}"}},
        "form": {"data": {"it": text}},
        "list": {"params": {"it": text}},
    }.get(place.removesuffix(" model"), {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        return await client.post(f"/{text}" if place == "path" else "/", **sent)


@pytest.mark.parametrize("place", PLACES)
async def test_a_text_is_read_strictly(place: str) -> None:
    """Wherever it stands, the text that a value has in JSON gives the value object."""
    for cls, text, made in READ:
        seen: list[object] = []
        answer = await post(app_with(cls, place, seen), place, text)
        assert (200, [made], [type(made)]) == (answer.status_code, seen, [type(one) for one in seen]), (cls, text)


@pytest.mark.parametrize("place", PLACES)
async def test_another_text_is_refused_with_the_rule(place: str) -> None:
    """Any other text is a 422 that has the path and the rule, and never the text."""
    app_of = {cls: app_with(cls, place, []) for cls, _, _ in REFUSED}
    for cls, text, told in REFUSED:
        if text != text.strip() and place in ("header", "cookie"):  # HTTP has no space there
            continue
        answer = await post(app_of[cls], place, text)
        (problem,) = answer.json()["errors"]
        where = {"form": "body.it", "list": "query.it[0]"}.get(place.removesuffix(" model"))
        assert (422, told, "value_object") == (answer.status_code, problem["expected"], problem["code"]), (cls, text)
        assert (where or f"{place.removesuffix(' model')}.it") == problem["path"]


async def test_a_body_of_json_is_no_text() -> None:
    """In JSON, a number is a number: nothing is coerced there, nor in a model that pydantic reads elsewhere."""
    app = FastAPI(exception_handlers=exception_handlers())

    @app.post("/")
    def route(it: Annotated[Page, Body(embed=True)]) -> int:
        return it.value

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        right, wrong = await client.post("/", json={"it": 5}), await client.post("/", json={"it": "5"})
    assert (200, 5, 422) == (right.status_code, right.json(), wrong.status_code)
    assert "Page: expected int" == wrong.json()["errors"][0]["expected"]


async def test_a_parameter_with_a_default() -> None:
    """A parameter that may be absent is one, and the document says which type it has."""
    app = FastAPI()

    @app.get("/")
    def route(it: Page | None = None) -> int | None:
        return None if it is None else it.value

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        answers = [await client.get("/"), await client.get("/?it=7")]
    assert [None, 7] == [answer.json() for answer in answers]
    schema = app.openapi()["paths"]["/"]["get"]["parameters"][0]["schema"]
    assert {"title": "Page", "type": "integer", "minimum": 1, "maximum": 50} == {**schema["anyOf"][0]}
