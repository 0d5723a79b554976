"""The API: each route parses the request, runs one use case, and returns its value. Failures are problem documents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import ConflictError, ErrorMap, HttpError, OutcomeUnknownError, UnknownError
from domainkit.adapters.sqlalchemy import AsyncUnitOfWork, make_async_engine
from domainkit.adapters.starlette import exception_handlers, name_problem_schema, openapi_responses, value_of

from .bodies import Borrower, CopyView, MemberView, NewCopy, NewMember, Page
from .domain import AlreadyReserved, Copy, CopyId, CopyNotAvailable, EmailTaken, MemberId, NotOnLoan, TooManyLoans
from .repositories import SqlCopies, SqlMembers
from .use_cases import Acquisition, Lending, Registration, Reservation, Return
from .wiring import unit_of_work_of

ERRORS: ErrorMap = {
    EmailTaken: HttpError(status_code=409, detail="There is a member with this email already"),
    TooManyLoans: HttpError(status_code=409, detail="The member has as many copies as one may have"),
    CopyNotAvailable: HttpError(status_code=409, detail="Somebody else has the copy, or it is held for somebody else"),
    NotOnLoan: HttpError(status_code=409, detail="Nobody has the copy"),
    AlreadyReserved: HttpError(status_code=409, detail="The member has the copy, or has reserved it"),
}


def make_app(database: str | URL) -> FastAPI:
    """Return the API on a database, whose tables Alembic has created. A relay delivers the stored events."""
    engine = make_async_engine(database)
    app = FastAPI(
        title="Lending",
        exception_handlers=exception_handlers(error_map=ERRORS),
        responses=openapi_responses(UnknownError, OutcomeUnknownError, ConflictError),
        lifespan=lambda _: _with_engine(engine),
    )
    unit_of_work = unit_of_work_of(engine)
    app.include_router(_member_routes(unit_of_work))
    app.include_router(_copy_routes(unit_of_work))
    app.include_router(_loan_routes(unit_of_work))
    name_problem_schema(app)
    return app


@asynccontextmanager
async def _with_engine(engine: AsyncEngine) -> AsyncGenerator[None, None]:
    yield
    await engine.dispose()


def _member_routes(unit_of_work: AsyncUnitOfWork) -> APIRouter:
    router, members = APIRouter(prefix="/members", tags=["members"]), SqlMembers(unit_of_work)
    register = unit_of_work.atomic(Registration(members.join))

    @router.post("", status_code=201, responses=openapi_responses(Registration, error_map=ERRORS, validation=True))
    async def join(body: NewMember) -> MemberView:
        """Become a member."""
        return MemberView.of(value_of(await register(body.member())))

    @router.get("/{member_id}", responses=openapi_responses(members.retrieve, validation=True))
    async def find(member_id: MemberId) -> MemberView:
        """Return a member."""
        return MemberView.of(value_of(await members.retrieve(member_id)))

    return router


def _copy_routes(unit_of_work: AsyncUnitOfWork) -> APIRouter:
    router, copies = APIRouter(prefix="/copies", tags=["copies"]), SqlCopies(unit_of_work)
    acquire = unit_of_work.atomic(Acquisition(copies))

    @router.post("", status_code=201, responses=openapi_responses(Acquisition, validation=True))
    async def add(body: NewCopy) -> CopyView:
        """Put a new copy on the shelf."""
        return CopyView.of(value_of(await acquire(Copy(body.title, aggregate_id=body.copy_id))))

    @router.get("", responses=openapi_responses(copies.find, validation=True))
    async def list_by_title(limit: Annotated[int, Query(ge=1, le=100)] = 20, after: CopyId | None = None) -> Page:
        """Return the copies by title, a page at a time."""
        return Page.of(value_of(await copies.find(limit=limit, after=after)), limit)

    @router.get("/{copy_id}", responses=openapi_responses(copies.retrieve, validation=True))
    async def find(copy_id: CopyId) -> CopyView:
        """Return a copy."""
        return CopyView.of(value_of(await copies.retrieve(copy_id)))

    return router


def _loan_routes(unit_of_work: AsyncUnitOfWork) -> APIRouter:
    router = APIRouter(prefix="/copies/{copy_id}", tags=["loans"])
    copies, members = SqlCopies(unit_of_work), SqlMembers(unit_of_work)
    lend, give_back = unit_of_work.atomic(Lending(copies, members)), unit_of_work.atomic(Return(copies, members))
    reserve = unit_of_work.atomic(Reservation(copies, members))

    @router.put("/loan", responses=openapi_responses(Lending, error_map=ERRORS, validation=True))
    async def borrow(copy_id: CopyId, body: Borrower) -> CopyView:
        """Lend a copy to a member."""
        return CopyView.of(value_of(await lend(copy_id, body.member_id)))

    @router.delete("/loan", responses=openapi_responses(Return, error_map=ERRORS, validation=True))
    async def bring_back(copy_id: CopyId) -> CopyView:
        """Take a copy back. If members have reserved it, it is held for the first of them a moment later."""
        return CopyView.of(value_of(await give_back(copy_id)))

    @router.post("/reservations", responses=openapi_responses(Reservation, error_map=ERRORS, validation=True))
    async def wait_for(copy_id: CopyId, body: Borrower) -> CopyView:
        """Reserve a copy that somebody else has borrowed."""
        return CopyView.of(value_of(await reserve(copy_id, body.member_id)))

    return router
