"""A Google Cloud on this machine, for the real gcloud: strict, with state, and it runs what is deployed to it.

By hand: ``python -m tests.fakes.control_plane`` prints what to paste into a shell.
"""

from tests.fakes.control_plane.plane import ControlPlane

__all__ = ["ControlPlane"]
