"""Customers, what is known of them, and what they may ask for: reading, search, retention, erasure, the access log."""
