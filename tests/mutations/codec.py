"""Bugs in decoding many messages at once."""

from mutations.bug import Bug

CODEC, ENVELOPE = "codec.py", "conversion/envelope.py"
TESTS = "tests/test_decoding_many.py"

BUGS = (
    Bug(
        "messages of several classes keep their order",
        CODEC,
        "return tuple([next(found[prefix]) for prefix in prefixes])",
        "return tuple([one for group in found.values() for one in group])",
        f"{TESTS}::test_right_messages_come_back_equal_in_their_order",
        quick=True,
    ),
    Bug(
        "many are read as one by one",
        ENVELOPE,
        'code.add("add(otherwise(raw, failed))")',
        'code.add("add(otherwise(raws[0], failed))")',
        f"{TESTS}::test_many_are_read_as_one_by_one",
    ),
    Bug(
        "the meta comes back",
        ENVELOPE,
        'meta = freeze_parsed(meta) if meta else EMPTY")',
        'meta = EMPTY")',
        f"{TESTS}::test_right_messages_come_back_equal_in_their_order",
    ),
    Bug(
        "each of many is within the limit of bytes",
        CODEC,
        "max(map(len, given)) > self._short",
        "min(map(len, given)) > self._short",
        f"{TESTS}::test_each_limit_holds_for_each_message",
        quick=True,
    ),
    Bug(
        "each of many is within the limit of depth",
        CODEC,
        "if wire is None or wire.levels > self._limits.max_depth:",
        "if wire is None:",
        f"{TESTS}::test_each_limit_holds_for_each_message",
    ),
    Bug(
        "a message read alone is within the limit of depth",
        ENVELOPE,
        "if self.levels > limits.max_depth:",
        "if False:",
        f"{TESTS}::test_each_limit_holds_for_each_message",
    ),
    Bug(
        "no time is finer than a microsecond",
        ENVELOPE,
        "if len(text) == {_LENGTH} and",
        "if",
        f"{TESTS}::test_a_time_finer_than_a_microsecond_is_refused",
    ),
    Bug(
        "an error stands in its place",
        CODEC,
        "return wire.decode_many(raws, lambda raw, failed: self._explained(raw, failed, wire))",
        "return [one for one in map(self._decode_one, raws) if isinstance(one, Message)]",
        f"{TESTS}::test_an_error_stands_in_the_place_of_its_message",
    ),
)
