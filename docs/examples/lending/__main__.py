"""Serves the API: `python -m docs.examples.lending`, with the database of DOMAINKIT_DATABASE_URL."""

import os
from argparse import ArgumentParser

import uvicorn

from .app import make_app

parser = ArgumentParser("lending", description=__doc__)
parser.add_argument("--host", default="127.0.0.1", help="by default 127.0.0.1: only this machine can connect")
parser.add_argument("--port", type=int, default=8000, help="by default 8000; 0 picks a free port")
options = parser.parse_args()
uvicorn.run(make_app(os.environ["DOMAINKIT_DATABASE_URL"]), host=options.host, port=options.port)
