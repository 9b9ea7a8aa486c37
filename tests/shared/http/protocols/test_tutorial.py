import base64
import json

from model_functions.families.image_classification import GREY_SQUARE
from model_functions.http.function import FamilyFunction
from tests.shared.http.requests import body, form, get, message, request
from tests.tiny_models import TEXT

PATH = "/predict_proxy"
URLENCODED = "application/x-www-form-urlencoded"


def test_a_form_has_the_name_and_the_data(tagging: FamilyFunction) -> None:
    asked = {"model_name": "tiny_tagger", "data": TEXT}
    wanted = body(tagging.handle(request(json.dumps(asked).encode())))
    data, kind = form(("model_name", None, b"tiny_tagger"), ("data", None, TEXT.encode()))
    urlencoded = b"model_name=tiny_tagger&data=Anna+lives+in+Berlin%2C+and+works+for+UN."
    as_json = json.dumps(asked).encode()
    for sent, content_type in (
        (data, kind),
        (urlencoded, URLENCODED),
        (as_json, "application/json"),
        (as_json, URLENCODED),
    ):
        response = tagging.handle(request(sent, {"content-type": content_type}, target=PATH))
        assert body(response) == wanted, response.body


def test_a_form_may_have_a_file_and_parameters(seeing: FamilyFunction) -> None:
    image = base64.b64decode(GREY_SQUARE)
    data, kind = form(("model_name", None, b"tiny_eye"), ("data", "a.png", image), ("top_k", None, b"1"))
    found = body(seeing.handle(request(data, {"content-type": kind}, target=PATH)))
    assert len(found["body"]) == 1


def test_another_method_gets_the_body_that_the_first_version_gave(tagging: FamilyFunction) -> None:
    response = tagging.handle(get(PATH))
    assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")
    assert body(response)["405"] == "Method Not Allowed"


def test_what_lacks_is_told(tagging: FamilyFunction) -> None:
    data, kind = form(("model_name", None, b"tiny_tagger"))
    for sent, content_type in ((data, kind), (b"model_name=tiny_tagger", URLENCODED)):
        response = tagging.handle(request(sent, {"content-type": content_type}, target=PATH))
        assert response.status == 422
        assert message(response).startswith("The query has no data.")
