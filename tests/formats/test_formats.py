"""The package of the other views: what it exports, and what it needs."""

import json
import subprocess
import sys

from domainkit import formats

LOADED = """
import json, sys
import {module}
print(json.dumps(sorted(name for name in sys.modules)))
"""


def loaded_by(module: str) -> set[str]:
    """Return the modules that a fresh interpreter has after importing one."""
    ran = subprocess.run([sys.executable, "-c", LOADED.format(module=module)], capture_output=True, check=True)
    return set(json.loads(ran.stdout))


def test_the_public_names_are_locked() -> None:
    """A name that is added or lost is a decision, and is made here."""
    assert (
        [
            "AsyncApiDocument",
            "CloudEventCodec",
            "EventMap",
            "JsonSchema",
            "asyncapi_document",
            "codec_schema",
            "event_map",
            "message_schema",
        ]
        == formats.__all__
        == sorted(formats.__all__)
    )


def test_the_library_does_not_load_its_formats() -> None:
    """A program that only needs messages doesn't pay for their other views."""
    assert not {name for name in loaded_by("domainkit") if name.startswith("domainkit.formats")}


def test_formats_need_no_extra() -> None:
    """They load nothing that the codec doesn't, but for the standard library."""
    more = loaded_by("domainkit.formats") - loaded_by("domainkit.codec")
    standard = {*sys.stdlib_module_names, "_missing_stdlib_info"}  # CPython 3.15 has it, and doesn't list it

    assert {"domainkit"} == {name.partition(".")[0] for name in more} - standard
