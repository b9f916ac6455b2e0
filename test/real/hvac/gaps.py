"""What is not tried, and why. A name that ends in `.*` stands for all of a group that are not tried."""

NO_ENGINE = "there is no such engine here"
NO_METHOD = "there is no such auth method here"
ENTERPRISE = "a feature of Vault Enterprise"
NO_RAFT = "the storage is no Raft cluster: there are no peers to add or remove"
NOTHING_SENT = "asks the server nothing"

GAPS = {
    "secrets.aws.generate_credentials": "needs an AWS account",
    "secrets.aws.rotate_root_iam_credentials": "needs an AWS account",
    "secrets.azure.*": NO_ENGINE,
    "secrets.gcp.*": NO_ENGINE,
    "secrets.activedirectory.*": NO_ENGINE,
    "secrets.ldap.*": NO_ENGINE,
    "secrets.transform.*": f"{NO_ENGINE}: {ENTERPRISE}",
    "secrets.consul.*": NO_ENGINE,
    "secrets.rabbitmq.*": NO_ENGINE,
    "auth.azure.*": NO_METHOD,
    "auth.github.*": NO_METHOD,
    "auth.gcp.*": NO_METHOD,
    "auth.ldap.*": NO_METHOD,
    "auth.legacymfa.*": NO_METHOD,
    "auth.okta.*": NO_METHOD,
    "auth.radius.*": NO_METHOD,
    "auth.aws.*": NO_METHOD,
    "secrets.identity.validate_member_id_params_for_group_type": NOTHING_SENT,
    "secrets.ssh.create_or_update_key": "dynamic SSH keys, which upstream has removed",
    "secrets.ssh.delete_key": "dynamic SSH keys, which upstream has removed",
    "auth.jwt.resolve_path": NOTHING_SENT,
    "auth.oidc.resolve_path": NOTHING_SENT,
    "auth.jwt.oidc_authorization_url_request": "the same request as auth.oidc has",
    "auth.jwt.oidc_callback": "the same request as auth.oidc has",
    "auth.oidc.jwt_login": "the same request as auth.jwt has",
    "sys.get_private_attr_name": NOTHING_SENT,
    "sys.create_namespace": "there are no namespaces here",
    "sys.delete_namespace": "there are no namespaces here",
    "sys.list_namespaces": "there are no namespaces here",
    "sys.create_or_update_egp_policy": ENTERPRISE,
    "sys.delete_egp_policy": ENTERPRISE,
    "sys.list_egp_policies": ENTERPRISE,
    "sys.read_egp_policy": ENTERPRISE,
    "sys.create_or_update_rgp_policy": ENTERPRISE,
    "sys.delete_rgp_policy": ENTERPRISE,
    "sys.list_rgp_policies": ENTERPRISE,
    "sys.read_rgp_policy": ENTERPRISE,
    "sys.create_or_update_raft_auto_snapshot_config": ENTERPRISE,
    "sys.delete_raft_auto_snapshot_config": ENTERPRISE,
    "sys.list_raft_auto_snapshot_configs": ENTERPRISE,
    "sys.read_raft_auto_snapshot_config": ENTERPRISE,
    "sys.read_raft_auto_snapshot_status": ENTERPRISE,
    "sys.join_raft_cluster": NO_RAFT,
    "sys.remove_raft_node": NO_RAFT,
    "sys.read_backup_keys": "shares are encrypted for no PGP keys here, so there is no backup of them",
}


def gaps_of(known, tried):
    """By name, with the groups written out."""
    found = {}
    for name, reason in GAPS.items():
        if name.endswith(".*"):
            found.update({call: reason for call in known if call.startswith(name[:-1]) and call not in tried})
        else:
            found[name] = reason
    return found
