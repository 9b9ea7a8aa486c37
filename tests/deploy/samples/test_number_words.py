"""Number words: what a person would write down, and nothing shared between training and measuring."""

import random

import pytest

from deploy.samples.number_words import LARGEST, english, russian, spoken_english
from deploy.samples.russian_translation_model import HELD_OUT, build_tokenizer, split


@pytest.mark.parametrize(
    ("number", "in_english", "in_russian"),
    [
        (0, "zero", "ноль"),
        (11, "eleven", "одиннадцать"),
        (21, "twenty-one", "двадцать один"),
        (40, "forty", "сорок"),
        (90, "ninety", "девяносто"),
        (100, "one hundred", "сто"),
        (105, "one hundred and five", "сто пять"),
        (1000, "one thousand", "одна тысяча"),
        (1001, "one thousand and one", "одна тысяча один"),
        (1111, "one thousand one hundred and eleven", "одна тысяча сто одиннадцать"),
        (2000, "two thousand", "две тысячи"),
        (2002, "two thousand and two", "две тысячи два"),
        (3013, "three thousand and thirteen", "три тысячи тринадцать"),
        (4440, "four thousand four hundred and forty", "четыре тысячи четыреста сорок"),
        (5000, "five thousand", "пять тысяч"),
        (9999, "nine thousand nine hundred and ninety-nine", "девять тысяч девятьсот девяносто девять"),
    ],
)
def test_a_number_in_words(number: int, in_english: str, in_russian: str) -> None:
    assert english(number) == in_english
    assert russian(number) == in_russian


def test_no_two_numbers_have_the_same_words() -> None:
    numbers = range(LARGEST + 1)
    assert len({english(number) for number in numbers}) == len({russian(number) for number in numbers}) == len(numbers)


def test_held_out_numbers_are_not_trained_on() -> None:
    trained, held_out = split(random.Random(1))
    assert len(held_out) == HELD_OUT
    assert not set(trained) & set(held_out)
    assert set(trained) | set(held_out) == set(range(LARGEST + 1))


def test_people_write_a_number_in_several_ways() -> None:
    rng = random.Random(1)
    assert {spoken_english(121, rng) for _ in range(200)} >= {
        "one hundred and twenty-one",
        "one hundred twenty one",
        "a hundred and twenty-one",
    }


def test_case_hyphens_and_spaces_do_not_matter() -> None:
    tokenizer = build_tokenizer()
    assert tokenizer("  Twenty-ONE ")["input_ids"] == tokenizer("twenty one")["input_ids"]
    ids = tokenizer(russian(2021))["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "две тысячи двадцать один"
