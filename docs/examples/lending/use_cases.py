"""The application: what can be asked for, and the policy, which asks for something when something has happened."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from attrs import frozen
from returns.result import Result

from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregateVersionConflictError,
    AsyncCommandBus,
    AsyncCrudRepository,
    AsyncNotifier,
    AsyncUseCase,
    BusCannotPublish,
    Command,
    CommandNotHandled,
    ConflictError,
    Do,
    NotAllowed,
    NotifierMessage,
    OutcomeUnknownError,
    UnknownError,
    async_pipeline,
    early_return,
    mapped,
)

from .domain import (
    AlreadyReserved,
    Copy,
    CopyHeld,
    CopyId,
    CopyNotAvailable,
    CopyReturned,
    EmailTaken,
    Member,
    MemberId,
    NotOnLoan,
    TooManyLoans,
    lend,
)

NotStored: TypeAlias = AggregateNotFoundError | AggregateVersionConflictError
NotJoined: TypeAlias = AggregateAlreadyExistError | EmailTaken | ConflictError
NotLent: TypeAlias = NotStored | TooManyLoans | CopyNotAvailable
NotGivenBack: TypeAlias = NotStored | NotOnLoan
NotHeld: TypeAlias = NotStored | UnknownError | OutcomeUnknownError | ConflictError | NotAllowed | CommandNotHandled
NotReserved: TypeAlias = NotStored | NotOnLoan | AlreadyReserved

Copies: TypeAlias = AsyncCrudRepository[Copy, CopyId]
Members: TypeAlias = AsyncCrudRepository[Member, MemberId]
Join: TypeAlias = Callable[[Member], Awaitable[Result[Member, NotJoined]]]
"""Stores a new member: only where it is stored can be seen that no other has the email."""


@frozen
class Registration(AsyncUseCase[[Member], Member, NotJoined]):
    """Makes somebody a member."""

    join: Join

    async def execute(self, member: Member) -> Result[Member, NotJoined]:
        """Return the member as it is stored."""
        return await self.join(member)


@frozen
class Acquisition(AsyncUseCase[[Copy], Copy, AggregateAlreadyExistError]):
    """Puts a new copy on the shelf."""

    copies: Copies

    async def execute(self, copy: Copy) -> Result[Copy, AggregateAlreadyExistError]:
        """Return the copy as it is stored."""
        return await self.copies.save(copy)


@frozen
class Lending(AsyncUseCase[[CopyId, MemberId], Copy, NotLent]):
    """Lends a copy to a member: both change, or none."""

    copies: Copies
    members: Members

    @early_return
    async def execute(self, do: Do[NotLent], copy_id: CopyId, member_id: MemberId) -> Copy:
        """Return the copy as it is stored."""
        copy, member = do(await self.copies.retrieve(copy_id)), do(await self.members.retrieve(member_id))
        lent, borrower = do(lend(copy, member))
        do(await self.members.update(borrower))
        return do(await self.copies.update(lent))


@frozen
class Return(AsyncUseCase[[CopyId], Copy, NotGivenBack]):
    """Takes a copy back from the member who has it: both change, or none."""

    copies: Copies
    members: Members

    @early_return
    async def execute(self, do: Do[NotGivenBack], copy_id: CopyId) -> Copy:
        """Return the copy as it is stored."""
        copy = do(await self.copies.retrieve(copy_id))
        returned, member_id = do(copy.give_back())
        member = do(await self.members.retrieve(member_id))
        do(await self.members.update(member.bring_back()))
        return do(await self.copies.update(returned))


@frozen
class Reservation(AsyncUseCase[[CopyId, MemberId], Copy, NotReserved]):
    """Lets a member wait for a copy that somebody else has."""

    copies: Copies
    members: Members

    @early_return
    async def execute(self, do: Do[NotReserved], copy_id: CopyId, member_id: MemberId) -> Copy:
        """Return the copy as it is stored."""
        member = do(await self.members.retrieve(member_id))
        reserve = async_pipeline(
            self.copies.retrieve, lambda copy: copy.reserve_for(member.aggregate_id), self.copies.update
        )
        return do(await reserve(copy_id))


@frozen
class HoldForNext(Command[None, NotHeld]):
    """Asks to hold a copy for the first who waits for it."""

    copy_id: CopyId


@frozen
class HoldWhatComesBack(AsyncUseCase[[CopyReturned], None, BusCannotPublish]):
    """The policy: when a copy came back, hold it for the next."""

    commands: AsyncCommandBus

    async def execute(self, event: CopyReturned) -> Result[None, BusCannotPublish]:
        """Dispatch the command; it has the event as its cause."""
        return await self.commands.dispatch(HoldForNext(event.copy_id))


@frozen
class Holding(AsyncUseCase[[HoldForNext], None, NotStored]):
    """Holds a copy for the first who waits for it."""

    copies: Copies

    @early_return
    async def execute(self, do: Do[NotStored], command: HoldForNext) -> None:
        """Store that it is held, with the event that says so."""
        hold = async_pipeline(self.copies.retrieve, mapped(Copy.hold_for_next), self.copies.update)
        do(await hold(command.copy_id))


@frozen
class Letters(AsyncUseCase[[CopyHeld], None, AggregateNotFoundError]):
    """Writes to the member whom a copy waits for."""

    members: Members
    post: AsyncNotifier

    @early_return
    async def execute(self, do: Do[AggregateNotFoundError], event: CopyHeld) -> None:
        """Write to where the member gets letters."""
        member = do(await self.members.retrieve(event.member_id))
        await self.post.publish(NotifierMessage(f"{event.title.value} waits for you", meta={"to": member.email.value}))
