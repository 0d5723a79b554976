"""Locks of the tags that an append to a SQL event store writes, or guards."""

from collections.abc import Iterable, Sequence
from uuid import UUID
from zlib import crc32

from attrs import frozen

from domainkit.tags import Selection

Tags = tuple[UUID, ...]
"""The tags of one event."""

_MOST_LOCKS = 64
"""The most tags that a transaction locks one by one: a server has room for some thousand locks, of all together."""

_EVERY = 0
"""The key of the lock of every append: shared by those that lock their tags, and held alone by those that can't."""


@frozen
class Locks:
    """The locks of an append, in the order in which all take them: first that of every append, then those of the tags.

    Args:
        keys: those of the tags are in ascending order.
        shared: for each if others may hold it too.
    """

    keys: list[int]
    shared: list[bool]

    @classmethod
    def of(cls, written: Iterable[Tags], guarded: Sequence[Selection] = ()) -> "Locks":
        """Return the locks for tags that are written, and for selections that are guarded.

        Those who only guard a tag share its lock. A selection without tags may find an event of any writer, and many
        tags are more than a server can lock: then nobody else may append at all.
        """
        keys = {lock_key(tag): True for one in guarded for tag in one.tags}
        keys.update(dict.fromkeys(map(lock_key, {tag.int: tag for given in written for tag in given}.values()), False))
        if len(keys) > _MOST_LOCKS or not all(one.tags for one in guarded):
            return cls([_EVERY], [False])
        order = sorted(keys)
        return cls([_EVERY, *order], [True, *(keys[key] for key in order)])


def lock_key(tag: UUID) -> int:
    """Return the key of a tag's lock: 32 bits, never `_EVERY`. Processes of all versions must agree on it.

    >>> lock_key(UUID(int=5))
    -1663975462
    """
    key = crc32(tag.bytes) or 1
    return key - 2**32 if key >= 2**31 else key
