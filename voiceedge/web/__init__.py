"""The HTTP API, and the pages that use it."""
