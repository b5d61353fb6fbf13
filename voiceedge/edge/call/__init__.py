"""One call: its line, its flow, those it waits for and talks with, and what is told of it."""
