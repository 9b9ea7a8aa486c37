"""That a revision answers as it did when it was published, and what is recorded for that."""
