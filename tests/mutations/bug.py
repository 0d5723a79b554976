"""The form of a planted bug."""

from attrs import field, frozen


@frozen
class Bug:
    """A bug: in a copy of `file`, `old` (which stands there once) is replaced by `new`; then `test` fails.

    Args:
        guarantee: what is broken, in a few words.
        file: below `domainkit/`.
        old: a piece of the source.
        new: what stands there instead.
        test: the id of the test that must fail, as pytest takes it.
        quick: whether it may be planted in an ordinary run too (one in four is, in CI one in two); all where
            DOMAINKIT_FULL is set.
    """

    guarantee: str
    file: str
    old: str
    new: str
    test: str
    quick: bool = field(default=False, kw_only=True)

    def __str__(self) -> str:
        return self.guarantee.replace(" ", "-")
