"""The job's report: one HTML file with nothing from anywhere else."""

from deploy.batch.summary import Summary


def page(told: Summary) -> str:
    return f"<pre>{told.table()}</pre>"
