"""How the database came to its present shape, step by step (Alembic); run at every start, on SQLite and PostgreSQL.

A further step is a module `versions/rNNNN_what.py` with the next `revision` and the latest as `down_revision`: one
line, no branches. The same change goes into `voiceedge.context.storage.tables`; a test holds the two against each other
on both databases. Nodes are upgraded one after the other, so the release before must live with the new tables: columns
are added with a `server_default`, and what is no longer used is dropped a release later. Numbers that the database
counts are `BigInteger().with_variant(Integer(), "sqlite")`; partial indexes need both `sqlite_where` and
`postgresql_where`; times are milliseconds in a BigInteger.
"""
