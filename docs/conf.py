"""The configuration of the documentation: build it with `make docs`."""

import ast
import inspect
import itertools
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import stringify_annotation

import domainkit
from domainkit.aggregates import AnyId

project = "domainkit"
author = "The authors of domainkit"
release = version_of("domainkit-attrs")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"domainkit {release}"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["domainkit.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

default_role = "literal"  # docstrings write `name` with plain backticks
add_module_names = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
maximum_signature_line_length = 110

nitpicky = True
nitpick_ignore_regex = [
    # The build uses no network, so that the inventories of other projects are not there to link to.
    (r"py:.*", r"(returns|cattrs|attrs?|msgspec|pydantic|starlette|fastapi|sqlalchemy|tenacity|hypothesis)\..*"),
    (r"py:.*", r"(faststream|opentelemetry)\..*"),  # as above
    (r"py:.*", r"(asyncio|contextlib|threading|uuid|datetime|decimal|collections|enum|logging|abc|typing|types)\..*"),
    (r"py:.*", r"typing_extensions\..*"),
    (r"py:.*", r"(Result|Converter|UUID|BaseException|Logger|ABC)"),
    # protocols that any id and any class of aggregates fit: nothing to derive from
    (
        r"py:class",
        r"domainkit\.(errors\.Identified|aggregates\.IdentifiedBy|adapters\.starlette\._openapi\._Documents|formats\.event_map\.Consumer)",
    ),
    (r"py:class", r"domainkit\.(event_store\.(Async)?AppendsEvents|state_stored\.MakesState)"),  # as above
    (r"py:class", r"domainkit\.read_models\.Fold"),  # made by `on`
    # Type variables have no page: they stand for a type that the user gives.
    (r"py:.*", r"(.*\.)?([A-Z]|[A-Z]_(co|contra)|F[PTE]|[A-Z][0-9]{1,2}|([A-Z][a-z]*)+T(_co)?)(\.args|\.kwargs)?"),
]

PUBLIC = frozenset(domainkit.__all__)
SPELLED_OUT = {
    stringify_annotation(get_args(get_type_hints(domainkit.MessageHeader)["meta"])[1], "smart"): "JsonValue",
    repr(domainkit.DEFAULT_HTTP_ERROR_MAP): "DEFAULT_HTTP_ERROR_MAP",
    repr(domainkit.Limits()): "Limits()",
    "= NOTHING": "= ...",  # attrs makes the default anew each time
    stringify_annotation(type[AnyId], "smart"): "type[~domainkit.values.ValueObject]",
    repr(domainkit.Uuid): "Uuid",
}
"""Parts of signatures as autodoc spells them out, and what stands in the code."""


def _described() -> Iterator[tuple[str, str]]:
    """Yield the public constants and aliases, each with the text below its value."""
    for path in Path(domainkit.__file__).parent.rglob("*.py"):
        for statement, below in itertools.pairwise(ast.parse(path.read_text(encoding="utf-8")).body):
            text = ast.get_docstring(ast.Module([below], []))
            if isinstance(statement, ast.Assign | ast.AnnAssign) and text is not None:
                target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
                yield ast.unparse(target), text


DESCRIBED = {name: text for name, text in _described() if name in PUBLIC}


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Make a link of each public name that stands in the text as code."""
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext()
        inside = (nodes.title, nodes.reference, addnodes.pending_xref, addnodes.desc_signature)
        if name in PUBLIC and not _is_within(literal, inside) and not _is_of_peer(app.env.docname, literal):
            link = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=f"domainkit.{name}", refwarn=True, refdoc=app.env.docname
            )
            literal.replace_self(link)
            link += literal


def _is_within(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> bool:
    parent = node.parent
    while parent is not None:
        if isinstance(parent, kinds):
            return True
        parent = parent.parent
    return False


def _is_of_peer(docname: str, literal: nodes.literal) -> bool:
    """Return True for the name of a peer that has the same ones: ours are those of the other columns of tables."""
    entry = literal.parent.parent
    return docname.startswith("coming-from-") and not (isinstance(entry, nodes.entry) and entry.parent.index(entry) > 0)


def find_public_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Resolve a public name that a signature gives by the module where it is written, such as domainkit.values.Uuid."""
    target = node.get("reftarget", "")
    name = target.rsplit(".", 1)[-1]
    if node.get("refdomain") != "py" or name not in PUBLIC or target == f"domainkit.{name}":
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", f"domainkit.{name}", node, content)


def show_public_bases(*context: Any) -> None:  # Any: what Sphinx passes; the bases come last
    """Leave out the bases that are no public name: there is nothing to read about them."""
    bases: list[type] = context[-1]
    bases[:] = [base for base in bases if not _is_private(base)] or [object]


def tidy_signature(*context: Any) -> tuple[str | None, str | None]:  # Any: as above; two texts come last
    """Write what the code writes, where autodoc has lost it."""
    signature, returns = context[-2:]
    for found, written in SPELLED_OUT.items():
        signature = signature and signature.replace(found, written)
        returns = returns and returns.replace(found, written)
    return signature, returns


def describe_constants(*context: Any) -> None:  # Any: as above; the object's name is the third, its lines the last
    """Take what stands below the value of a constant or alias, and not the docstring of the class that it is of."""
    name, lines = str(context[2]).removeprefix("domainkit."), context[-1]
    if name in DESCRIBED:
        lines[:] = [*inspect.cleandoc(DESCRIBED[name]).splitlines(), ""]


def _is_private(base: type) -> bool:
    cls = get_origin(base) or base
    return cls.__module__.startswith("domainkit.") and cls.__name__ not in PUBLIC


def shorten_overloads(app: Sphinx, domain: str, objtype: str, content: addnodes.desc_content) -> None:  # noqa: ARG001  (Sphinx passes them)
    """Keep the first overloads of a function that has one for each number of steps: the others go on like them."""
    signatures = [node for node in content.parent.children if isinstance(node, addnodes.desc_signature)]
    for signature in signatures[3:]:
        content.parent.remove(signature)


def setup(app: Sphinx) -> None:
    """Connect the functions above to the build."""
    app.add_lexer("mermaid", TextLexer)  # a picture for those who read the page elsewhere; text here
    app.connect("autodoc-process-bases", show_public_bases)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-process-docstring", describe_constants)
    app.connect("object-description-transform", shorten_overloads)
    app.connect("doctree-read", link_names)
    app.connect("missing-reference", find_public_name)
