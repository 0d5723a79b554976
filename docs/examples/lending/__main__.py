"""Serves the API: `python -m docs.examples.lending`, over the database that DOMAINKIT_DATABASE_URL names."""

import os
from argparse import ArgumentParser

import uvicorn

from .app import make_app

parser = ArgumentParser("lending", description=__doc__)
parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 unless given: this machine alone")
parser.add_argument("--port", type=int, default=8000, help="8000 unless given; 0 is any that is free")
options = parser.parse_args()
uvicorn.run(make_app(os.environ["DOMAINKIT_DATABASE_URL"]), host=options.host, port=options.port)
