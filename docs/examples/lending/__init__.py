"""A library that lends copies of books: a complete service with domainkit. README.md explains how to run it."""
