"""Images are labelled as transformers labels them, however they come in, and wrong ones are refused in words."""

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from deploy.assignments import json_or_text
from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import InvalidInput
from model_functions.families.image_classification import GREY_SQUARE, ImageClassificationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_models
from tests.shared.http.requests import accepted, body, get, message, post, request

PNG = tiny_models.picture()
TEXT = base64.b64encode(PNG).decode()
KINDS = ("ResNet", "ConvNext", "ViT", "Swin")


@pytest.fixture
def wrapper(eye: ImageClassificationWrapper) -> ImageClassificationWrapper:
    return eye


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_those_of_the_reference_pipeline(kind: str, tmp_path: Path) -> None:
    import transformers

    folder = tiny_models.image_folder(tmp_path, kind)
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    reference = transformers.pipeline("image-classification", model=model, image_processor=processor)
    found = ImageClassificationWrapper.from_source(str(folder)).predict([TEXT, GREY_SQUARE])
    for text, answer in zip((TEXT, GREY_SQUARE), found, strict=True):
        expected = reference(f"data:image/png;base64,{text}")
        assert [one["label"] for one in answer] == [one["label"] for one in expected]
        np.testing.assert_allclose([one["score"] for one in answer], [one["score"] for one in expected], atol=1e-6)


def test_several_labels_may_hold_at_once(tmp_path: Path) -> None:
    folder = tiny_models.image_folder(tmp_path, problem_type="multi_label_classification")
    wrapper = ImageClassificationWrapper.from_source(str(folder))
    scores = [one["score"] for one in wrapper.predict(TEXT)]
    logits = wrapper.engine.logits(wrapper.pixels(wrapper.input.items(TEXT)[0]))[0]
    np.testing.assert_allclose(scores, sorted(1 / (1 + np.exp(-logits)), reverse=True), rtol=1e-5)
    assert sum(scores) != pytest.approx(1, abs=0.01)


def test_a_model_of_grey_images_sees_coloured_ones_grey(tmp_path: Path) -> None:
    wrapper = ImageClassificationWrapper.from_source(str(tiny_models.image_folder(tmp_path, channels=1)))
    assert wrapper.processor.shape == (1, 32, 32)
    assert len(wrapper.predict([TEXT, base64.b64encode(tiny_models.picture(grey=True)).decode()])) == 2


def test_a_model_of_numbers_is_refused(tmp_path: Path) -> None:
    folder = tiny_models.image_folder(tmp_path, problem_type="regression")
    with pytest.raises(ValueError, match="it gives numbers, and no labels"):
        ImageClassificationWrapper.from_source(str(folder))


def test_a_processor_that_is_not_known_is_refused(tmp_path: Path) -> None:
    folder = tiny_models.image_folder(tmp_path)
    config = folder / "preprocessor_config.json"
    config.write_text(json.dumps({"image_processor_type": "PerceiverImageProcessor", "size": 32}))
    with pytest.raises(ValueError, match="PerceiverImageProcessor does what is not known here"):
        ImageClassificationWrapper.from_source(str(folder))


def module() -> Any:
    import torch

    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.Flatten(), torch.nn.Linear(4 * 7 * 7, 2))


def test_a_torch_module_needs_labels_and_a_size() -> None:
    wrapper = ImageClassificationWrapper.from_module(
        module(), ["no", "yes"], size=(20, 20), crop=(16, 16), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    )
    [no, yes] = sorted(wrapper.predict(TEXT), key=lambda one: str(one["label"]))
    assert no["score"] + yes["score"] == pytest.approx(1)
    loaded = stream.load_and_list(stream.dump(wrapper))[0]
    assert loaded.predict(TEXT) == wrapper.predict(TEXT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (0.5,)}, "There are 1 values of mean and 0 of std."),
        ({"mean": (0.5, 0.5), "std": (1, 1)}, "Give 3 of each, or 1 for grey."),
        ({"resample": "smooth"}, 'There is no way to resample called "smooth". There are: nearest, '),
    ],
)
def test_a_module_with_impossible_settings_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageClassificationWrapper.from_module(module(), ["no", "yes"], size=(20, 20), **settings)


def test_labels_that_do_not_fit_a_module_are_refused() -> None:
    with pytest.raises(ValueError, match=r"The module gives numbers of shape \(1, 2\) for an image, and there are 3"):
        ImageClassificationWrapper.from_module(module(), ["a", "b", "c"], size=(16, 16))


