"""The lock under which parts of the library are imported at their first use.

Threads that import parts of a package while another thread is importing the package itself run into gaps of the import
system: a module that is half loaded, or one that is missing from `sys.modules` for a moment (seen on CPython 3.11.7;
see https://github.com/python/cpython/issues/83065). So late imports wait for one another. There is no deadlock: while
it has the lock, a thread only waits for modules of the library and its dependencies, and these don't acquire the lock
when they are imported.
"""

from threading import RLock

LOADING = RLock()
"""Acquire it for each late import."""
