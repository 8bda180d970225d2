"""Signatures of versions: ours and OpenSSF bundles, trusted keys, and what verify says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from model_signing import hashing, signing

from mlreg.cli.app import main
from mlreg.client.errors import (
    IntegrityError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
)
from mlreg.client.signing import Signer, generate_key, manifest_digest, sign, verify
from mlreg.client.signing import load_private_key as load
from mlreg.client.wire.signing import KeyRequest
from mlreg.client.wire.versions import FileForm
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.services.access import issue_token
from mlreg.registry.services.catalog import get_model, get_version
from mlreg.registry.services.signing import is_signed
from mlreg.registry.store.clock import SystemClock
from tests.api.test_doors import call
from tests.makers import PERSON
from tests.upload_makers import bare_request, make_file, make_model


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "keys" / "ada.key"
    file.parent.mkdir()
    file.with_name("ada.pub").write_text(generate_key(file))
    assert file.stat().st_mode & 0o777 == 0o600
    return file


@pytest.fixture
def trusted(client, key):
    public = key.with_name("ada.pub").read_text()
    return client.keys.add(KeyRequest(name="ada", public_key=public))


def register(client, file, signer=None, model="flights"):
    return client.versions.register(model, file, bare_request, signer=signer)


def test_a_signed_version_says_by_whom(client, api, tmp_path, key, trusted):
    make_model(client)
    number = register(client, make_file(tmp_path, 1000), Signer(key)).number
    (found,) = client.keys.signatures("flights", number)
    assert (found.key_id, found.key_name, found.trusted) == (trusted.id, "ada", True)
    verify(found.body, found.public_key, "flights", client.versions.get("flights", number).manifest)
    assert signed(api, number)
    assert b"signed by ada<" in call(api, "GET", f"/models/flights/versions/{number}")[2]
    client.keys.remove(trusted.id)
    assert not client.keys.signatures("flights", number)[0].trusted
    page = call(api, "GET", f"/models/flights/versions/{number}")[2]
    assert b"signed by ada, no longer trusted" in page
    assert not signed(api, number)


def test_the_key_of_the_environment_signs_whatever_is_registered(
    client, tmp_path, key, trusted, monkeypatch
):
    make_model(client)
    monkeypatch.setenv("MLREG_SIGNING_KEY", str(key))
    number = register(client, make_file(tmp_path, 1000)).number
    assert client.keys.signatures("flights", number)[0].key_id == trusted.id


def test_an_unknown_key_signs_nothing(client, tmp_path, key):
    make_model(client)
    with pytest.raises(RefusedError) as refused:
        register(client, make_file(tmp_path, 1000), Signer(key))
    assert refused.value.code == "signature_not_trusted"
    assert client.models.get("flights").last_version == 0


@pytest.mark.usefixtures("trusted")
def test_a_signature_cannot_be_moved(client, tmp_path, key):
    """Neither to another model, nor to other files."""
    make_model(client)
    make_model(client, "cargo")
    file = make_file(tmp_path, 1000)
    moved = [sign(load(key), "cargo", "MANIFEST"), sign(load(key), "flights", "sha256:" + "0" * 64)]
    for body in moved:
        with pytest.raises(IntegrityError) as wrong:
            register(client, file, Given(key, body))
        assert wrong.value.code == "signature_invalid"
    assert client.models.get("flights").last_version == 0


class Given(Signer):
    """Signs with an envelope that was made for something else."""

    def __init__(self, key, body):
        super().__init__(key)
        object.__setattr__(self, "body", body)

    def sign(self, model, files):
        body = json.loads(self.body)
        made = super().sign("cargo", files) if b"MANIFEST" in payload(body) else None
        return made or super().sign(model, files).model_copy(update={"body": self.body})


def payload(body):
    import base64

    return base64.b64decode(body["payload"])


@pytest.mark.usefixtures("trusted")
def test_any_bent_envelope_is_refused(client, tmp_path, key):
    make_model(client)
    file = make_file(tmp_path, 1000)
    whole = json.loads(Signer(key).sign("flights", client.versions.upload(file)).body)
    bent = [
        "{}",
        "[]",
        "no json",
        json.dumps({**whole, "payloadType": "text/plain"}),
        json.dumps({**whole, "payload": "!!"}),
        json.dumps({**whole, "signatures": []}),
        json.dumps({**whole, "signatures": [{"keyid": "x", "sig": "AAAA"}]}),
    ]
    for body in bent:
        with pytest.raises((IntegrityError, RefusedError)) as refused:
            client.versions.register_files(
                "flights", signed_request(client.versions.upload(file), body)
            )
        assert refused.value.code in {"signature_invalid", "signature_not_trusted"}
    assert client.models.get("flights").last_version == 0


def signed_request(files, body, kind="dsse"):
    from mlreg.client.wire.signing import SignatureForm

    return bare_request(files).model_copy(update={"signature": SignatureForm(kind=kind, body=body)})


def test_a_key_may_be_trusted_for_some_models_only(client, tmp_path, key):
    public = key.with_name("ada.pub").read_text()
    make_model(client)
    with pytest.raises(NotFoundError):
        client.keys.add(KeyRequest(name="ada", public_key=public, models=["cargo"]))
    make_model(client, "cargo")
    client.keys.add(KeyRequest(name="ada", public_key=public, models=["cargo"]))
    file = make_file(tmp_path, 1000)
    register(client, file, Signer(key), "cargo")
    with pytest.raises(RefusedError):
        register(client, file, Signer(key), "flights")


def test_a_model_that_asks_for_signatures_takes_none_without(client, tmp_path, key, trusted):
    make_model(client)
    client.keys.require("flights")
    file = make_file(tmp_path, 1000)
    with pytest.raises(RefusedError) as refused:
        register(client, file)
    assert refused.value.code == "signature_required"
    register(client, file, Signer(key))
    client.keys.require("flights", required=False)
    register(client, file)
    with pytest.raises(NotFoundError):
        client.keys.require("unknown")
    assert trusted.removed_at is None


def test_only_an_admin_says_whom_to_trust(client, api, key):
    make_model(client)
    with api.parts.database.writing() as session:
        token = issue_token(
            session, "ci", kind="service", role="ci", actor=PERSON, now=SystemClock().now()
        ).bearer
    request = KeyRequest(name="eve", public_key=key.with_name("ada.pub").read_text())
    with api.client(token) as other:
        for act in (
            lambda: other.keys.add(request),
            lambda: other.keys.remove("x"),
            lambda: other.keys.require("flights", required=False),
        ):
            with pytest.raises(NotAllowedError):
                act()
    with pytest.raises(InvalidError) as bad:
        client.keys.add(KeyRequest(name="eve", public_key="no key"))
    assert bad.value.code == "invalid_key"


@pytest.mark.slow
def test_an_openssf_bundle_is_checked_against_a_trusted_key(client, tmp_path):
    make_model(client)
    folder, private, public = bundle_keys(tmp_path)
    bundle = folder / "model.sig"
    config = signing.Config().use_elliptic_key_signer(private_key=private)
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=[bundle]))
    config.sign(folder, bundle)
    signer = Signer(bundle=bundle)
    with pytest.raises(RefusedError):
        register(client, folder, signer)
    client.keys.add(
        KeyRequest(name="ml-team", kind="oms-key", public_key=public.read_text("ascii"))
    )
    number = register(client, folder, signer).number
    version = client.versions.get("flights", number)
    assert [file.path for file in version.files] == ["labels.txt", "model.bin"]
    assert client.keys.signatures("flights", number)[0].kind == "oms"
    make_model(client, "cargo")
    register(client, folder, signer, "cargo")  # a bundle names no model: its key's models bound it
    client.keys.add(
        KeyRequest(
            name="ml-team",
            kind="oms-key",
            public_key=public.read_text("ascii"),
            models=["flights"],
        )
    )
    make_model(client, "fraud")
    with pytest.raises(RefusedError):
        register(client, folder, signer, "fraud")
    (folder / "model.bin").write_bytes(b"others")
    with pytest.raises(IntegrityError) as wrong:
        register(client, folder, signer)
    assert wrong.value.code == "signature_invalid"
    (folder / "extra.txt").write_text("not signed")
    with pytest.raises(IntegrityError):
        register(client, folder, signer)


AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def usage(wanted):
    return x509.KeyUsage(**{use: use == wanted for use in USES})


FOR_SIGNING = usage("digital_signature")


@dataclass
class Certified:
    """A key with its certificate, by an authority or by itself, in two files of a folder."""

    folder: Path
    name: str
    by: Certified | None = None
    extensions: tuple = (AUTHORITY,)
    days: tuple[int, int] = (-1, 1)

    def __post_init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(name if self.by is None else self.by.certificate.subject, name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=self.days[0]))
            .not_valid_after(now + timedelta(days=self.days[1]))
        )
        for extension in self.extensions:
            builder = builder.add_extension(extension, critical=True)
        signer = self.key if self.by is None else self.by.key
        self.certificate = builder.sign(signer, hashes.SHA256())
        pem = serialization.Encoding.PEM
        self.private, self.public = (self.folder / f"{self.name}.{end}" for end in ("key", "pem"))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.private.write_bytes(self.key.private_bytes(pem, *form))
        self.public.write_bytes(self.certificate.public_bytes(pem))

    def sign(self, folder, *chain):
        """Sign a folder as OpenSSF's library does, and return who brings the bundle."""
        bundle = folder / "model.sig"
        bundle.unlink(missing_ok=True)
        config = signing.Config().use_certificate_signer(
            private_key=self.private,
            signing_certificate=self.public,
            certificate_chain=[one.public for one in chain],
        )
        config.set_hashing_config(hashing.Config().set_ignored_paths(paths=[bundle]))
        config.sign(folder, bundle)
        return Signer(bundle=bundle)


