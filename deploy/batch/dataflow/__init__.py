"""A batch job on Dataflow: what is submitted, on which machines, and how it is followed."""
