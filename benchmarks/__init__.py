"""Compares the speed of domainkit with its peers and with code written by hand. Run it: `python -m benchmarks`."""