@pytest.mark.slow
def test_an_openssf_bundle_is_checked_against_a_trusted_authority(client, tmp_path):
    make_model(client)
    folder, _, public = bundle_keys(tmp_path)
    root, foreign = (Certified(tmp_path, name) for name in ("root", "foreign"))
    middle = Certified(tmp_path, "middle", root)
    mine = Certified(tmp_path, "mine", middle, (FOR_SIGNING,))
    authority = root.public.read_text("ascii")
    client.keys.add(KeyRequest(name="corp", kind="oms-certificate", public_key=authority))
    number = register(client, folder, mine.sign(folder, middle)).number
    [found] = client.keys.signatures("flights", number)
    assert (found.kind, found.key_name) == ("oms", "corp")

    not_for_it = Certified(tmp_path, "not-for-it", root, (usage("content_commitment"),))
    no_authority = Certified(tmp_path, "no-authority", mine, (FOR_SIGNING,))
    past = Certified(tmp_path, "past", root, (FOR_SIGNING,), (-9, -1))
    stranger = Certified(tmp_path, "stranger", foreign, (FOR_SIGNING,))
    for signer, chain in (
        (stranger, [foreign]),
        (past, [root]),
        (no_authority, [mine, middle]),
        (mine, [root]),
    ):
        with pytest.raises(RefusedError) as refused:
            register(client, folder, signer.sign(folder, *chain))
        assert refused.value.code == "signature_not_trusted", signer.name
    with pytest.raises(IntegrityError, match="cannot be used for signing"):
        register(client, folder, not_for_it.sign(folder, root))
    public_key = public.read_text("ascii")
    client.keys.add(KeyRequest(name="team", kind="oms-key", public_key=public_key))
    signer = mine.sign(folder, middle)
    (folder / "model.bin").write_bytes(b"others")
    with pytest.raises(IntegrityError) as wrong:
        register(client, folder, signer)
    assert wrong.value.code == "signature_invalid"


