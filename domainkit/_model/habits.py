"""Names with a meaning in petisco and none here: a class that has one is refused, with a remedy in the error.

A name is in the table if petisco 2.2.3, or its pydantic, reads it from the classes of users; if domainkit would ignore
it silently; and if classes of this kind have no other use for it. Names that only users call, such as
`get_message_id`, are left out: Python itself reports them as missing.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from domainkit._model.annotations import own_annotations
from domainkit._model.internals import FIELD

_OWN_RULE = "write an attrs validator, such as `value: str = field(validator=min_len(1))`"
_POST_INIT = "check in `__attrs_post_init__`, and compute in a named constructor"
_NO_OPTIONS = "remove it: the options of a class are arguments of @attrs.frozen"
_OWN_NAME = 'write `class Config: name = "..."`, and `version`'
_AROUND = "wrap the handler with `Mediator.within`, or the function itself"
_ON_HTTP = "set it in the web adapter, such as `exception_handlers(error_map=...)`"
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
"""The options that pydantic reads in the nested `class Config` of a model. Messages check their own `Config`."""

HABITS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        # in petisco, the text of detail() and str(), and the title of a notification
        "DomainError": {
            "get_specific_detail": "put the text into the name of the class, or write `def detail(self) -> str`",
            "set_additional_info": "pass `additional_info=` to the constructor; call parameters aren't added to errors",
        },
        # a bus adds its meta with the first; the others determine the routing key and the order of stored events
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
        # the validator of its aggregates, for all fields: likewise
        "AggregateRoot": {"model_validation": _POST_INIT, **_OPTIONS},
        "HttpError": _OPTIONS,
        "NotifierMessage": _OPTIONS,
        # names of pydantic, which reserves `model_` in every class with fields
        "Frozen": {
            "model_config": _NO_OPTIONS,
            "model_post_init": _POST_INIT,
        },
        # the meta that each bus adds to its messages
        "_BusWithMeta": {"get_configured_meta": "make the bus with `with_meta({...})`"},
        # options of controllers and subscribers, which become use cases and services
        "Service": {
            "Config.middlewares": _AROUND,
            "Config.use_shared_middlewares": _AROUND,
            "Config.error_map": _ON_HTTP,
            "Config.success_handler": _ON_HTTP,
            "Config.failure_handler": _ON_HTTP,
        },
        # methods of SQLModelCrudRepository
        "SqlCrudRepository": {"get_aggregate_root": _ROW, "get_sql_model": _ROW, "get_sql_model_type": _ROW},
        "AsyncSqlCrudRepository": {"get_aggregate_root": _ROW, "get_sql_model": _ROW, "get_sql_model_type": _ROW},
        # methods of a Middleware; its own __call__ may call them
        "Middleware": {"before": _METHOD, "after": _METHOD},
        "AsyncMiddleware": {"before": _METHOD, "after": _METHOD},
    }
)
"""By base class of this library: each refused name (`Config.name` for a nested class), and its remedy."""

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
"""By class: the objects that decorators and functions of pydantic leave in a class body, and the remedy for each."""


def refuse_habits(cls: type) -> None:
    """Raise TypeError if the body of `cls` has a name that petisco or pydantic would use and domainkit ignores."""
    for name, value in tuple(vars(cls).items()):
        kind = type(getattr(value, "decorator_info", value))
        if kind.__module__.partition(".")[0] == "pydantic" and kind.__name__ in _PYDANTIC:
            raise _refused(cls, name, "pydantic", _PYDANTIC[kind.__name__])
    body = vars(cls)
    for name, remedy in _table_for(cls):
        if name.partition(".")[0] in body and _body_has(cls, name):
            raise _refused(cls, name, "petisco", remedy)


def _refused(cls: type, name: str, who: str, remedy: str) -> TypeError:
    return TypeError(f"{cls.__qualname__}.{name}: {who} uses it; domainkit doesn't; {remedy}")


def _table_for(cls: type) -> Iterator[tuple[str, str]]:
    ours = __name__.partition(".")[0]
    for base in cls.__mro__[1:]:
        if base.__module__.partition(".")[0] == ours:
            yield from HABITS.get(base.__name__, {}).items()


def _body_has(cls: type, name: str) -> bool:
    """Check if the body of a class has the name, with the meaning that petisco gives it."""
    body = vars(cls)
    if name.startswith("Config."):
        config = body.get("Config")
        return isinstance(config, type) and name.removeprefix("Config.") in vars(config) and not _is_model(config)
    if name == "validate_value" and any(isinstance(value, FIELD) for value in body.values()):
        return False  # it may be the method under `@value.validator`
    if name in ("before", "after") and "__call__" in body:
        return False
    return name in body and (name.startswith("_") or name not in own_annotations(cls))


def _is_model(config: type) -> bool:
    """Check if `config` is a class with fields, which a user may happen to call Config."""
    return hasattr(config, "__attrs_attrs__") or hasattr(config, "__dataclass_fields__")
