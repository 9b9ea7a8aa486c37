from model_functions.http.protocols.wording import in_words


def test_data_is_renamed_where_it_is_a_path_and_not_where_it_is_the_english_word() -> None:
    assert in_words("data[0] is empty.", "messages", {}) == "messages[0] is empty."
    assert in_words('"data" is a number.', "messages", {}) == '"messages" is a number.'
    assert in_words("The template refuses data: no.", "messages", {}) == "The template refuses messages: no."
    assert in_words("The model cannot take this data: no.", "messages", {}) == "The model cannot take this data: no."
