"""The real gcloud, for tests that call it hundreds of times."""
