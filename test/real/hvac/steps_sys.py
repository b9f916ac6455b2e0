"""sys: mounts, policies, audit, wrapping, keys, the seal, quotas, snapshots. What seals comes last."""

import base64

from hvac import exceptions

from claims import holds, refused, same, true, within


def mounts(world):
    """sys: engines and methods are enabled, tuned, moved and disabled"""
    sys = world.root.sys
    sys.enable_secrets_engine("kv", path="old", description="d", options={"version": "2"},
                              config={"default_lease_ttl": "1h"})
    listed = sys.list_mounted_secrets_engines()["data"]["old/"]
    holds(listed, type="kv", description="d", options={"version": "2"})
    same(listed["config"]["default_lease_ttl"], 3600)
    same(sys.retrieve_mount_option("old", "version"), "2")
    sys.tune_mount_configuration("old", default_lease_ttl="2h", max_lease_ttl="4h", description="e")
    holds(sys.read_mount_configuration("old")["data"], default_lease_ttl=7200, max_lease_ttl=14400, description="e")
    world.root.secrets.kv.v2.create_or_update_secret("a", {"b": "c"}, mount_point="old")
    sys.move_backend("old", "new/place")
    read = world.root.secrets.kv.v2.read_secret_version("a", mount_point="new/place", raise_on_deleted_version=True)
    same(read["data"]["data"], {"b": "c"})
    sys.disable_secrets_engine("new/place")
    true("new/place/" not in sys.list_mounted_secrets_engines()["data"], "it is gone")

    sys.enable_auth_method("userpass", path="extra", description="d")
    holds(sys.list_auth_methods()["data"]["extra/"], type="userpass", description="d")
    sys.tune_auth_method("extra", default_lease_ttl="2h", listing_visibility="unauth", description="e")
    holds(sys.read_auth_method_tuning("extra")["data"], default_lease_ttl=7200, listing_visibility="unauth")
    sys.disable_auth_method("extra")
    true("extra/" not in sys.list_auth_methods()["data"], "it is gone")


def policies(world):
    """sys: policies are written, read, listed and removed by both their paths, and tell what a token may do"""
    sys = world.root.sys
    rule = 'path "secret/data/x" { capabilities = ["read", "list"] }'
    sys.create_or_update_policy("one", rule)
    same(sys.read_policy("one")["data"]["rules"], rule)
    within("one", sys.list_policies()["data"]["policies"])
    sys.create_or_update_acl_policy("two", {"path": {"secret/data/y": {"capabilities": ["read"]}}})
    within("secret/data/y", sys.read_acl_policy("two")["data"]["policy"])
    within("two", sys.list_acl_policies()["data"]["keys"])
    made = world.root.auth.token.create(policies=["one", "two"], ttl="1h")["auth"]
    paths = ["secret/data/x", "secret/data/y"]
    wanted = {"secret/data/x": ["list", "read"], "secret/data/y": ["read"]}
    holds(sys.get_capabilities(paths, token=made["client_token"]), **wanted)
    holds(sys.get_capabilities(paths, accessor=made["accessor"]), **wanted)
    holds(world.client(made["client_token"]).sys.get_capabilities(paths), **wanted)
    sys.delete_policy("one")
    sys.delete_acl_policy("two")
    refused(exceptions.InvalidPath, lambda: sys.read_policy("one"))
    refused(exceptions.InvalidPath, lambda: sys.read_acl_policy("two"))


def audit(world):
    """sys: an audit device is enabled, listed, written to, hashes what one looks for, and is disabled"""
    sys = world.root.sys
    sys.enable_audit_device("file", description="d", options={"file_path": world.auditFile}, path="trail")
    holds(sys.list_enabled_audit_devices()["data"]["trail/"], type="file", description="d")
    world.root.write("secret/data/audited", data={"a": "a value to look for"})
    hashed = sys.calculate_hash("trail", "a value to look for")["data"]["hash"]
    with open(world.auditFile, encoding="utf-8") as file:
        lines = file.read()
    within(hashed, lines)
    true("a value to look for" not in lines, "the value itself is not in the trail")
    sys.disable_audit_device("trail")
    true("trail/" not in sys.list_enabled_audit_devices()["data"], "it is gone")


def wrapping(world):
    """sys: what is wrapped is opened once"""
    token = world.root.sys.wrap({"a": "b"}, ttl=60)["wrap_info"]["token"]
    same(world.root.sys.unwrap(token)["data"], {"a": "b"})
    refused(exceptions.InvalidRequest, lambda: world.root.sys.unwrap(token))


def quotas(world):
    """sys: quotas on the rate are written, read, listed and removed"""
    sys = world.root.sys
    sys.create_or_update_quota("q", 1000.5, path="secret/", interval="1m")
    holds(sys.read_quota("q")["data"], name="q", rate=1000.5, path="secret/", interval=60)
    same(sys.list_quotas()["data"]["keys"], ["q"])
    sys.delete_quota("q")
    refused(exceptions.InvalidPath, lambda: sys.read_quota("q"))


