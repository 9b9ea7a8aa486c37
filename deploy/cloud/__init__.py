"""What the verbs that change Google Cloud share."""
