from model_functions.http.protocols.wording import in_words


def test_data_is_renamed_where_a_message_begins_and_not_where_it_is_the_english_word() -> None:
    assert in_words("data[0] is empty.", "messages", {}) == "messages[0] is empty."
    assert in_words('"data" is a number.', "messages", {}) == '"messages" is a number.'
    text = "The body cannot be decompressed as gzip: Error -3 while decompressing data: incorrect header."
    assert in_words(text, "messages", {}) == text
