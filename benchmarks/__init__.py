"""How fast domainkit is, beside its peers and beside code written by hand. Run it: `python -m benchmarks`."""
