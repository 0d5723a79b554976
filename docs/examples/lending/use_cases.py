"""The application: the use cases, and the policy, which sends a command after an event."""

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
"""A function that stores a new member; only the database can check that no other member has the email."""


@frozen
class Registration(AsyncUseCase[[Member], Member, NotJoined]):
    """Registers a new member."""

    join: Join

    async def execute(self, member: Member) -> Result[Member, NotJoined]:
        """Return the stored member."""
        return await self.join(member)


@frozen
class Acquisition(AsyncUseCase[[Copy], Copy, AggregateAlreadyExistError]):
    """Puts a new copy on the shelf."""

    copies: Copies

    async def execute(self, copy: Copy) -> Result[Copy, AggregateAlreadyExistError]:
        """Return the stored copy."""
        return await self.copies.save(copy)


@frozen
class Lending(AsyncUseCase[[CopyId, MemberId], Copy, NotLent]):
    """Lends a copy to a member: both change, or neither."""

    copies: Copies
    members: Members

    @early_return
    async def execute(self, do: Do[NotLent], copy_id: CopyId, member_id: MemberId) -> Copy:
        """Return the stored copy."""
        copy, member = do(await self.copies.retrieve(copy_id)), do(await self.members.retrieve(member_id))
        lent, borrower = do(lend(copy, member))
        do(await self.members.update(borrower))
        return do(await self.copies.update(lent))


@frozen
class Return(AsyncUseCase[[CopyId], Copy, NotGivenBack]):
    """Takes a copy back from the member who has it: both change, or neither."""

    copies: Copies
    members: Members

    @early_return
    async def execute(self, do: Do[NotGivenBack], copy_id: CopyId) -> Copy:
        """Return the stored copy."""
        copy = do(await self.copies.retrieve(copy_id))
        returned, member_id = do(copy.give_back())
        member = do(await self.members.retrieve(member_id))
        do(await self.members.update(member.bring_back()))
        return do(await self.copies.update(returned))


@frozen
class Reservation(AsyncUseCase[[CopyId, MemberId], Copy, NotReserved]):
    """Reserves a copy, which somebody else has borrowed, for a member."""

    copies: Copies
    members: Members

    @early_return
    async def execute(self, do: Do[NotReserved], copy_id: CopyId, member_id: MemberId) -> Copy:
        """Return the stored copy."""
        member = do(await self.members.retrieve(member_id))
        reserve = async_pipeline(
            self.copies.retrieve, lambda copy: copy.reserve_for(member.aggregate_id), self.copies.update
        )
        return do(await reserve(copy_id))


@frozen
class HoldForNext(Command[None, NotHeld]):
    """Hold a copy for the first member who reserved it."""

    copy_id: CopyId


@frozen
class HoldWhatComesBack(AsyncUseCase[[CopyReturned], None, BusCannotPublish]):
    """The policy: after a copy is returned, hold it for the next member."""

    commands: AsyncCommandBus

    async def execute(self, event: CopyReturned) -> Result[None, BusCannotPublish]:
        """Dispatch the command; it has the event as its cause."""
        return await self.commands.dispatch(HoldForNext(event.copy_id))


@frozen
class Holding(AsyncUseCase[[HoldForNext], None, NotStored]):
    """Holds a copy for the first member who reserved it."""

    copies: Copies

    @early_return
    async def execute(self, do: Do[NotStored], command: HoldForNext) -> None:
        """Store the held copy, with its event."""
        hold = async_pipeline(self.copies.retrieve, mapped(Copy.hold_for_next), self.copies.update)
        do(await hold(command.copy_id))


@frozen
class Letters(AsyncUseCase[[CopyHeld], None, AggregateNotFoundError]):
    """Writes to the member for whom a copy is held."""

    members: Members
    post: AsyncNotifier

    @early_return
    async def execute(self, do: Do[AggregateNotFoundError], event: CopyHeld) -> None:
        """Send a letter to the member's address."""
        member = do(await self.members.retrieve(event.member_id))
        await self.post.publish(NotifierMessage(f"{event.title.value} waits for you", meta={"to": member.email.value}))
