"""What a publisher brings: told by its bytes and documents, and made a wrapper."""
