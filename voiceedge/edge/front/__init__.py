"""The front: Kamailio before the workers, configured, checked, started and watched by us."""
