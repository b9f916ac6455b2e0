"""Transit."""

import base64
import hashlib

from hvac import exceptions

from claims import holds, refused, same, true, within


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def encryption(world):
    """transit: keys are made, rotated, listed, configured, trimmed and deleted, and texts go there and back"""
    world.root.sys.enable_secrets_engine("transit")
    transit = world.root.secrets.transit
    transit.create_key("app", key_type="aes256-gcm96", exportable=True, allow_plaintext_backup=True)
    holds(transit.read_key("app")["data"], type="aes256-gcm96", latest_version=1, exportable=True)
    first = transit.encrypt_data("app", plaintext=encoded("a text"), associated_data=encoded("x"))
    true(first["data"]["ciphertext"].startswith("vault:v1:"), "the first version encrypts")
    opened = transit.decrypt_data("app", first["data"]["ciphertext"], associated_data=encoded("x"))
    same(opened["data"]["plaintext"], encoded("a text"))
    plain = transit.encrypt_data("app", plaintext=encoded("b"))["data"]["ciphertext"]
    transit.rotate_key("app")
    again = transit.rewrap_data("app", plain)["data"]["ciphertext"]
    true(again.startswith("vault:v2:"), "a rewrapped text has the new version")
    same(transit.decrypt_data("app", again)["data"]["plaintext"], encoded("b"))
    batch = transit.encrypt_data("app", batch_input=[{"plaintext": encoded("c")}, {"plaintext": encoded("d")}])
    texts = [{"ciphertext": one["ciphertext"]} for one in batch["data"]["batch_results"]]
    back = transit.decrypt_data("app", batch_input=texts)["data"]["batch_results"]
    same([one["plaintext"] for one in back], [encoded("c"), encoded("d")])
    same(transit.list_keys()["data"]["keys"], ["app"])
    refused(exceptions.InvalidRequest, lambda: transit.delete_key("app"), "deletion is not allowed")
    transit.rotate_key("app")
    transit.update_key_configuration("app", min_decryption_version=2, min_encryption_version=3, deletion_allowed=True)
    refused(exceptions.InvalidRequest, lambda: transit.decrypt_data("app", plain), "disallowed by policy")
    transit.trim_key("app", 2)
    holds(transit.read_key("app")["data"], min_available_version=2, deletion_allowed=True)
    key = transit.export_key("app", "encryption-key", version="latest")["data"]["keys"]
    same(len(base64.b64decode(key["3"])), 32)
    backup = transit.backup_key("app")["data"]["backup"]
    transit.restore_key(backup, name="copy")
    same(transit.decrypt_data("copy", again)["data"]["plaintext"], encoded("b"))
    transit.delete_key("app")
    same(transit.list_keys()["data"]["keys"], ["copy"])


def signatures(world):
    """transit: texts are signed, keyed and hashed, and keys and bytes are drawn"""
    transit = world.root.secrets.transit
    transit.create_key("signer", key_type="ecdsa-p256")
    signature = transit.sign_data("signer", hash_input=encoded("x"), hash_algorithm="sha2-256")["data"]["signature"]
    holds(transit.verify_signed_data("signer", encoded("x"), signature=signature)["data"], valid=True)
    holds(transit.verify_signed_data("signer", encoded("y"), signature=signature)["data"], valid=False)
    hmac = transit.generate_hmac("copy", encoded("x"), algorithm="sha2-512")["data"]["hmac"]
    verified = transit.verify_signed_data("copy", encoded("x"), hmac=hmac, hash_algorithm="sha2-512")
    holds(verified["data"], valid=True)
    hashed = transit.hash_data(encoded("x"), algorithm="sha2-256", output_format="hex")["data"]["sum"]
    same(hashed, hashlib.sha256(b"x").hexdigest())
    drawn = transit.generate_random_bytes(n_bytes=16, output_format="hex")["data"]["random_bytes"]
    same(len(drawn), 32)
    made = transit.generate_data_key("copy", "plaintext", bits=512)["data"]
    same(transit.decrypt_data("copy", made["ciphertext"])["data"]["plaintext"], made["plaintext"])
    same(len(base64.b64decode(made["plaintext"])), 64)
    within("ciphertext", transit.generate_data_key("copy", "wrapped")["data"])


STEPS = (encryption, signatures)
