"""Domain objects to builtins and JSON, and back.

Several threads may import its parts for the first time at once: see `domainkit._model.loading`. So this package imports
none of its parts; and cattrs, which does import its own, is loaded as a whole before any part of it is used.
"""

import cattrs as cattrs
