"""The machine under the service: what it should be, and whether it is."""
