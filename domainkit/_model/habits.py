"""Names that do something in petisco, and nothing here: a class that has one is refused, and told what to write.

A name is in the table if petisco 2.2.3, or pydantic under it, reads it from a class of its users by itself; if it would
be silently ignored here; and if nobody would use it for something else on a class of this kind. Names that only users
call, such as `get_message_id`, aren't: Python says that they are missing.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from domainkit._model.annotations import own_annotations
from domainkit._model.internals import FIELD

_OWN_RULE = "write an attrs validator, such as `value: str = field(validator=min_len(1))`"
_POST_INIT = "check in `__attrs_post_init__`, and compute in a named constructor"
_NO_OPTIONS = "remove it: the options of a class are arguments of @attrs.frozen"
_OWN_NAME = 'say `class Config: name = "..."`, and `version`'
_AROUND = "put it around the handler with `Mediator.within`, or around the function"
_ON_HTTP = "say it where the answer is made, such as in `exception_handlers(error_map=...)`"
_ROW = "pass `mapper=`, a RowMapper, to the constructor"
_METHOD = "write `__call__(self, command, proceed)`, and call `proceed(command)` in it"

_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Config.arbitrary_types_allowed": _NO_OPTIONS,
        "Config.extra": _NO_OPTIONS,
        "Config.frozen": _NO_OPTIONS,
        "Config.allow_mutation": _NO_OPTIONS,
        "Config.json_encoders": "register a hook with a converter; see make_converter",
        "Config.orm_mode": _NO_OPTIONS,
        "Config.from_attributes": _NO_OPTIONS,
        "Config.populate_by_name": _NO_OPTIONS,
        "Config.use_enum_values": _NO_OPTIONS,
        "Config.validate_assignment": _NO_OPTIONS,
    }
)
"""The options that pydantic reads in the nested `class Config` of a model. Messages look at theirs themselves."""

HABITS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        # the text of detail() and str(), and the title of a notification
        "DomainError": {
            "get_specific_detail": "name the class so, or write `def detail(self) -> str`",
            "set_additional_info": "pass `additional_info=` to the constructor; nobody adds the parameters of a call",
        },
        # a bus adds its meta by it; a routing key is made of the others, and a file of events ordered
        "Message": {
            "update_meta": "override `add_meta`, which buses call",
            "format_json": "let a codec with hooks write it: MessageCodec(..., converter=...)",
            "from_format": "let a codec read it: MessageCodec(..., upcasters=[...])",
            "get_message_name": _OWN_NAME,
            "get_message_version": _OWN_NAME,
            "get_message_type": "derive from DomainEvent or Command",
            "get_message_occurred_on": "pass `header=MessageHeader(occurred_on=...)`",
            "_message_name": _OWN_NAME,
            "_message_meta": "give it to each message: add_meta({...})",
        },
        # the validator of petisco's value objects: an override is called without a decorator too
        "ValueObject": {"validate_value": _OWN_RULE, **_OPTIONS},
        # that of its aggregates, for all fields: likewise
        "AggregateRoot": {"model_validation": _POST_INIT, **_OPTIONS},
        "HttpError": _OPTIONS,
        "NotifierMessage": _OPTIONS,
        # of pydantic, which keeps `model_` for itself, in every class of fields
        "Frozen": {
            "model_config": _NO_OPTIONS,
            "model_post_init": _POST_INIT,
        },
        # what each bus adds to the meta of what it sends
        "_BusWithMeta": {"get_configured_meta": "make the bus with `with_meta({...})`"},
        # of controllers and subscribers, which become use cases and services
        "Service": {
            "Config.middlewares": _AROUND,
            "Config.use_shared_middlewares": _AROUND,
            "Config.error_map": _ON_HTTP,
            "Config.success_handler": _ON_HTTP,
            "Config.failure_handler": _ON_HTTP,
        },
        # of SQLModelCrudRepository
        "SqlCrudRepository": {"get_aggregate_root": _ROW, "get_sql_model": _ROW, "get_sql_model_type": _ROW},
        "AsyncSqlCrudRepository": {"get_aggregate_root": _ROW, "get_sql_model": _ROW, "get_sql_model_type": _ROW},
        # of a Middleware; one with a __call__ may call them itself
        "Middleware": {"before": _METHOD, "after": _METHOD},
        "AsyncMiddleware": {"before": _METHOD, "after": _METHOD},
    }
)
"""By the class of this library that has it above: each name, or `Config.name` of a nested class, and its remedy."""

_PYDANTIC: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FieldValidatorDecoratorInfo": _OWN_RULE,
        "ValidatorDecoratorInfo": _OWN_RULE,
        "ModelValidatorDecoratorInfo": _POST_INIT,
        "RootValidatorDecoratorInfo": _POST_INIT,
        "FieldSerializerDecoratorInfo": "register a hook with a converter; see make_converter",
        "ModelSerializerDecoratorInfo": "register a hook with a converter; see make_converter",
        "ComputedFieldInfo": "write a property",
        "FieldInfo": "write `attrs.field(default=..., validator=...)`",
        "ModelPrivateAttr": "write a field, or keep it outside of the model",
    }
)
"""The objects that decorators and functions of pydantic leave in the body of a class, by class, with the remedy."""


def refuse_habits(cls: type) -> None:
    """Raise TypeError if the body of `cls` has something that petisco or pydantic would use, and nobody does here."""
    for name, value in tuple(vars(cls).items()):
        kind = type(getattr(value, "decorator_info", value))
        if kind.__module__.partition(".")[0] == "pydantic" and kind.__name__ in _PYDANTIC:
            raise _refused(cls, name, "pydantic", _PYDANTIC[kind.__name__])
    for name, remedy in _table_for(cls):
        if _has(cls, name):
            raise _refused(cls, name, "petisco", remedy)


def _refused(cls: type, name: str, who: str, remedy: str) -> TypeError:
    return TypeError(f"{cls.__qualname__}.{name}: {who} uses it; domainkit doesn't; {remedy}")


def _table_for(cls: type) -> Iterator[tuple[str, str]]:
    ours = __name__.partition(".")[0]
    for base in cls.__mro__[1:]:
        if base.__module__.partition(".")[0] == ours:
            yield from HABITS.get(base.__name__, {}).items()


def _has(cls: type, name: str) -> bool:
    """Check if the body of a class has the name, and not for something else."""
    body = vars(cls)
    if name.startswith("Config."):
        config = body.get("Config")
        return isinstance(config, type) and name.removeprefix("Config.") in vars(config) and not _is_model(config)
    if name == "validate_value" and any(isinstance(value, FIELD) for value in body.values()):
        return False  # it may be what `@value.validator` stands above
    if name in ("before", "after") and "__call__" in body:
        return False
    return name in body and (name.startswith("_") or name not in own_annotations(cls))


def _is_model(config: type) -> bool:
    """Check if it is a class of values, which a user may call Config."""
    return hasattr(config, "__attrs_attrs__") or hasattr(config, "__dataclass_fields__")
