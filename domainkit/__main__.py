"""`python -m domainkit`: the command line."""

import sys

from domainkit.cli import main

sys.exit(main())
