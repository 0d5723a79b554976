"""The bodies of requests and responses: pydantic models with the value objects of the domain as fields."""

from pydantic import BaseModel

from .domain import Copy, CopyId, Email, Member, MemberId, Name, Title


class NewMember(BaseModel):
    """A new member. The client chooses the id, so that a repeated request creates one member."""

    member_id: MemberId
    name: Name
    email: Email

    def member(self) -> Member:
        """Return the member to store."""
        return Member(self.name, self.email, aggregate_id=self.member_id)


class NewCopy(BaseModel):
    """A new copy."""

    copy_id: CopyId
    title: Title


class Borrower(BaseModel):
    """The member who borrows or reserves a copy."""

    member_id: MemberId


class MemberView(BaseModel):
    """A member in a response."""

    member_id: MemberId
    name: Name
    email: Email
    loans: int

    @classmethod
    def of(cls, member: Member) -> "MemberView":
        """Return the view of a member."""
        return cls(member_id=member.aggregate_id, name=member.name, email=member.email, loans=member.loans)


class CopyView(BaseModel):
    """A copy in a response."""

    copy_id: CopyId
    title: Title
    lent_to: MemberId | None
    held_for: MemberId | None
    reserved_by: tuple[MemberId, ...]

    @classmethod
    def of(cls, copy: Copy) -> "CopyView":
        """Return the view of a copy."""
        return cls(
            copy_id=copy.aggregate_id,
            title=copy.title,
            lent_to=copy.lent_to,
            held_for=copy.held_for,
            reserved_by=copy.reserved_by,
        )


class Page(BaseModel):
    """A page of the list of copies. `after` is the copy after which the next page starts; null on the last page."""

    copies: tuple[CopyView, ...]
    after: CopyId | None

    @classmethod
    def of(cls, copies: tuple[Copy, ...], limit: int) -> "Page":
        """Return the page of up to `limit` copies."""
        after = copies[-1].aggregate_id if len(copies) == limit else None
        return cls(copies=tuple(map(CopyView.of, copies)), after=after)