def status(world):
    """sys: health, leader, seal, the first initialization and the key are told"""
    sys = world.root.sys
    same(sys.read_health_status().status_code, 200)
    holds(sys.read_health_status(method="GET"), initialized=True, sealed=False, standby=False)
    holds(sys.read_leader_status(), ha_enabled=False)
    holds(sys.read_seal_status(), sealed=False, type="shamir", t=1, n=1)
    holds(sys.read_init_status(), initialized=True)
    same((sys.is_initialized(), sys.is_sealed()), (True, False))
    before = sys.get_encryption_key_status()["data"]["term"]
    sys.rotate_encryption_key()
    same(sys.get_encryption_key_status()["data"]["term"], before + 1)
    sys.step_down()


def root_token(world):
    """sys: a root token is made from the key shares, under a pad, and its making is given up"""
    sys = world.root.sys
    begun = sys.start_root_token_generation()
    holds(sys.read_root_generation_progress(), started=True, nonce=begun["nonce"], progress=0, required=1)
    sys.cancel_root_generation()
    holds(sys.read_root_generation_progress(), started=False)
    begun = sys.start_root_token_generation()
    done = sys.generate_root(world.key, begun["nonce"])
    holds(done, complete=True)
    sealed = done["encoded_token"] + "=" * (-len(done["encoded_token"]) % 4)
    token = bytes(a ^ b for a, b in zip(base64.b64decode(sealed), begun["otp"].encode())).decode()
    same(world.client(token).auth.token.lookup_self()["data"]["policies"], ["root"])


def snapshots(world):
    """sys: a snapshot brings back what was there when it was taken"""
    sys, kv = world.root.sys, world.root.secrets.kv.v2
    within("config", sys.read_raft_config()["data"])
    kv.create_or_update_secret("snapped", {"a": "before"})
    taken = sys.take_raft_snapshot().content
    kv.create_or_update_secret("snapped", {"a": "after"})
    same(sys.restore_raft_snapshot(taken).status_code, 204)
    opened(world)
    read = lambda: kv.read_secret_version("snapped", raise_on_deleted_version=True)["data"]["data"]
    same(read(), {"a": "before"})
    kv.create_or_update_secret("snapped", {"a": "later"})
    same(sys.force_restore_raft_snapshot(taken).status_code, 204)
    opened(world)
    same(read(), {"a": "before"})


def opened(world):
    """A restore may leave the server sealed, as upstream's does when the keys are others."""
    if world.root.sys.is_sealed():
        world.root.sys.submit_unseal_key(world.key)


def shares(world):
    """sys: a server is initialized, unsealed, sealed, and its key shares are replaced, with a proof that they are held"""
    bare = world.client(None, url=world.bareUrl)
    same(bare.sys.is_initialized(), False)
    made = bare.sys.initialize(secret_shares=3, secret_threshold=2)
    same((len(made["keys"]), len(made["keys_base64"])), (3, 3))
    holds(bare.sys.submit_unseal_key(made["keys"][0]), sealed=True, progress=1)
    holds(bare.sys.submit_unseal_key(reset=True), sealed=True, progress=0)
    holds(bare.sys.submit_unseal_keys(made["keys"][:2]), sealed=False)
    root = world.client(made["root_token"], url=world.bareUrl)
    root.sys.seal()
    same(root.sys.is_sealed(), True)
    root.sys.submit_unseal_keys(made["keys_base64"][1:])
    same(root.sys.is_sealed(), False)

    root.sys.start_rekey(secret_shares=2, secret_threshold=2)
    holds(root.sys.read_rekey_progress(), started=True, t=2, n=2, progress=0, required=2)
    root.sys.cancel_rekey()
    holds(root.sys.read_rekey_progress(), started=False)
    begun = root.sys.start_rekey(secret_shares=2, secret_threshold=2)
    holds(root.sys.rekey(made["keys"][0], begun["nonce"]), progress=1)
    second = root.sys.rekey(made["keys"][1], begun["nonce"])
    holds(second, complete=True)
    begun = root.sys.start_rekey(secret_shares=1, secret_threshold=1, require_verification=True)
    third = root.sys.rekey_multi(second["keys"], begun["nonce"])
    holds(third, complete=True, verification_required=True)
    holds(root.sys.read_rekey_verify_progress(), started=True, t=1, n=1, progress=0)
    root.sys.cancel_rekey_verify()
    nonce = root.sys.read_rekey_verify_progress()["nonce"]
    holds(root.sys.rekey_verify(third["keys"][0], nonce), complete=True)
    begun = root.sys.start_rekey(secret_shares=2, secret_threshold=2, require_verification=True)
    fourth = root.sys.rekey_multi(third["keys"], begun["nonce"])
    holds(root.sys.rekey_verify_multi(fourth["keys"], fourth["verification_nonce"]), complete=True)
    root.sys.seal()
    holds(root.sys.submit_unseal_keys(fourth["keys"]), sealed=False, t=2, n=2)


STEPS = (mounts, policies, audit, wrapping, quotas, status, root_token, snapshots, shares)
