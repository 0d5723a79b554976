"""The domain: members borrow copies of books, give them back, and reserve those that are out."""

import attrs
from attrs import field, frozen
from attrs.validators import matches_re, max_len
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateRoot,
    AlreadyExists,
    Do,
    DomainError,
    DomainEvent,
    NotAllowed,
    Uuid,
    ValueObject,
    early_return,
)

MOST_LOANS = 3


def one_line(_: object, __: object, text: str) -> None:
    """Refuse blank text, and text with characters that would break its line."""
    if not text.strip() or not text.isprintable():
        raise ValueError("it must be a line of text")


@frozen
class Name(ValueObject[str]):
    """The name of a member."""

    value: str = field(validator=(one_line, max_len(100)))


@frozen
class Email(ValueObject[str]):
    """The address to which a member gets letters."""

    value: str = field(validator=(one_line, matches_re(r"[^@\s]+@[^@\s]+"), max_len(254)))


@frozen
class Title(ValueObject[str]):
    """The title of a book."""

    value: str = field(validator=(one_line, max_len(200)))


class MemberId(Uuid):
    """The identity of a member."""


class CopyId(Uuid):
    """The identity of a copy: a book may have several."""


class EmailTaken(AlreadyExists):
    """A member with this email exists already."""


class TooManyLoans(NotAllowed):
    """The member already has the maximum number of copies."""


class CopyNotAvailable(DomainError):
    """Somebody else has the copy, or it is held for somebody else."""


class NotOnLoan(DomainError):
    """Nobody has the copy."""


class AlreadyReserved(DomainError):
    """The member has the copy, or has reserved it."""


@frozen
class CopyLent(DomainEvent):
    """A copy was lent. This service has no subscriber to it."""

    copy_id: CopyId
    member_id: MemberId


@frozen
class CopyReturned(DomainEvent):
    """A copy was returned."""

    copy_id: CopyId
    member_id: MemberId


@frozen
class CopyHeld(DomainEvent):
    """A copy is held for the member who reserved it."""

    copy_id: CopyId
    member_id: MemberId
    title: Title


@frozen
class Member(AggregateRoot[MemberId]):
    """Somebody who may borrow up to MOST_LOANS copies at a time."""

    name: Name
    email: Email
    loans: int = 0

    def borrow(self) -> Result["Member", TooManyLoans]:
        """Return the member with one copy more."""
        if self.loans >= MOST_LOANS:
            return Failure(TooManyLoans())
        return Success(attrs.evolve(self, loans=self.loans + 1))

    def bring_back(self) -> "Member":
        """Return the member with one copy less."""
        return attrs.evolve(self, loans=self.loans - 1)


@frozen
class Copy(AggregateRoot[CopyId]):
    """A copy of a book: the borrower, the member it is held for, and the members who reserved it, in order."""

    title: Title
    lent_to: MemberId | None = None
    held_for: MemberId | None = None
    reserved_by: tuple[MemberId, ...] = ()

    def lend_to(self, member_id: MemberId) -> Result["Copy", CopyNotAvailable]:
        """Return the copy as lent to a member."""
        if self.lent_to is not None or self.held_for not in (None, member_id):
            return Failure(CopyNotAvailable())
        lent = attrs.evolve(self, lent_to=member_id, held_for=None)
        return Success(lent.record(CopyLent(self.aggregate_id, member_id)))

    def give_back(self) -> Result[tuple["Copy", MemberId], NotOnLoan]:
        """Return the copy as back on the shelf, and the id of the member who had it."""
        if self.lent_to is None:
            return Failure(NotOnLoan())
        returned = attrs.evolve(self, lent_to=None).record(CopyReturned(self.aggregate_id, self.lent_to))
        return Success((returned, self.lent_to))

    def reserve_for(self, member_id: MemberId) -> Result["Copy", NotOnLoan | AlreadyReserved]:
        """Return the copy with one more reservation."""
        if self.lent_to is None:
            return Failure(NotOnLoan())
        if member_id in (self.lent_to, *self.reserved_by):
            return Failure(AlreadyReserved())
        return Success(attrs.evolve(self, reserved_by=(*self.reserved_by, member_id)))

    def hold_for_next(self) -> "Copy":
        """Return the copy as held for the first who reserved it; unchanged without reservations, or if it is lent."""
        if self.lent_to is not None or self.held_for is not None or not self.reserved_by:
            return self
        first, *rest = self.reserved_by
        held = attrs.evolve(self, held_for=first, reserved_by=tuple(rest))
        return held.record(CopyHeld(self.aggregate_id, first, self.title))


@early_return
def lend(do: Do[TooManyLoans | CopyNotAvailable], copy: Copy, member: Member) -> tuple[Copy, Member]:
    """Lend a copy to a member, and return both changed."""
    return do(copy.lend_to(member.aggregate_id)), do(member.borrow())
