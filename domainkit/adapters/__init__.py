"""Adapters to frameworks, each behind an extra. They never import one another."""


def missing_extra(module: str, extra: str) -> ImportError:
    """Return the error for a missing dependency of the adapter `module`, with the command that installs it.

    >>> print(missing_extra("domainkit.adapters.starlette", "starlette"))
    domainkit.adapters.starlette needs an extra: pip install 'domainkit-attrs[starlette]'
    """
    return ImportError(f"{module} needs an extra: pip install 'domainkit-attrs[{extra}]'", name=extra)
