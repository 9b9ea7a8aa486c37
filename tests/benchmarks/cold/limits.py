"""The least time that a cold start can take on this machine, by what it must do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """What the limit is made of, measured in the same run; seconds unless said otherwise.

    Args:
        boot: exec → 200 of functions-framework with a function that does nothing.
        round_trip: one small answer of the bucket.
        stored: bytes to fetch.
        rate: bytes a second of a bare ranged parallel download with BLAKE3.
        receiving_cpu: CPU seconds a byte of that download.
        import_cpu: of a bare import of the lane's packages.
        import_wall: of the same.
        wire: bytes in memory become a model.
        first: the first prediction.
    """

    boot: float
    round_trip: float
    stored: int
    rate: float
    receiving_cpu: float
    import_cpu: float
    import_wall: float
    wire: float
    first: float


def least_seconds(constants: Constants, cores: int) -> float:
    """Network, processor and import go on side by side: the slowest of them counts."""
    network = constants.round_trip + constants.stored / constants.rate
    processor = (constants.import_cpu + constants.stored * constants.receiving_cpu) / cores
    return constants.boot + max(network, processor, constants.import_wall) + constants.wire + constants.first
