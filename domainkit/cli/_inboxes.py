"""Deletion of old marks in an inbox, given its database and table."""

import argparse
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from domainkit.adapters.sqlalchemy import AsyncInbox, AsyncUnitOfWork, inbox_table
from domainkit.cli._arguments import CommandFailedError
from domainkit.cli._databases import check, failure_of, opened


async def cleaned(options: argparse.Namespace, older_than: timedelta) -> int:
    """Delete the marks that are older, and return their number.

    Raises:
        CommandFailedError: the database or its table doesn't exist, or the connection is lost.
    """
    async with opened(options, inbox_table) as (engine, table):
        await check(engine, table, inbox_table)
        try:
            return await AsyncInbox(table, AsyncUnitOfWork(engine)).clean(older_than)
        except (SQLAlchemyError, OSError) as error:
            raise CommandFailedError(failure_of(engine.url, error)) from error
