"""KV, both versions."""

from hvac import exceptions

from claims import holds, refused, same, within


def unversioned(world):
    """kv 1: a secret is written, read, listed, changed and deleted"""
    world.root.sys.enable_secrets_engine("kv", path="plain", options={"version": "1"})
    kv = world.root.secrets.kv.v1
    kv.create_or_update_secret("app/db", {"user": "u", "n": 3}, mount_point="plain")
    answer = kv.read_secret("app/db", mount_point="plain")
    same(answer["data"], {"user": "u", "n": 3})
    same(answer["lease_duration"], 2764800)
    kv.create_or_update_secret("app/db", {"user": "v"}, method="PUT", mount_point="plain")
    same(kv.read_secret("app/db", mount_point="plain")["data"], {"user": "v"})
    same(kv.list_secrets("", mount_point="plain")["data"]["keys"], ["app/"])
    kv.delete_secret("app/db", mount_point="plain")
    refused(exceptions.InvalidPath, lambda: kv.read_secret("app/db", mount_point="plain"))


def versions(world):
    """kv 2: versions are written, patched, read, deleted, brought back and destroyed"""
    world.root.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    kv = world.root.secrets.kv.v2
    kv.configure(max_versions=7, cas_required=False, delete_version_after="1h")
    holds(kv.read_configuration()["data"], max_versions=7, cas_required=False, delete_version_after="1h0m0s")
    holds(kv.create_or_update_secret("app", {"a": "1"}, cas=0)["data"], version=1, destroyed=False)
    refused(exceptions.InvalidRequest, lambda: kv.create_or_update_secret("app", {}, cas=0), "check-and-set")
    holds(kv.patch("app", {"b": "2"})["data"], version=2)
    refused(exceptions.InvalidPath, lambda: kv.patch("none", {"b": "2"}))
    same(kv.read_secret("app", raise_on_deleted_version=True)["data"]["data"], {"a": "1", "b": "2"})
    same(kv.read_secret_version("app", version=1, raise_on_deleted_version=True)["data"]["data"], {"a": "1"})
    kv.delete_latest_version_of_secret("app")
    deleted = kv.read_secret_version("app", raise_on_deleted_version=False)
    same(deleted["data"]["data"], None)
    same(deleted["data"]["metadata"]["version"], 2)
    refused(exceptions.InvalidPath, lambda: kv.read_secret_version("app", raise_on_deleted_version=True))
    kv.undelete_secret_versions("app", [2])
    kv.delete_secret_versions("app", [1])
    kv.destroy_secret_versions("app", [1])
    kv.update_metadata("app", max_versions=3, cas_required=True, custom_metadata={"owner": "x"})
    metadata = kv.read_secret_metadata("app")["data"]
    holds(metadata, current_version=2, max_versions=3, cas_required=True, custom_metadata={"owner": "x"})
    same([metadata["versions"][n]["destroyed"] for n in ("1", "2")], [True, False])
    same(kv.list_secrets("")["data"]["keys"], ["app"])
    kv.delete_metadata_and_all_versions("app")
    refused(exceptions.InvalidPath, lambda: kv.read_secret_metadata("app"))


def bare(world):
    """the client reads, writes, lists and deletes any path, and wraps what it reads"""
    world.root.write_data("secret/data/bare", data={"data": {"a": "b"}})
    world.root.write("plain/bare", a="b")
    same(world.root.read("plain/bare")["data"], {"a": "b"})
    within("bare", world.root.list("plain")["data"]["keys"])
    wrapped = world.root.read("secret/data/bare", wrap_ttl="60s")["wrap_info"]
    holds(wrapped, ttl=60, creation_path="secret/data/bare")
    same(world.client(wrapped["token"]).sys.unwrap()["data"]["data"], {"a": "b"})
    world.root.delete("plain/bare")
    same(world.root.read("plain/bare"), None)


STEPS = (unversioned, versions, bare)
