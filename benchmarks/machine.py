"""The machine and the versions that the figures were taken on."""

import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from domainkit._speedups.slots import COMPILED

_DISTRIBUTIONS: Final = (
    "domainkit-attrs", "attrs", "cattrs", "msgspec", "returns", "pydantic", "petisco", "eventsourcing", "protean",
    "lato", "waku", "python-cqrs",
)  # fmt: skip  # one list


def description() -> dict[str, str]:
    """Return what tells the machine, as label and text."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "System": f"{platform.system()} {platform.machine()}, {_load()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        "Part in C": "used" if COMPILED else "not used: domainkit did everything in Python",
        "Libraries": ", ".join(_versions(_DISTRIBUTIONS)),
    }


def _processor() -> str:
    """Return the model of the CPU; Linux tells it in a file, elsewhere there is a general name."""
    found = _fact(r"^model name\s*: (.+)$") or platform.processor() or "unknown"
    family, model = _fact(r"^cpu family\s*: (.+)$"), _fact(r"^model\s*: (.+)$")
    return f"{found} (family {family}, model {model})" if family and model else found


def _fact(pattern: str) -> str | None:
    path = Path("/proc/cpuinfo")
    found = re.search(pattern, path.read_text(), re.MULTILINE) if path.exists() else None
    return found.group(1).strip() if found else None


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "load unknown"


def _versions(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