def test_the_threshold_and_top_k_leave_labels_out(wrapper: ImageClassificationWrapper) -> None:
    everything = wrapper.predict(TEXT)
    assert wrapper.predict(TEXT, {"top_k": 2}) == everything[:2]
    assert wrapper.predict(TEXT, {"threshold": everything[1]["score"]}) == everything[:2]
    assert wrapper.predict(TEXT, {"threshold": 1}) == []
    assert [one["score"] for one in everything] == sorted((one["score"] for one in everything), reverse=True)
    with pytest.raises(InvalidInput, match="Give an integer from 1 to 3"):
        wrapper.predict(TEXT, {"top_k": 4})


def test_a_batch_gives_what_each_image_gives_alone(wrapper: ImageClassificationWrapper) -> None:
    texts = [TEXT, GREY_SQUARE, base64.b64encode(tiny_models.picture(90, 20, kind="JPEG")).decode()]
    for alone, together in zip(map(wrapper.predict, texts), wrapper.predict(texts), strict=True):
        assert [one["label"] for one in alone] == [one["label"] for one in together]
        np.testing.assert_allclose([one["score"] for one in alone], [one["score"] for one in together], atol=1e-6)


def test_publishing_twice_gives_the_same_revision(
    image_folder: Path, wrapper: ImageClassificationWrapper, repository: Repository, key: SigningKey
) -> None:
    again = ImageClassificationWrapper.from_source(str(image_folder))
    revisions = {
        publish(one, name="tiny", examples=[TEXT], repository=repository, key=key, engine="torch").manifest.revision
        for one in (wrapper, again)
    }
    assert len(revisions) == 1


def test_an_example_for_publish_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(PNG)
    assert json_or_text(f"@{file}") == TEXT
    assert json_or_text("@nobody says hello") == "@nobody says hello"


# Over HTTP


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory,
    eye: ImageClassificationWrapper,
    trust: Trust,
    key: SigningKey,
    trust_file: Path,
) -> Settings:
    folder = tmp_path_factory.mktemp("images")
    repository = Repository(FolderStore(folder), trust)
    publish(eye, name="tiny_eye", examples=[TEXT], repository=repository, key=key, engine="torch")
    return Settings.from_environment({"MODEL_STORE": str(folder), "MODEL_TRUST": str(trust_file)})


@pytest.fixture(scope="module")
def function(settings: Settings) -> FamilyFunction:
    return FamilyFunction(ImageClassificationWrapper, settings)


def form(*parts: tuple[str, bytes], boundary: str = "xyz") -> Any:
    """A form's request; a part is a field, or a file if its name has a dot."""
    data = b""
    for name, content in parts:
        file = f'; filename="{name}"' if "." in name else ""
        data += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        data += content + b"\r\n"
    return request(data + f"--{boundary}--\r\n".encode(), {"content-type": "multipart/form-data; boundary=xyz"})


def sent(data: bytes, kind: str = "image/png", query: str = "") -> Any:
    return request(data, {"content-type": kind}, target=f"/predict{query}")


