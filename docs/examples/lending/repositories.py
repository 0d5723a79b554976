"""The repositories: members and copies in separate columns, and the constraint that only the database can check."""

from collections.abc import Mapping

from sqlalchemy import RowMapping

from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository, AsyncUnitOfWork, RowMapper, refusing_async

from .domain import Copy, CopyId, Email, EmailTaken, Member, MemberId, Name, Title
from .tables import COPIES, MEMBERS
from .use_cases import Join


class MemberMapper(RowMapper[Member]):
    """Maps members to the columns of MEMBERS."""

    def to_row(self, aggregate: Member) -> Mapping[str, object]:
        """Return the columns of a member."""
        return {"name": aggregate.name.value, "email": aggregate.email.value, "loans": aggregate.loans}

    def from_row(self, row: RowMapping) -> Member:
        """Return the member of a row."""
        return Member(
            Name(row["name"]),
            Email(row["email"]),
            row["loans"],
            aggregate_id=MemberId(row["id"]),
            aggregate_version=row["version"],
        )


class CopyMapper(RowMapper[Copy]):
    """Maps copies to the columns of COPIES."""

    def to_row(self, aggregate: Copy) -> Mapping[str, object]:
        """Return the columns of a copy."""
        return {
            "title": aggregate.title.value,
            "lent_to": None if aggregate.lent_to is None else aggregate.lent_to.value,
            "held_for": None if aggregate.held_for is None else aggregate.held_for.value,
            "reserved_by": [str(member_id) for member_id in aggregate.reserved_by],
        }

    def from_row(self, row: RowMapping) -> Copy:
        """Return the copy of a row."""
        return Copy(
            Title(row["title"]),
            None if row["lent_to"] is None else MemberId(row["lent_to"]),
            None if row["held_for"] is None else MemberId(row["held_for"]),
            tuple(MemberId.from_str(member_id) for member_id in row["reserved_by"]),
            aggregate_id=CopyId(row["id"]),
            aggregate_version=row["version"],
        )


class SqlMembers(AsyncSqlCrudRepository[Member, MemberId]):
    """The repository of members, in the table MEMBERS."""

    def __init__(self, unit_of_work: AsyncUnitOfWork) -> None:
        mapper, order = MemberMapper(), MEMBERS.c.email
        super().__init__(Member, MEMBERS, unit_of_work, mapper=mapper, order_by=order, repository_name="members")
        self.join: Join = refusing_async(
            self.save, EmailTaken, constraint="uq_members_email", table=MEMBERS, unit_of_work=unit_of_work
        )


class SqlCopies(AsyncSqlCrudRepository[Copy, CopyId]):
    """The repository of copies, in the table COPIES, listed by title."""

    def __init__(self, unit_of_work: AsyncUnitOfWork) -> None:
        mapper, order = CopyMapper(), COPIES.c.title
        super().__init__(Copy, COPIES, unit_of_work, mapper=mapper, order_by=order, repository_name="copies")
