"""Print the lowest versions that pyproject.toml allows for the dependencies, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project.get("optional-dependencies", {}).values()
requirements = [*project["dependencies"], *(one for extra in extras for one in extra)]
for requirement in requirements:
    if requirement.startswith(project["name"]):
        continue  # an extra made of others
    name, lowest = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)(?:,.*)?", requirement).groups()
    print(f"{name}=={lowest}")
