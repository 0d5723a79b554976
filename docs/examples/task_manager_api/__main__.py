"""Serves the Task Manager: `python -m docs.examples.task_manager_api --port 8000`."""

from argparse import ArgumentParser

import uvicorn

from .app import make_app

parser = ArgumentParser("task_manager_api", description=__doc__)
parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 unless given: this machine alone")
parser.add_argument("--port", type=int, default=8000, help="8000 unless given; 0 is any that is free")
parser.add_argument("--database", default="sqlite+aiosqlite://", help="a URL of SQLAlchemy; in memory unless given")
options = parser.parse_args()
uvicorn.run(make_app(options.database), host=options.host, port=options.port)
