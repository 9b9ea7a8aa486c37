"""What a published model is made of: signatures, the manifest, verified bytes, the dill stream."""
