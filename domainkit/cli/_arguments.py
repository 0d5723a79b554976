"""What the commands share: their errors, and objects that an argument names."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What a command is added to."""


class WrongArgumentError(Exception):
    """An argument that can't be used; the text says why, and the exit status is 2."""


class CommandFailedError(Exception):
    """A command that could not do what it should; the text says why, and the exit status is 1."""


def object_named(path: str) -> Any:  # Any: what it is shows when it is used
    """Return the object that MODULE:NAME names; modules are looked for where the command was started, too.

    Raises:
        WrongArgumentError: there is none.
    """
    module, _, name = path.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # so that an application is found where it stands, as `python -m` finds it
    try:
        return getattr(import_module(module), name)
    except (ImportError, ValueError) as error:
        raise WrongArgumentError(f"{path}: no module {module!r} ({error}); expected MODULE:NAME") from error
    except AttributeError as error:
        raise WrongArgumentError(f"{path}: the module {module} has no {name!r}; expected MODULE:NAME") from error
    finally:
        sys.path.pop(0)
