"""Runs the Task Manager: `python -m docs.examples.task_manager`."""

import sys

from .main import main

sys.exit(main())