def test_an_image_comes_in_every_way(function: FamilyFunction, wrapper: ImageClassificationWrapper) -> None:
    expected = wrapper.predict(TEXT, {"top_k": 2})
    target = "/predict?model_name=tiny_eye&top_k=2&data=" + base64.b64encode(PNG).decode().replace("+", "%2B")
    ways = [
        post({"data": TEXT, "parameters": {"top_k": 2}}),
        post({"data": f"data:image/png;base64,{TEXT}", "parameters": {"top_k": 2}}),
        post({"data": "\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76)), "parameters": {"top_k": 2}}),
        sent(PNG, query="?model_name=tiny_eye&top_k=2"),
        sent(PNG, "application/octet-stream", "?top_k=2"),
        sent(PNG, "image/x-whatever; charset=binary", "?top_k=2"),
        form(("model_name", b"tiny_eye"), ("top_k", b"2"), ("a.png", PNG)),
        form(("a.png", PNG), ("parameters", b'{"top_k": 2}')),
        get(target),
        get(target.replace("%2B", "+")),
    ]
    for asked in ways:
        response = function.handle(asked)
        assert response.status == 200, message(response)
        assert body(response)["body"] == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_what_an_image_is_its_bytes_say_and_not_what_it_is_called(
    function: FamilyFunction, wrapper: ImageClassificationWrapper, kind: str
) -> None:
    file = tiny_models.picture(kind=kind)
    text = base64.b64encode(file).decode()
    for called in ("image/png", "image/jpeg"):
        for asked in (sent(file, called), post({"data": f"data:{called};base64,{text}"})):
            assert body(function.handle(asked))["body"] == wrapper.predict(text)


def test_several_files_of_a_form_give_a_list(function: FamilyFunction, wrapper: ImageClassificationWrapper) -> None:
    answers = body(function.handle(form(("a.png", PNG), ("b.gif", tiny_models.picture(kind="GIF")))))["body"]
    assert len(answers) == 2
    assert [one["label"] for one in answers[0]] == [one["label"] for one in wrapper.predict(TEXT)]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, extra: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" * 4))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + _chunk(b"IEND", b"")


_PACKED = zlib.compress(bytes(50_000_000), 9)
JPEG = tiny_models.picture(kind="JPEG")
FILES = "Send an image file as the body, as a file of a form, or in base64."
KNOWN = "Send a PNG, JPEG, WebP or GIF image."

WRONG: dict[str, tuple[Any, int, str]] = {
    "a number": (post({"data": 5}), 422, f"data is a number. {FILES}"),
    "an object": (post({"data": {"image": TEXT}}), 422, f"data is an object. {FILES}"),
    "null among images": (post({"data": [TEXT, None]}), 422, f"data[1] is null. {FILES}"),
    "no image in the list": (post({"data": []}), 422, "data is an empty list. Send at least one item."),
    "too many": (post({"data": [TEXT] * 33}), 422, "data has 33 items; the limit is 32. Send fewer per request."),
    "an empty text": (post({"data": ""}), 422, f"data is empty: 0 bytes. {FILES}"),
    "no base64": (post({"data": "grandma.png"}), 422, f'data is no base64: "grandma.png". {FILES}'),
    "base64 cut off": (post({"data": TEXT[:-3]}), 422, "data is no base64"),
    "base64 of a text": (post({"data": "aGVsbG8="}), 422, f"data is no image. {KNOWN}"),
    "an address": (
        post({"data": "HTTPS://example.com/cat.png"}),
        422,
        f"data is the address of an image, and nothing is fetched from there. {FILES}",
    ),
    "a data: URL of text": (post({"data": "data:text/plain,hello"}), 422, 'data is a data: URL of "text/plain".'),
    "a data: URL without base64": (post({"data": "data:image/png,%89PNG"}), 422, 'data is a data: URL of "image/png".'),
    "a data: URL of nothing": (post({"data": "data:image/png;base64,"}), 422, "data is empty: 0 bytes."),
    "an empty body": (sent(b""), 422, f"data is empty: 0 bytes. {FILES}"),
    "an SVG": (
        sent(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        422,
        f"data is an SVG drawing, which has no pixels. {KNOWN}",
    ),
    "a text called an image": (sent(b"hello"), 422, f"data is no image. {KNOWN}"),
    "half a JPEG": (sent(JPEG[:-40], "image/jpeg"), 422, "data is a JPEG image that is cut off or broken"),
    "half a PNG": (post({"data": [TEXT, base64.b64encode(PNG[:-30]).decode()]}), 422, "data[1] is a PNG image that is"),
    "a bomb": (
        sent(_png(60_000, 60_000)),
        422,
        "data has 60000 × 60000 pixels; the limit is 25,000,000. Send it smaller.",
    ),
    "a profile that is a bomb": (sent(_png(1, 1, _chunk(b"iCCP", b"k\0\0" + _PACKED))), 422, "data is "),
    "a note that is a bomb": (sent(_png(1, 1, _chunk(b"zTXt", b"k\0\0" + _PACKED))), 422, "data is "),
    "no pixels": (sent(_png(0, 0)), 422, "data is an image whose header is cut off or broken."),
    "a body beside data": (sent(PNG, query="?data=x"), 422, "The request has data as text beside a file."),
    "a parameter out of bounds": (sent(PNG, query="?top_k=0"), 422, '"top_k": 0 is out of bounds. Give an integer'),
    "an unknown parameter": (sent(PNG, query="?topk=1"), 422, '"topk" is no parameter of this model.'),
    "a parameter that is no number": (sent(PNG, query="?top_k=few"), 422, '"top_k": "few" is no integer.'),
    "a parameter twice": (sent(PNG, query="?top_k=1&top_k=2"), 422, "The request has a parameter twice."),
    "a compressed body": (
        request(PNG, {"content-type": "image/png", "content-encoding": "gzip"}),
        400,
        "The body cannot be decompressed as gzip: ",
    ),
    "another type": (
        sent(PNG, "application/pdf"),
        415,
        'The body is "application/pdf". Send application/json or image/* or application/octet-stream or multipart/',
    ),
    "a form without a file": (
        form(("model_name", b"tiny_eye")),
        422,
        "The form has no file. Send one, as curl -F file=@image.png does.",
    ),
    "an empty form": (form(), 422, "The form has no file."),
    "an image called nothing": (
        request(PNG),
        400,
        "Send UTF-8. If it is a file, name its type, as Content-Type: image/png.",
    ),
    "an empty file": (form(("a.png", b"")), 422, "data is empty: 0 bytes."),
    "a bad file among good ones": (form(("a.png", PNG), ("b.png", b"hello")), 422, "data[1] is no image."),
    "another boundary": (
        form(("a.png", PNG), boundary="abc"),
        400,
        'The form cannot be read: its boundary "xyz" does not divide the body into whole parts.',
    ),
    "a form cut off": (
        request(form(("a.png", PNG)).read(-1)[:-9], {"content-type": "multipart/form-data; boundary=xyz"}),
        400,
        "The form cannot be read",
    ),
    "no boundary": (request(PNG, {"content-type": "multipart/form-data"}), 400, "The form names no boundary"),
    "too many parts": (form(*[(f"{n}.png", b"x") for n in range(101)]), 413, "The form has more than 100 parts."),
    "too many files": (form(*[(f"{n}.png", PNG) for n in range(33)]), 422, "data has 33 items; the limit is 32."),
    "parameters that are no object": (
        form(("a.png", PNG), ("parameters", b"[1]")),
        422,
        'The field "parameters" is no',
    ),
    "parameters that are no JSON": (form(("a.png", PNG), ("parameters", b"{")), 400, "The body is not JSON"),
    "a parameter in two places": (
        form(("a.png", PNG), ("parameters", b'{"top_k": 1}'), ("top_k", b"1")),
        422,
        "The request has a parameter twice. Send each once.",
    ),
    "another model": (sent(PNG, query="?model_name=nope"), 404, 'No model "nope" is published as "prod"'),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(function: FamilyFunction, name: str) -> None:
    asked, status, text = WRONG[name]
    response: Response = function.handle(asked)
    assert response.status == status
    assert text in message(response)


def test_a_body_over_the_limit_is_413(settings: Settings) -> None:
    from dataclasses import replace

    small = FamilyFunction(ImageClassificationWrapper, replace(settings, max_body_bytes=100))
    for asked in (sent(PNG), form(("a.png", PNG))):
        assert small.handle(asked).status == 413


def test_a_gif_of_a_thousand_frames_is_read_as_its_first(function: FamilyFunction) -> None:
    import io

    from PIL import Image

    file = io.BytesIO()
    frames = [Image.new("L", (64, 64), number % 256) for number in range(1000)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert function.handle(sent(file.getvalue(), "image/gif")).status == 200


def test_the_openapi_document_names_what_the_body_may_be(function: FamilyFunction) -> None:
    document = body(function.handle(get("/openapi.json")))
    operation = document["paths"]["/predict"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "image/*", "application/octet-stream", "multipart/form-data"}
    assert content["image/*"]["schema"]["description"] == "For tiny_eye."
    asked = {one["name"] for one in operation["parameters"] if one.get("in") == "query"}
    assert asked == {"model_name", "top_k", "threshold"}
    jsonschema.validate({"model_name": "tiny_eye", "data": TEXT}, accepted(document))


def test_the_familys_page_shows_a_command_to_read(function: FamilyFunction) -> None:
    page = function.handle(get("/", {"accept": "text/html"})).body.decode()
    assert "/predict?model_name=tiny_eye&quot; -H &#x27;Content-Type: image/png&#x27; --data-binary @image.png" in page
    assert TEXT not in page


def test_the_interface_says_what_a_page_needs(wrapper: ImageClassificationWrapper) -> None:
    interface = wrapper.interface()
    assert (interface["kind"], interface["media"]) == ("image", ["image/*", "application/octet-stream"])
    assert interface["data"]["anyOf"][0]["x-image"] == {"channels": 3, "height": 32, "width": 32}
