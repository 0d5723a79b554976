"""The version of this installation, looked up when it is first asked for: `import domainkit` doesn't wait for it."""

from importlib.metadata import version
from typing import Final

__version__: Final[str] = version("domainkit-attrs")
"""The version of domainkit that is installed, such as `"0.1.0"`: that of its distribution, `domainkit-attrs`.

>>> import domainkit
>>> domainkit.__version__.split(".")[0]
'0'

A copy of the package that no tool has installed has no version: then asking for it raises
`importlib.metadata.PackageNotFoundError`.
"""
