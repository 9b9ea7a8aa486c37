import json
from pathlib import Path

import pytest

from model_functions.artifact.signing import Trust, canonical
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import ConfigurationInvalid, ManifestInvalid, ServingError, SignatureRefused

DOCUMENT = {"name": "wine", "text": "é ü 中", "number": 1.5, "list": [1, 2]}


def test_a_signed_document_comes_back(key: SigningKey, trust: Trust) -> None:
    assert trust.verify("manifest", key.sign("manifest", DOCUMENT)) == DOCUMENT


def test_every_flipped_bit_is_refused(key: SigningKey, trust: Trust) -> None:
    signed = key.sign("manifest", DOCUMENT)
    for position in range(len(signed) * 8):
        flipped = bytearray(signed)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises((SignatureRefused, ManifestInvalid)):
            trust.verify("manifest", bytes(flipped))


def test_every_truncation_and_addition_is_refused(key: SigningKey, trust: Trust) -> None:
    signed = key.sign("manifest", DOCUMENT)
    changed = [signed[:length] for length in range(len(signed))] + [signed + b" ", b" " + signed, signed * 2]
    for data in changed:
        with pytest.raises((SignatureRefused, ManifestInvalid)):
            trust.verify("manifest", data)


def test_another_spelling_of_the_same_json_is_refused(key: SigningKey, trust: Trust) -> None:
    spelled = json.dumps(json.loads(key.sign("manifest", DOCUMENT))).encode()
    with pytest.raises(ManifestInvalid, match="no signed document"):
        trust.verify("manifest", spelled)


def test_one_kind_cannot_pass_for_another(key: SigningKey, trust: Trust) -> None:
    with pytest.raises(SignatureRefused, match="The manifest's signature is wrong"):
        trust.verify("manifest", key.sign("alias", DOCUMENT))


def test_a_foreign_key_is_named(trust: Trust) -> None:
    stranger = SigningKey.generate()
    with pytest.raises(SignatureRefused) as caught:
        trust.verify("manifest", stranger.sign("manifest", DOCUMENT))
    assert stranger.trusted().id in caught.value.message
    assert "add the key to trust.json" in caught.value.message


def test_a_trusted_keys_name_with_a_strangers_signature_is_refused(key: SigningKey, trust: Trust) -> None:
    forged = json.loads(SigningKey.generate().sign("manifest", DOCUMENT)) | {"key": key.trusted().id}
    with pytest.raises(SignatureRefused, match="signature is wrong"):
        trust.verify("manifest", canonical(forged) + b"\n")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"document":1}'])
def test_what_is_no_document_is_refused(trust: Trust, data: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        trust.verify("manifest", data)


def test_a_key_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key.pem"
    first = SigningKey.generate()
    first.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.read(path).public_key == first.public_key
    with pytest.raises(FileExistsError):
        SigningKey.generate().write(path)
    assert [file.name for file in path.parent.iterdir()] == ["key.pem"]


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("nothing")
    with pytest.raises(ConfigurationInvalid, match="holds no unencrypted private key"):
        SigningKey.read(path)


def trust_file(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "trust.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_trust_is_read_from_a_file(tmp_path: Path, key: SigningKey) -> None:
    path = trust_file(tmp_path, {"keys": [key.trusted("the team").entry()]})
    assert Trust.read(path, on_google_cloud=True).verify("alias", key.sign("alias", DOCUMENT)) == DOCUMENT


def test_a_local_key_does_not_count_on_google_cloud(tmp_path: Path, key: SigningKey) -> None:
    path = trust_file(tmp_path, {"keys": [key.trusted("a laptop", local=True).entry()]})
    assert Trust.read(path).keys
    with pytest.raises(ConfigurationInvalid, match=r"Stage for release: python -m deploy stage --release"):
        Trust.read(path, on_google_cloud=True)


@pytest.mark.parametrize("content", ["", "{", "[]", {"keys": 5}, {"keys": [{"public_key": "%"}]}, {"keys": [{"x": 1}]}])
def test_a_broken_trust_file_trusts_nobody(tmp_path: Path, content: object) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"trust\.json cannot be read"):
        Trust.read(trust_file(tmp_path, content))


def test_a_missing_trust_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"The function has no trust\.json"):
        Trust.read(tmp_path / "trust.json")


def test_no_key_is_no_trust(key: SigningKey) -> None:
    with pytest.raises(ServingError):
        Trust([]).verify("manifest", key.sign("manifest", DOCUMENT))
