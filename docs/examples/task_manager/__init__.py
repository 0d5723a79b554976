"""A Task Manager, built with domainkit: run it with `python -m docs.examples.task_manager`."""
