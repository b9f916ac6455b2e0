"""Auth methods and tokens."""

from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

from hvac import exceptions

from claims import holds, refused, same, true, within


def code_for(provider, nonce):
    """What the provider gives a browser after a login, for the server to trade in."""
    with urlopen(f"{provider}?{urlencode({'nonce': nonce})}") as answer:
        return answer.read().decode()


def approle(world):
    """approle: roles, role ids, secret ids, and the login"""
    world.root.sys.create_or_update_policy("reader", 'path "secret/*" { capabilities = ["read"] }')
    world.root.sys.enable_auth_method("approle")
    approle = world.root.auth.approle
    approle.create_or_update_approle("app", token_policies=["reader"], token_ttl="1h", secret_id_num_uses=5)
    holds(approle.read_role("app")["data"], token_policies=["reader"], token_ttl=3600, secret_id_num_uses=5)
    same(approle.list_roles()["data"]["keys"], ["app"])
    approle.update_role_id("app", "chosen")
    same(approle.read_role_id("app")["data"]["role_id"], "chosen")
    made = approle.generate_secret_id("app", metadata={"host": "h"})["data"]
    holds(approle.read_secret_id("app", made["secret_id"])["data"], metadata={"host": "h"}, secret_id_num_uses=5)
    accessor = made["secret_id_accessor"]
    holds(approle.read_secret_id_accessor("app", accessor)["data"], secret_id_accessor=accessor)
    same(approle.list_secret_id_accessors("app")["data"]["keys"], [accessor])
    holder = world.client(None)
    auth = holder.auth.approle.login("chosen", made["secret_id"])["auth"]
    holds(auth, policies=["default", "reader"], lease_duration=3600)
    holds(auth["metadata"], role_name="app", host="h")
    true(holder.is_authenticated(), "the client goes over to the token")
    approle.destroy_secret_id_accessor("app", accessor)
    approle.create_custom_secret_id("app", "my own secret id")
    world.client(None).auth.approle.login("chosen", "my own secret id")
    approle.destroy_secret_id("app", "my own secret id")
    again = lambda: world.client(None).auth.approle.login("chosen", "my own secret id")
    refused(exceptions.InvalidRequest, again, "invalid role or secret ID")
    wrapped = approle.generate_secret_id("app", wrap_ttl="60s")["wrap_info"]["token"]
    within("secret_id", world.client(wrapped).sys.unwrap()["data"])
    approle.delete_role("app")
    refused(exceptions.InvalidPath, lambda: approle.read_role("app"))


def tokens(world):
    """token: made, looked up, renewed and revoked, by themselves and by their accessors"""
    token = world.root.auth.token
    one = token.create(policies=["reader"], ttl="1h", meta={"for": "tests"}, display_name="one")["auth"]
    holds(one, policies=["default", "reader"], lease_duration=3600, renewable=True, orphan=False)
    holds(token.lookup(one["client_token"])["data"], display_name="token-one", meta={"for": "tests"})
    holds(token.lookup_accessor(one["accessor"])["data"], accessor=one["accessor"], id="")
    within(one["accessor"], token.list_accessors()["data"]["keys"])
    holds(token.renew(one["client_token"], increment="2h")["auth"], lease_duration=7200)
    holds(token.renew_accessor(one["accessor"], increment="3h")["auth"], lease_duration=10800)
    own = world.client(one["client_token"])
    holds(own.auth.token.renew_self(increment="4h")["auth"], lease_duration=14400)
    holds(own.auth.token.lookup_self()["data"], accessor=one["accessor"])
    own.auth.token.revoke_self()
    refused(exceptions.Forbidden, lambda: own.auth.token.lookup_self())

    parent = token.create(ttl="1h", policies=["root"])["auth"]
    child = world.client(parent["client_token"]).auth.token.create(ttl="1h", policies=["reader"])["auth"]
    token.revoke_and_orphan_children(parent["client_token"])
    holds(token.lookup(child["client_token"])["data"], orphan=True)
    token.revoke(child["client_token"])
    refused(exceptions.Forbidden, lambda: token.lookup(child["client_token"]))
    orphan = token.create_orphan(ttl="1h", policies=["reader"])["auth"]
    holds(orphan, orphan=True)
    token.revoke_accessor(orphan["accessor"])
    refused(exceptions.InvalidRequest, lambda: token.lookup_accessor(orphan["accessor"]), "invalid accessor")
    batch = token.create(type="batch", policies=["reader"], ttl="1h")["auth"]
    holds(batch, token_type="batch", accessor="", renewable=False)
    true(token.tidy() is not None, "tidying is begun")


