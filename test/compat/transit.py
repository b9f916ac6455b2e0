"""hvac, as PyPI has it, against the transit engine. Prints one line for each call that did what it should; any other ends it."""

import base64
import hashlib
import os
import sys

import hvac
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

client = hvac.Client(url=sys.argv[1], token=sys.argv[2])
transit = client.secrets.transit
b64 = lambda data: base64.b64encode(data).decode()


def ok(name, condition):
    if not condition:
        raise SystemExit(f"not as it should be: {name}")
    print(f"ok {name}")


client.sys.enable_secrets_engine("transit")

transit.create_key("app", exportable=True, allow_plaintext_backup=True)
key = transit.read_key("app")["data"]
ok("read_key", key["type"] == "aes256-gcm96" and key["latest_version"] == 1)
ok("list_keys", transit.list_keys()["data"]["keys"] == ["app"])
sealed = transit.encrypt_data("app", plaintext=b64(b"text"))["data"]["ciphertext"]
ok("decrypt_data", transit.decrypt_data("app", ciphertext=sealed)["data"]["plaintext"] == b64(b"text"))
transit.rotate_key("app")
ok("rewrap_data", transit.rewrap_data("app", ciphertext=sealed)["data"]["ciphertext"].startswith("vault:v2:"))
many = transit.encrypt_data("app", batch_input=[{"plaintext": b64(b"a")}, {"plaintext": b64(b"b")}])
ciphertexts = [{"ciphertext": one["ciphertext"]} for one in many["data"]["batch_results"]]
opened = transit.decrypt_data("app", batch_input=ciphertexts)["data"]["batch_results"]
ok("batch_input", [one["plaintext"] for one in opened] == [b64(b"a"), b64(b"b")])
transit.rotate_key("app")
transit.update_key_configuration("app", min_decryption_version=2, min_encryption_version=3)
try:
    transit.decrypt_data("app", ciphertext=sealed)
    ok("min_decryption_version", False)
except hvac.exceptions.InvalidRequest as error:
    ok("min_decryption_version", "too old" in str(error))
transit.trim_key("app", min_version=2)
ok("trim_key", transit.read_key("app")["data"]["min_available_version"] == 2)

for kind, cipher in (
    ("aes128-gcm96", AESGCM),
    ("aes256-gcm96", AESGCM),
    ("chacha20-poly1305", ChaCha20Poly1305),
):
    name = f"x-{kind}"
    client.write(f"transit/keys/{name}", type=kind, exportable=True)
    raw = base64.b64decode(transit.export_key(name, key_type="encryption-key")["data"]["keys"]["1"])
    nonce = os.urandom(12)
    foreign = "vault:v1:" + b64(nonce + cipher(raw).encrypt(nonce, b"made elsewhere", None))
    plain = transit.decrypt_data(name, ciphertext=foreign)["data"]["plaintext"]
    ok(f"decrypt what cryptography encrypted, {kind}", plain == b64(b"made elsewhere"))
    ours = base64.b64decode(transit.encrypt_data(name, plaintext=b64(b"made here"))["data"]["ciphertext"][9:])
    ok(f"cryptography decrypts, {kind}", cipher(raw).decrypt(ours[:12], ours[12:], None) == b"made here")

data_key = transit.generate_data_key("app", key_type="plaintext")["data"]
ok("generate_data_key", transit.decrypt_data("app", ciphertext=data_key["ciphertext"])["data"]["plaintext"] == data_key["plaintext"])
ok("generate_random_bytes", len(base64.b64decode(transit.generate_random_bytes(n_bytes=24)["data"]["random_bytes"])) == 24)
ok("hash_data", transit.hash_data(b64(b"abc"), algorithm="sha2-256")["data"]["sum"] == hashlib.sha256(b"abc").hexdigest())
mac = transit.generate_hmac("app", hash_input=b64(b"m"), algorithm="sha2-512")["data"]["hmac"]
ok("verify hmac", transit.verify_signed_data("app", hash_input=b64(b"m"), hmac=mac, hash_algorithm="sha2-512")["data"]["valid"])

for kind in ("ed25519", "ecdsa-p256", "rsa-2048"):
    transit.create_key(f"s-{kind}", key_type=kind)
    signature = transit.sign_data(f"s-{kind}", hash_input=b64(b"m"))["data"]["signature"]
    ok(f"verify_signed_data {kind}", transit.verify_signed_data(f"s-{kind}", hash_input=b64(b"m"), signature=signature)["data"]["valid"])

digest = hashlib.sha256(b"m").digest()
public = serialization.load_pem_public_key(transit.read_key("s-ecdsa-p256")["data"]["keys"]["1"]["public_key"].encode())
signature = transit.sign_data("s-ecdsa-p256", hash_input=b64(digest), prehashed=True)["data"]["signature"]
public.verify(base64.b64decode(signature[9:]), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
ok("cryptography verifies a prehashed ECDSA signature", True)
public = serialization.load_pem_public_key(transit.read_key("s-rsa-2048")["data"]["keys"]["1"]["public_key"].encode())
for name, scheme in (("pss", padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)), ("pkcs1v15", padding.PKCS1v15())):
    signature = transit.sign_data("s-rsa-2048", hash_input=b64(digest), prehashed=True, signature_algorithm=name)["data"]["signature"]
    public.verify(base64.b64decode(signature[9:]), digest, scheme, Prehashed(hashes.SHA256()))
    ok(f"cryptography verifies a prehashed RSA signature, {name}", True)

backup = transit.backup_key("app")["data"]["backup"]
transit.restore_key(backup, name="copy")
ok("restore_key", transit.read_key("copy")["data"]["latest_version"] == 3)
wrapping = serialization.load_pem_public_key(client.read("transit/wrapping_key")["data"]["public_key"].encode())
kek, brought = os.urandom(32), os.urandom(32)
parcel = wrapping.encrypt(kek, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
parcel += keywrap.aes_key_wrap_with_padding(kek, brought)
client.write("transit/keys/brought/import", ciphertext=b64(parcel), type="aes256-gcm96", exportable=True)
ok("import", transit.export_key("brought", key_type="encryption-key")["data"]["keys"]["1"] == b64(brought))
private = ec.generate_private_key(ec.SECP384R1())
der = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
parcel = wrapping.encrypt(kek, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
parcel += keywrap.aes_key_wrap_with_padding(kek, der)
client.write("transit/keys/curve/import", ciphertext=b64(parcel), type="ecdsa-p384")
signature = client.write("transit/sign/curve/sha2-384", input=b64(b"m"))["data"]["signature"]
private.public_key().verify(base64.b64decode(signature[9:]), b"m", ec.ECDSA(hashes.SHA384()))
ok("import of a private key", True)
try:
    transit.delete_key("app")
    ok("delete_key is refused", False)
except hvac.exceptions.InvalidRequest as error:
    ok("delete_key is refused", "deletion is not allowed for this key" in str(error))
transit.update_key_configuration("app", deletion_allowed=True)
transit.delete_key("app")
ok("delete_key", "app" not in transit.list_keys()["data"]["keys"])
