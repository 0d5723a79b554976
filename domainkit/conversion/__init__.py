"""Domain objects to builtins and JSON, and back.

Threads may load its parts at once. That goes wrong where one thread loads a part of a package and another the package,
which imports that part: https://github.com/python/cpython/issues/83065. So this package imports none of its parts, and
cattrs, which does, is loaded as a whole before any part of it is named.
"""

import cattrs as cattrs
