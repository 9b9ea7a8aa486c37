"""One module a family: its wrapper class, and nothing that another family needs."""