def token_roles(world):
    """token: roles are written, read, listed, used and removed"""
    token = world.root.auth.token
    token.create_or_update_role("job", allowed_policies=["reader"], orphan=True, path_suffix="night",
                                token_period="2h")
    holds(token.read_role("job")["data"], allowed_policies=["reader"], orphan=True, path_suffix="night",
          token_period=7200)
    same(token.list_roles()["data"]["keys"], ["job"])
    made = token.create(role_name="job")["auth"]
    holds(made, orphan=True, lease_duration=7200)
    holds(token.lookup(made["client_token"])["data"], role="job", path="auth/token/create/job/night", period=7200)
    token.delete_role("job")
    refused(exceptions.InvalidPath, lambda: token.read_role("job"))


def client(world):
    """the client looks up, renews and revokes tokens, logs in, opens what is wrapped, and logs out"""
    made = world.root.auth.token.create(policies=["reader"], ttl="1h")["auth"]["client_token"]
    holds(world.root.lookup_token(made)["data"], id=made)
    holds(world.root.renew_token(made, increment="2h")["auth"], lease_duration=7200)
    world.root.revoke_token(made)
    refused(exceptions.Forbidden, lambda: world.root.lookup_token(made))
    within('path "secret/*"', world.root.get_policy("reader"))
    wrapped = world.root.auth.token.create(policies=["reader"], ttl="1h", wrap_ttl="60s")["wrap_info"]["token"]
    opened = world.client(None)
    same(opened.auth_cubbyhole(wrapped)["auth"]["policies"], ["default", "reader"])
    true(opened.is_authenticated(), "the client goes over to the token inside")
    mine = opened.token
    opened.logout(revoke_token=True)
    true(not opened.is_authenticated(), "nobody is logged in any more")
    refused(exceptions.Forbidden, lambda: world.root.lookup_token(mine))
    world.root.sys.enable_auth_method("userpass")
    world.root.auth.userpass.create_or_update_user("raw", "a password")
    raw = world.client(None)
    raw.login("/v1/auth/userpass/login/raw", json={"password": "a password"})
    true(raw.is_authenticated(), "a login by its path is a login")


def userpass(world):
    """userpass: users, their passwords, and the login"""
    userpass = world.root.auth.userpass
    userpass.create_or_update_user("bob", "first", policies="reader")
    holds(userpass.read_user("bob")["data"], policies=["reader"], token_policies=["reader"])
    within("bob", userpass.list_user()["data"]["keys"])
    holds(world.client(None).auth.userpass.login("bob", "first")["auth"], policies=["default", "reader"])
    userpass.update_password_on_user("bob", "second")
    wrong = lambda: world.client(None).auth.userpass.login("bob", "first")
    refused(exceptions.InvalidRequest, wrong, "invalid username or password")
    world.client(None).auth.userpass.login("bob", "second")
    userpass.delete_user("bob")
    refused(exceptions.InvalidPath, lambda: userpass.read_user("bob"))


def kubernetes(world):
    """kubernetes: the cluster, roles, and the login of a service account"""
    given = world.kubernetes
    world.root.sys.enable_auth_method("kubernetes")
    kubernetes = world.root.auth.kubernetes
    kubernetes.configure(given["host"], kubernetes_ca_cert=given["ca"], token_reviewer_jwt=given["reviewer"])
    holds(kubernetes.read_config(), kubernetes_host=given["host"], kubernetes_ca_cert=given["ca"])
    kubernetes.create_role("app", ["app"], ["shop"], ttl="1h", policies=["reader"], audience=None)
    holds(kubernetes.read_role("app"), bound_service_account_names=["app"], policies=["reader"],
          token_policies=["reader"], ttl=3600, token_ttl=3600)
    same(kubernetes.list_roles()["keys"], ["app"])
    auth = world.client(None).auth.kubernetes.login("app", given["jwt"])["auth"]
    holds(auth, policies=["default", "reader"], lease_duration=3600)
    holds(auth["metadata"], role="app", service_account_name="app", service_account_namespace="shop")
    other = lambda: world.client(None).auth.kubernetes.login("app", given["stranger"])
    refused(exceptions.Forbidden, other)
    kubernetes.delete_role("app")
    refused(exceptions.InvalidPath, lambda: kubernetes.read_role("app"))