def bundle_keys(tmp_path):
    folder = tmp_path / "artifact"
    folder.mkdir()
    make_file(folder, 2000)
    (folder / "labels.txt").write_text("a\nb\n")
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "oms.key", tmp_path / "oms.pub"
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
    shape = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(form[0], shape))
    return folder, private, public


def test_verify_checks_everything_and_says_who_signed(
    client, api, tmp_path, key, trusted, monkeypatch, capsys
):
    make_model(client)
    number = register(client, make_file(tmp_path, 1000), Signer(key)).number
    unsigned = register(client, make_file(tmp_path, 999)).number
    client.versions.download(client.versions.get("flights", number), tmp_path / "out")
    monkeypatch.setenv("MLREG_URL", api.url)
    monkeypatch.setenv("MLREG_TOKEN", api.token)

    def verified(number, *more):
        with pytest.raises(SystemExit) as ended:
            main(["version", "verify", f"flights/{number}", *map(str, more)])
        return ended.value.code, capsys.readouterr()

    mine = ["--key", key.with_name("ada.pub")]
    code, said = verified(number, *mine, "--folder", tmp_path / "out")
    assert (code, f"signed by key {trusted.id} of ada" in said.out) == (0, True)
    assert "not signed" in verified(unsigned)[1].out
    assert verified(unsigned, *mine)[0] == 8
    (tmp_path / "out" / "model.bin").write_bytes(b"changed")
    assert verified(number, "--folder", tmp_path / "out")[0] == 8


def test_client_and_server_name_a_manifest_alike():
    files = [("b/ü.txt", 3, "1"), ("a.bin", 0, "2"), ("Z", 2**40, "3")]
    forms = [FileForm(path=p, size=s, digest="sha256:" + d * 64) for p, s, d in files]
    manifest = Manifest.of(ManifestFile(p, s, "sha256:" + d * 64) for p, s, d in files)
    assert manifest_digest(forms) == manifest.digest


def signed(api, number):
    with api.parts.database.reading() as session:
        model = get_model(session, "flights")
        return is_signed(session, "flights", get_version(session, model, number))
