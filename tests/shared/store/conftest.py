from tests.fakes.fixtures import fake_bucket

__all__ = ["fake_bucket"]
