"""Prints what functions cost by their traffic, as a table: python -m deploy.cloud.cost_table"""

import yaml

from deploy.cloud.costs import Prices, Size, traffic
from deploy.project import FUNCTIONS

#: Requests a second.
RATES = (0, 1, 10, 100)

#: What is computed for: a family, what stands for it in the table, and seconds that a request takes (the README's
#: figures; of text_generation 64 tokens at 80 a second, one answer after the other).
ROWS = (
    ("tabular", "a scikit-learn pipeline", 0.002),
    ("text_classification", "a classifier of BERT-base's size", 0.03),
    ("text_generation", "64 tokens of GPT-2's size", 0.8),
    ("gateway", "the gateway before the classifier", 0.03),
)


def lines() -> list[str]:
    """In Markdown."""
    prices = Prices.read_file()
    head = ["| function | request | idle | 1/s | 10/s | 100/s |", "| --- | --- | --- | --- | --- | --- |"]
    return head + [_row(prices, *row) for row in ROWS]


def _row(prices: Prices, family: str, what: str, seconds: float) -> str:
    size = Size.of(yaml.safe_load((FUNCTIONS / family / "flags.yaml").read_text()))
    # The gateway waits for other functions, side by side; a model takes one request after the other.
    at_once = size.concurrency if family == "gateway" else 1
    costs = [f"${traffic(prices, size, rate, seconds, at_once):,.0f}" for rate in RATES]
    return " | ".join([f"| `{family}`", f"{what}, {seconds * 1000:g} ms", *costs]) + " |"


if __name__ == "__main__":
    print("\n".join(lines()))
