"""Events on their way: from a worker's call to the store, from the store to the broker and to listeners here."""
