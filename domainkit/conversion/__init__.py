"""Domain objects to builtins and JSON, and back.

Threads may need its parts for the first time at once: see `domainkit._model.loading`. This package imports none of its
parts, and cattrs, which does, is loaded as a whole before any part of it is named.
"""

import cattrs as cattrs
