"""A library that lends copies of books: a whole service with domainkit. README.md says how to run it."""
