"""Adapters to frameworks, one module each, behind the extra of the same name. They never import each other."""


def missing_extra(module: str, extra: str) -> ImportError:
    """Return the error that says how to install what the adapter `module` needs.

    >>> print(missing_extra("domainkit.adapters.starlette", "starlette"))
    domainkit.adapters.starlette needs an extra: pip install 'domainkit-attrs[starlette]'
    """
    return ImportError(f"{module} needs an extra: pip install 'domainkit-attrs[{extra}]'", name=extra)
