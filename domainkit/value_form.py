"""The values of any type that has a wire form, as JSON text and back: of plain classes, and of builtin types."""

from typing import Generic

import msgspec
from typing_extensions import TypeForm, TypeVar

from domainkit._model.type_checks import describe
from domainkit.conversion.definitions import Definitions
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import Problems
from domainkit.errors import Problem
from domainkit.states import StoredStateError, explained, unreadable

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class ValueForm(Generic[T]):
    """The values of one type as JSON text: of a class, or of any other type that has a wire form.

    Args:
        hint: the type.

    Raises:
        UnsupportedTypeError: it has no wire form, or a part of it has none.
    """

    def __init__(self, hint: TypeForm[T]) -> None:
        self.name: str = describe(hint)
        self._node = Derivation().node(hint, self.name)
        self._decode = msgspec.json.Decoder(self._node.wire).decode

    @property
    def shape(self) -> str:
        """The JSON Schema of the values, as text without the docstrings of their classes."""
        definitions = Definitions("#/$defs/")
        schema = definitions.schema(self._node)
        return _encode(_without_docstrings([schema, definitions.finish()])).decode()

    def write(self, value: T) -> str:
        """Return the text of a value.

        Raises:
            ValueError: it can't be read back as an equal one; the text has the type and the paths, and no value.
            StoredStateError: a validator refuses now what it took before.
        """
        try:
            text = _encode(self._node.dump(value)).decode()
        except Exception:  # Refused, or from the encoder: the explaining path decides
            wire, problems = explained(self._node, value)
            if problems:
                raise unreadable(self.name, problems) from None
            text = _encode(wire).decode()
        if self.read(text) != value:
            raise unreadable(self.name, [Problem("$", "a value that is equal when it is read back", "value")])
        return text

    def read(self, text: str) -> T:
        """Return the value.

        Raises:
            StoredStateError: it can't be read.
        """
        try:
            value: T = self._node.load(self._decode(text))
        except Exception:  # from msgspec or a validator: its text may have values
            raise StoredStateError(problems=self._problems(text)) from None
        return value

    def _problems(self, text: str) -> tuple[Problem, ...]:
        problems = Problems()
        try:
            self._node.read(_decode(text), "$", problems)
        except (msgspec.DecodeError, RecursionError):
            problems.add("$", "JSON", "json")
        return tuple(problems)


def _without_docstrings(schema: object) -> object:
    if isinstance(schema, list):
        return [_without_docstrings(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: one for key, one in schema.items() if key != "description" or not isinstance(one, str)}
    return {key: _without_docstrings(one) for key, one in kept.items()}