def jwt(world):
    """jwt: an issuer's key, a role, and the login with what it signed"""
    given = world.jwt
    world.root.sys.enable_auth_method("jwt")
    jwt = world.root.auth.jwt
    jwt.configure(jwt_validation_pubkeys=[given["publicKey"]], bound_issuer=given["issuer"])
    holds(jwt.read_config()["data"], bound_issuer=given["issuer"])
    jwt.create_role("ci", "sub", [], bound_audiences=["holdfast"], token_policies=["reader"], token_ttl="1h")
    holds(jwt.read_role("ci")["data"], role_type="jwt", user_claim="sub", bound_audiences=["holdfast"])
    same(jwt.list_roles()["data"]["keys"], ["ci"])
    auth = world.client(None).auth.jwt.jwt_login("ci", given["token"])["auth"]
    holds(auth, policies=["default", "reader"], lease_duration=3600)
    refused(exceptions.InvalidRequest, lambda: world.client(None).auth.jwt.jwt_login("ci", given["elsewhere"]))
    jwt.delete_role("ci")
    refused(exceptions.InvalidPath, lambda: jwt.read_role("ci"))


def oidc(world):
    """oidc: a provider, a role, and the login by the code that the provider gave"""
    given = world.oidc
    world.root.sys.enable_auth_method("oidc")
    oidc = world.root.auth.oidc
    oidc.configure(oidc_discovery_url=given["issuer"], oidc_client_id=given["client"],
                   oidc_client_secret=given["secret"], default_role="staff")
    config = oidc.read_config()["data"]
    holds(config, oidc_discovery_url=given["issuer"], oidc_client_id=given["client"])
    true(given["secret"] not in str(config), "the client's secret does not come back")
    redirect = "http://localhost:8250/oidc/callback"
    oidc.create_role("staff", "sub", [redirect], role_type="oidc", token_policies=["reader"])
    holds(oidc.read_role("staff")["data"], role_type="oidc", allowed_redirect_uris=[redirect])
    same(oidc.list_roles()["data"]["keys"], ["staff"])
    begun = world.client(None).auth.oidc.oidc_authorization_url_request("staff", redirect)["data"]["auth_url"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun).query).items()}
    holds(asked, client_id=given["client"], redirect_uri=redirect, response_type="code")
    state, nonce = asked["state"], asked["nonce"]
    auth = world.client(None).auth.oidc.oidc_callback(state, nonce, code_for(given["codes"], nonce))["auth"]
    holds(auth, policies=["default", "reader"])
    oidc.delete_role("staff")
    refused(exceptions.InvalidPath, lambda: oidc.read_role("staff"))


def certificates(world):
    """cert: a role for an authority, and the login with a certificate of it"""
    given = world.cert
    world.root.sys.enable_auth_method("cert")
    cert = world.root.auth.cert
    cert.configure_tls_certificate(disable_binding=False)
    cert.create_ca_certificate_role("web", certificate_file=given["authority"], allowed_common_names="web.example",
                                    token_policies=["reader"])
    holds(cert.read_ca_certificate_role("web")["data"], allowed_common_names=["web.example"],
          token_policies=["reader"])
    same(cert.list_certificate_roles()["data"]["keys"], ["web"])
    web = world.client(None, url=world.secureUrl, verify=given["listener"])
    auth = web.auth.cert.login("web", cert_pem=given["cert"], key_pem=given["key"])["auth"]
    holds(auth, policies=["default", "reader"])
    holds(auth["metadata"], cert_name="web", common_name="web.example")
    cert.delete_certificate_role("web")
    refused(exceptions.InvalidPath, lambda: cert.read_ca_certificate_role("web"))


STEPS = (approle, tokens, token_roles, client, userpass, kubernetes, jwt, oidc, certificates)
