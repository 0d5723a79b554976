"""The Task Manager as an HTTP API, with FastAPI: run it with `python -m docs.examples.task_manager_api`."""
