"""Conversations and their events on disk: the database, its tables, and the transactions that change them."""
