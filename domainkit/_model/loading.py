"""The lock under which parts of the library are imported at their first use.

Threads that import parts of a package while another thread is importing the package itself meet gaps of the import
system: a module that is half loaded, or one that is missing from `sys.modules` for a moment (seen on CPython 3.11.7;
see https://github.com/python/cpython/issues/83065). So late imports wait for one another. Who holds the lock waits for
modules of the library and of its dependencies alone, none of which ask for it while they are imported.
"""

from threading import RLock

LOADING = RLock()
"""Hold it for each late import."""
