"""Runs the examples of the documentation: each page is one story, from its first block to its last.

Blocks of `python` run, and tests/test_documentation.py has type checkers look at them; those of `py3` only run.
"""

from doctest import ELLIPSIS

from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

collect_ignore = [
    "conf.py",  # Sphinx reads it, and the tests don't need Sphinx
    "examples/lending/migrations",  # Alembic runs them
]

pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=ELLIPSIS),
        CodeBlockParser(language="py3", evaluator=PythonEvaluator()),
    ],
    patterns=["*.md"],
).pytest()
