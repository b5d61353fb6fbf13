"""The demo: a whole service on loopback, with everybody who takes part."""
