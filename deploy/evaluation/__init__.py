"""How good a revision is: labelled rows, what it answers to them, metrics, limits, and another revision beside it."""
