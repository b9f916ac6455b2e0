"""Identity: entities, groups, their aliases, and identity tokens."""

from hvac import exceptions

from claims import holds, refused, same, true, within


def entities(world):
    """identity: entities and their aliases are made, read, changed, looked up, merged, listed and deleted"""
    identity = world.root.secrets.identity
    world.root.sys.enable_auth_method("userpass", path="people")
    accessor = world.root.sys.list_auth_methods()["data"]["people/"]["accessor"]
    ada = identity.create_or_update_entity("ada", metadata={"team": "a"}, policies=["reader"])["data"]["id"]
    holds(identity.read_entity(ada)["data"], name="ada", metadata={"team": "a"}, policies=["reader"], disabled=False)
    identity.update_entity(ada, name="ada", metadata={"team": "b"})
    holds(identity.read_entity_by_name("ada")["data"], id=ada, metadata={"team": "b"})
    identity.create_or_update_entity_by_name("bob", metadata={"team": "c"})
    bob = identity.read_entity_by_name("bob")["data"]["id"]
    same(sorted(identity.list_entities()["data"]["keys"]), sorted([ada, bob]))
    same(sorted(identity.list_entities_by_name()["data"]["keys"]), ["ada", "bob"])

    alias = identity.create_or_update_entity_alias("ada-login", ada, accessor)["data"]["id"]
    holds(identity.read_entity_alias(alias)["data"], name="ada-login", canonical_id=ada, mount_accessor=accessor)
    identity.update_entity_alias(alias, "ada-renamed", ada, accessor)
    same(identity.list_entity_aliases()["data"]["keys"], [alias])
    holds(identity.lookup_entity(alias_name="ada-renamed", alias_mount_accessor=accessor)["data"], id=ada)
    holds(identity.lookup_entity(name="bob")["data"], id=bob)
    identity.merge_entities([bob], ada, force=False)
    within(bob, identity.read_entity(ada)["data"]["merged_entity_ids"])
    identity.delete_entity_alias(alias)
    refused(exceptions.InvalidPath, lambda: identity.read_entity_alias(alias))
    identity.delete_entity(ada)
    refused(exceptions.InvalidPath, lambda: identity.read_entity(ada))
    identity.create_or_update_entity("eve")
    identity.delete_entity_by_name("eve")
    refused(exceptions.InvalidPath, lambda: identity.read_entity_by_name("eve"))


def groups(world):
    """identity: groups and their aliases are made, read, changed, looked up, listed and deleted"""
    identity = world.root.secrets.identity
    accessor = world.root.sys.list_auth_methods()["data"]["people/"]["accessor"]
    member = identity.create_or_update_entity("member")["data"]["id"]
    team = identity.create_or_update_group("team", policies=["reader"], member_entity_ids=[member])["data"]["id"]
    holds(identity.read_group(team)["data"], name="team", type="internal", member_entity_ids=[member])
    identity.update_group(team, "team", policies=["other"], member_entity_ids=[member])
    holds(identity.read_group_by_name("team")["data"], id=team, policies=["other"])
    identity.create_or_update_group_by_name("outside", group_type="external")
    outside = identity.read_group_by_name("outside")["data"]["id"]
    same(sorted(identity.list_groups()["data"]["keys"]), sorted([team, outside]))
    same(sorted(identity.list_groups_by_name()["data"]["keys"]), ["outside", "team"])

    alias = identity.create_or_update_group_alias("staff", mount_accessor=accessor, canonical_id=outside)["data"]["id"]
    holds(identity.read_group_alias(alias)["data"], name="staff", canonical_id=outside)
    identity.update_group_alias(alias, "crew", mount_accessor=accessor, canonical_id=outside)
    same(identity.list_group_aliases()["data"]["keys"], [alias])
    holds(identity.lookup_group(alias_name="crew", alias_mount_accessor=accessor)["data"], id=outside)
    identity.delete_group_alias(alias)
    identity.delete_group(team)
    refused(exceptions.InvalidPath, lambda: identity.read_group(team))
    identity.delete_group_by_name("outside")
    refused(exceptions.InvalidPath, lambda: identity.read_group_by_name("outside"))
    identity.delete_entity(member)


def tokens(world):
    """identity: a caller gets a token signed by a named key, which the server knows again"""
    root = world.root
    identity = root.secrets.identity
    identity.configure_tokens_backend(issuer="https://vault.example")
    holds(identity.read_tokens_backend_configuration()["data"], issuer="https://vault.example")
    identity.create_named_key("key", rotation_period="12h", verification_ttl="24h", algorithm="ES256",
                              allowed_client_ids=["*"])
    holds(identity.read_named_key("key")["data"], algorithm="ES256", rotation_period=43200)
    within("key", identity.list_named_keys()["data"]["keys"])
    identity.create_or_update_role("role", "key", client_id="app", ttl="1h")
    holds(identity.read_role("role")["data"], key="key", client_id="app", ttl=3600)
    same(identity.list_roles()["data"]["keys"], ["role"])

    root.sys.create_or_update_policy("asker", 'path "identity/oidc/token/role" { capabilities = ["read"] }')
    root.auth.userpass.create_or_update_user("ada", "a password", policies=["asker"], mount_point="people")
    ada = world.client(None)
    ada.auth.userpass.login("ada", "a password", mount_point="people")
    token = ada.secrets.identity.generate_signed_id_token("role")["data"]
    holds(token, client_id="app", ttl=3600)
    holds(identity.introspect_signed_id_token(token["token"]), active=True)
    holds(identity.introspect_signed_id_token(token["token"], client_id="other"), active=False)
    holds(identity.read_well_known_configurations(), issuer="https://vault.example/v1/identity/oidc")
    true(len(identity.read_active_public_keys()["keys"]) >= 1, "public keys are told")
    identity.rotate_named_key("key", verification_ttl="1h")
    holds(identity.introspect_signed_id_token(token["token"]), active=True)
    identity.delete_role("role")
    identity.delete_named_key("key")
    refused(exceptions.InvalidPath, lambda: identity.read_named_key("key"))


STEPS = (entities, groups, tokens)
