"""Serves the Task Manager: `python -m docs.examples.task_manager_api --port 8000`."""

from argparse import ArgumentParser

import uvicorn

from .app import make_app

parser = ArgumentParser("task_manager_api", description=__doc__)
parser.add_argument("--host", default="127.0.0.1", help="by default 127.0.0.1: only this machine can connect")
parser.add_argument("--port", type=int, default=8000, help="by default 8000; 0 picks a free port")
parser.add_argument("--database", default="sqlite+aiosqlite://", help="a URL of SQLAlchemy; by default in memory")
options = parser.parse_args()
uvicorn.run(make_app(options.database), host=options.host, port=options.port)
