"""Draws the pictures of the documentation: `python docs/pictures.py` writes them into `docs/_static`.

They are 340 units wide, so that a phone shows them in full size, and follow the color scheme of the page.
"""

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path

STATIC = Path(__file__).parent / "_static"
WIDTH = 340
AT_MOST = "at most "
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1b1f24}.small{font-size:12px}.name{font-weight:600}"
    ".page{fill:#fff}rect.box,path{stroke:#57606a;stroke-width:1.2}.box{fill:#f3f4f6}.ours{fill:#cfe3ff}"
    ".store{fill:#e4f4dd}.other{fill:#ffe0b8}path{fill:none}.head{fill:#57606a;stroke:none}.back{stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e8eb}.page{fill:#131416}rect.box,path{stroke:#9aa4af}.box{fill:#24272b}"
    ".ours{fill:#1d3a5f}.store{fill:#22422c}.other{fill:#553a17}.head{fill:#9aa4af}}"
)
HEAD = (
    '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="head" d="M0,0 L10,5 L0,10 z"/></marker></defs>'
)


def picture(title: str, height: int, *marks: str) -> str:
    """Return an SVG; its title is what a screen reader reads."""
    head = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
    body = "\n".join([HEAD, f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>', *marks])
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" {head} aria-label="{escape(title)}">'
    return f"{begin}\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"


def text(x: int, y: int, words: str, *, kind: str = "small", anchor: str = "start") -> str:
    """Return a line of text; `anchor` is its start, middle or end."""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def box(x: int, y: int, width: int, *lines: str, kind: str = "") -> str:
    """Return a box with lines of text: its name, and small ones below."""
    name, *small = lines
    height = 16 + 18 * len(lines)
    kinds = f"box {kind}".strip()
    frame = f'<rect class="{kinds}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
    middle = x + width // 2
    rows = [text(middle, y + 22 + 18 * row, line, anchor="middle") for row, line in enumerate(small, start=1)]
    return "\n".join([frame, text(middle, y + 22, name, kind="name", anchor="middle"), *rows])


def arrow(path: str, *, back: bool = False) -> str:
    """Return an arrow along an SVG path; `back` is for an answer, and dashed."""
    return f'<path{" class=" + chr(34) + "back" + chr(34) if back else ""} d="{path}" marker-end="url(#head)"/>'


def delivery() -> str:
    """Draw the path of one event; the numbers are those of docs/explanation/delivery.md."""
    return picture(
        "The path of one event: aggregate and outbox, relay, broker, consumer, inbox and effects",
        612,
        box(40, 10, 260, "your program", "command, use case, aggregate, event", kind="ours"),
        arrow("M110,62 V104"),
        arrow("M230,62 V104"),
        text(170, 88, "1 COMMIT", kind="name", anchor="middle"),
        box(40, 106, 140, "aggregates", "the new state", kind="store"),
        box(180, 106, 120, "outbox", "its events", kind="store"),
        arrow("M210,158 V206"),
        arrow("M260,206 V160", back=True),
        text(202, 186, "2 lease", anchor="end"),
        text(268, 186, "4 mark"),
        box(40, 208, 260, "relay", "retries until the broker confirms", kind="ours"),
        arrow("M110,260 V308"),
        arrow("M220,308 V262", back=True),
        text(102, 288, "3 publish", anchor="end"),
        text(228, 288, "confirm"),
        box(40, 310, 260, "broker", "a queue for each subscriber", kind="other"),
        arrow("M110,362 V410"),
        arrow("M220,410 V364", back=True),
        text(102, 390, "5 deliver", anchor="end"),
        text(228, 390, "7 acknowledge"),
        box(40, 412, 260, "consumer", "asks the inbox, calls the handler", kind="ours"),
        arrow("M110,464 V508"),
        arrow("M230,464 V508"),
        text(170, 490, "6 COMMIT", kind="name", anchor="middle"),
        box(40, 510, 120, "inbox", "handled before?", kind="store"),
        box(160, 510, 140, "effects", "of the handler", kind="store"),
        text(170, 590, "1 and 6: one transaction each, all or nothing", anchor="middle"),
    )


def aggregate() -> str:
    """Draw what an aggregate does with a command."""
    return picture(
        "An aggregate: a method makes the next aggregate, which carries its events; a repository stores both",
        290,
        box(10, 10, 140, "aggregate", "version 1", kind="ours"),
        box(190, 10, 140, "command", "RenameTask"),
        arrow("M80,62 V100"),
        arrow("M260,62 V100"),
        box(10, 102, 320, "task.rename(title)", "returns a new value, or a Failure", kind="ours"),
        arrow("M80,154 V192"),
        arrow("M260,154 V192"),
        text(170, 178, "update", kind="name", anchor="middle"),
        box(10, 194, 160, "row of the task", "version 2", kind="store"),
        box(170, 194, 160, "outbox", "TaskRenamed", kind="store"),
        text(170, 272, "one transaction, all or nothing", anchor="middle"),
    )


def decider() -> str:
    """Draw what a decider does with a command."""
    return picture(
        "A decider: decide makes events of a command and a state, evolve makes the next state; store either",
        376,
        box(10, 10, 140, "state", "a plain value", kind="ours"),
        box(190, 10, 140, "command", "Deposit"),
        arrow("M80,62 V100"),
        arrow("M260,62 V100"),
        box(40, 102, 290, "decide(command, state)", "returns events, or a Failure", kind="ours"),
        arrow("M185,154 V192"),
        text(193, 178, "Deposited"),
        box(40, 194, 290, "evolve(state, event)", "returns the next state", kind="ours"),
        arrow("M40,220 H20 V64", back=True),
        arrow("M110,246 V292"),
        arrow("M260,246 V292"),
        text(185, 274, "you choose", kind="name", anchor="middle"),
        box(10, 294, 155, "EventSourced", "a stream of events", kind="store"),
        box(175, 294, 155, "StateStored", "a row, and the outbox", kind="store"),
        text(170, 366, "the same decider, the same answers", anchor="middle"),
    )


def event_sourcing() -> str:
    """Draw the way from a command to a stream of events, and from all events to a list."""
    return picture(
        "Event sourcing: decide on the state of a stream, append the events; a projection of all events makes a list",
        470,
        box(135, 10, 140, "command", "Withdraw"),
        arrow("M205,62 V100"),
        box(80, 102, 250, "decide(command, state)", "events, or a Failure", kind="ours"),
        arrow("M205,154 V192"),
        text(213, 178, "append"),
        box(80, 194, 250, "event store", "a stream for each account", kind="store"),
        arrow("M80,220 H56 V128 H78", back=True),
        text(8, 170, "state by"),
        text(8, 186, "evolve"),
        arrow("M205,246 V292"),
        text(213, 274, "read_all"),
        box(80, 294, 250, "projection", "a step for each event", kind="ours"),
        arrow("M205,346 V384"),
        box(80, 386, 250, "a list of all accounts", "owner, balance", kind="store"),
        text(170, 460, "the events are stored; all else is made of them", anchor="middle"),
    )


LAYERS: Mapping[str, tuple[str, ...]] = {
    "the model and its wire form": ("errors, conversion, values, messages", "aggregates, versions, codec"),
    "the application": ("results, deciders, ports, event_store", "use_cases, mediator"),
    "without a database or a broker": ("http, memory, formats",),
    "adapters, each behind its extra": (
        "sqlalchemy, rabbitmq, faststream",
        "starlette, pydantic, tenacity, opentelemetry",
    ),
    "tools": ("testing, cli",),
}
"""The layers of the package from the innermost, each with its modules, in the order of their imports."""


def modules() -> str:
    """Draw the map of the modules: the innermost layer on top, since a file imports only from above it."""
    marks, top = [], 10
    for name, lines in LAYERS.items():
        kind = "other" if name.startswith("adapters") else "" if name == "tools" else "ours"
        marks += [arrow(f"M170,{top} V{top - 22}")] if marks else []
        marks.append(box(10, top, 320, name, *lines, kind=kind))
        top += 16 + 18 * (1 + len(lines)) + 24
    return picture(
        "The modules of domainkit in layers, from the model to the adapters and tools",
        top + 16,
        *marks,
        text(170, top + 2, "an arrow means: imports from", anchor="middle"),
    )


def task_manager_map() -> str:
    """Draw the map of the Task Manager, which docs/how-to/event-map.md makes as data."""
    boxes = {"CreateTask": "ours", "TaskCreator": "", "TaskCreated": "other", "count_tasks": "store"}
    marks = []
    for row, (name, kind) in enumerate(boxes.items()):
        top = 10 + 66 * row
        marks += [arrow(f"M170,{top - 32} V{top - 2}")] if row else []
        marks.append(box(70, top, 200, name, kind=kind))
    return picture("The map of the Task Manager: a command, its handler, an event and its subscriber", 252, *marks)


def bars(section: str) -> str:
    """Draw the table of a section of docs/performance.md: each figure as a part of its bar, longer is better."""
    marks, top, unit, left = [], 34, 110, 90
    marks.append(text(left + unit, 20, "the bar", kind="name", anchor="middle"))
    for name, *cells in rows_of(section):
        first = top + 20
        marks.append(text(10, top + 14, name, kind="name"))
        for database, figure, bar in (("SQLite", *cells[:2]), ("PostgreSQL", *cells[2:])):
            if bar:
                top += 20
                width = round(unit * min(1.8, part_of_bar(figure, bar)))
                marks.append(text(10, top + 13, database))
                marks.append(f'<rect class="box ours" x="{left}" y="{top + 2}" width="{width}" height="14"/>')
                marks.append(text(WIDTH - 10, top + 13, figure, anchor="end"))
        marks.append(f'<path class="back" d="M{left + unit},{first} V{top + 18}"/>')
        top += 30
    return picture(f"{section}: each comparison as a part of its bar", top, *marks)


def rows_of(section: str) -> list[list[str]]:
    """Return the cells of the rows of the section's table: a name, then figure and bar for each database."""
    page = (STATIC.parent / "performance.md").read_text("utf-8")
    table = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0].partition("| comparison |")[2]
    lines = table.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def part_of_bar(figure: str, bar: str) -> float:
    """Return how much of a bar is reached: 1.0 is all of it, more is better; `at most 0.1` is a bar that is a limit."""
    if bar.startswith(AT_MOST):
        return float(bar.removeprefix(AT_MOST)) / float(figure)
    return float(figure) / float(bar)


PICTURES: Mapping[str, Callable[[], str]] = {
    "delivery.svg": delivery,
    "aggregate.svg": aggregate,
    "decider.svg": decider,
    "event-sourcing.svg": event_sourcing,
    "durable.svg": partial(bars, "Saving, relaying and consuming"),
    "event-store.svg": partial(bars, "Event stores"),
    "modules.svg": modules,
    "task-manager-map.svg": task_manager_map,
}

if __name__ == "__main__":
    for file, draw in PICTURES.items():
        (STATIC / file).write_text(draw(), encoding="utf-8")
