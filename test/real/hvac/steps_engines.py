"""Databases with their leases, and SSH."""

import json

from hvac import exceptions

from claims import holds, refused, same, true, within

RULE = ['["~app:*", "+@read"]']


def database(world):
    """database: a connection, roles and accounts; their leases are looked up, listed, renewed and revoked"""
    world.root.sys.enable_secrets_engine("database")
    db, sys = world.root.secrets.database, world.root.sys
    db.configure("cache", "redis-database-plugin", allowed_roles=["*"], host="cache.example", port=world.redisPort,
                 username="keeper", password="first")
    holds(db.read_connection("cache")["data"], plugin_name="redis-database-plugin", allowed_roles=["*"])
    true("first" not in json.dumps(db.read_connection("cache")), "no password comes back")
    same(db.list_connections()["data"]["keys"], ["cache"])
    db.reset_connection("cache")
    db.create_role("app", "cache", RULE, default_ttl="1h", max_ttl="24h")
    holds(db.read_role("app")["data"], db_name="cache", default_ttl=3600, max_ttl=86400)
    same(db.list_roles()["data"]["keys"], ["app"])

    made = db.generate_credentials("app")
    holds(made, renewable=True, lease_duration=3600)
    lease = made["lease_id"]
    holds(sys.read_lease(lease)["data"], id=lease, renewable=True)
    same(sys.list_leases("database/creds/app")["data"]["keys"], [lease.rsplit("/", 1)[1]])
    holds(sys.renew_lease(lease, increment=7200), lease_id=lease, lease_duration=7200)
    sys.revoke_lease(lease)
    refused(exceptions.InvalidRequest, lambda: sys.renew_lease(lease), "lease not found")
    db.generate_credentials("app")
    sys.revoke_prefix("database/creds/app")
    db.generate_credentials("app")
    sys.revoke_force("database/creds/app")
    refused(exceptions.InvalidPath, lambda: sys.list_leases("database/creds/app"))

    db.create_static_role("old", "cache", "legacy", [], rotation_period=86400)
    holds(db.read_static_role("old")["data"], username="legacy", rotation_period=86400)
    same(db.list_static_roles()["data"]["keys"], ["old"])
    before = db.get_static_credentials("old")["data"]
    holds(before, username="legacy")
    db.rotate_static_role_credentials("old")
    true(db.get_static_credentials("old")["data"]["password"] != before["password"], "the password is another")
    db.rotate_root_credentials("cache")
    db.delete_static_role("old")
    db.delete_role("app")
    db.delete_connection("cache")
    refused(exceptions.InvalidPath, lambda: db.read_connection("cache"))


def ssh_authority(world):
    """ssh: an authority signs keys by a role"""
    world.root.sys.enable_secrets_engine("ssh")
    ssh = world.root.secrets.ssh
    ssh.submit_ca_information(generate_signing_key=True, key_type="ssh-ed25519")
    public = ssh.read_public_key()["data"]["public_key"]
    true(public.startswith("ssh-ed25519 "), "the authority's public key is told")
    ssh.create_role("user", key_type="ca", allow_user_certificates=True, allowed_users="ada", default_user="ada",
                    ttl="30m", max_ttl="1h", default_extensions={"permit-pty": ""})
    holds(ssh.read_role("user")["data"], key_type="ca", allowed_users="ada", ttl=1800)
    signed = ssh.sign_ssh_key("user", public, ttl="5m", valid_principals="ada")["data"]
    true(signed["signed_key"].startswith("ssh-ed25519-cert-v01@openssh.com "), "a certificate comes back")
    refused(exceptions.InvalidRequest, lambda: ssh.sign_ssh_key("user", public, ttl="5m", valid_principals="root"))
    ssh.delete_ca_information()
    refused(exceptions.InvalidRequest, lambda: ssh.read_public_key())


def ssh_passwords(world):
    """ssh: a password for one host is made, and verified once"""
    ssh = world.root.secrets.ssh
    ssh.create_role("otp", key_type="otp", default_user="ubuntu", cidr_list="10.0.0.0/8")
    same(sorted(ssh.list_roles()["data"]["keys"]), ["otp", "user"])
    made = ssh.generate_ssh_credentials("otp", username="ubuntu", ip="10.1.2.3")["data"]
    holds(made, ip="10.1.2.3", username="ubuntu", key_type="otp")
    holds(ssh.verify_ssh_otp(made["key"])["data"], ip="10.1.2.3", username="ubuntu", role_name="otp")
    refused(exceptions.InvalidRequest, lambda: ssh.verify_ssh_otp(made["key"]))
    within("otp", ssh.list_roles_by_ip("10.1.2.3")["data"]["roles"])
    ssh.configure_zeroaddress_roles("otp")
    same(ssh.list_zeroaddress_roles()["data"]["roles"], ["otp"])
    ssh.delete_zeroaddress_role()
    ssh.delete_role("otp")
    refused(exceptions.InvalidPath, lambda: ssh.read_role("otp"))


def aws(world):
    """aws: the account, leases and roles are configured, as far as that asks AWS nothing"""
    world.root.sys.enable_secrets_engine("aws")
    aws = world.root.secrets.aws
    aws.configure_root_iam_credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", region="eu-central-1")
    aws.configure_lease("30m", "1h")
    holds(aws.read_lease_config()["data"], lease="30m0s", lease_max="1h0m0s")
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    aws.create_or_update_role("reader", "iam_user", policy_arns=[arn])
    holds(aws.read_role("reader")["data"], credential_type="iam_user", policy_arns=[arn])
    same(aws.list_roles()["data"]["keys"], ["reader"])
    aws.delete_role("reader")
    refused(exceptions.InvalidPath, lambda: aws.read_role("reader"))


STEPS = (database, ssh_authority, ssh_passwords, aws)
