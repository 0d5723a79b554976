"""`python -m domainkit`: the command line."""

import sys

from domainkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
