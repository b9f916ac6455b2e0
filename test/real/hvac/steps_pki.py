"""PKI."""

from hvac import exceptions

from claims import holds, refused, same, true, within


def authority(world):
    """pki: an authority is made, configured, and issues, signs and revokes by a role"""
    world.root.sys.enable_secrets_engine("pki", config={"max_lease_ttl": "87600h"})
    pki = world.root.secrets.pki
    made = pki.generate_root("exported", "Root", {"ttl": "8760h", "key_type": "ec", "key_bits": 256})["data"]
    same(pki.read_ca_certificate(), made["certificate"])
    within(made["certificate"].strip(), pki.read_ca_certificate_chain())
    at = f"{world.url}/v1/pki"
    pki.set_urls({"issuing_certificates": [f"{at}/ca"], "crl_distribution_points": [f"{at}/crl"]})
    holds(pki.read_urls()["data"], issuing_certificates=[f"{at}/ca"], crl_distribution_points=[f"{at}/crl"])
    pki.set_crl_configuration(expiry="48h", disable=False)
    holds(pki.read_crl_configuration()["data"], disable=False)
    pki.create_or_update_role("web", {"allowed_domains": "example.com", "allow_subdomains": True, "key_type": "ec",
                                      "max_ttl": "72h"})
    holds(pki.read_role("web")["data"], allowed_domains=["example.com"], key_type="ec", max_ttl=259200)
    same(pki.list_roles()["data"]["keys"], ["web"])
    leaf = pki.generate_certificate("web", "a.example.com", {"ttl": "1h"})["data"]
    holds(leaf, issuing_ca=made["certificate"], private_key_type="ec")
    refused(exceptions.InvalidRequest, lambda: pki.generate_certificate("web", "a.elsewhere.com"), "not allowed")
    holds(pki.read_certificate(leaf["serial_number"])["data"], certificate=leaf["certificate"], revocation_time=0)
    within(leaf["serial_number"], pki.list_certificates()["data"]["keys"])
    true(pki.revoke_certificate(leaf["serial_number"])["data"]["revocation_time"] > 0, "the time is told")
    holds(pki.rotate_crl()["data"], success=True)
    true(pki.read_crl().startswith("-----BEGIN X509 CRL-----"), "the list is PEM")
    true(pki.read_certificate(leaf["serial_number"])["data"]["revocation_time"] > 0, "it is kept as revoked")
    pki.tidy({"tidy_cert_store": True, "safety_buffer": "1h"})
    pki.delete_role("web")
    refused(exceptions.InvalidPath, lambda: pki.read_role("web"))


def intermediate(world):
    """pki: an intermediate is asked for, signed and set, and what others ask for is signed"""
    world.root.sys.enable_secrets_engine("pki", path="between")
    pki = world.root.secrets.pki
    csr = pki.generate_intermediate("internal", "Between", {"key_type": "ec"}, mount_point="between")["data"]["csr"]
    signed = pki.sign_intermediate(csr, "Between", {"ttl": "4380h"})["data"]
    imported = pki.set_signed_intermediate(signed["certificate"], mount_point="between")["data"]
    same(len(imported["imported_issuers"]), 1)
    asked = pki.generate_intermediate("internal", "x.example.com", {"key_type": "ec"}, mount_point="between")
    asked = asked["data"]["csr"]
    pki.create_or_update_role("web", {"allow_any_name": True, "key_type": "any"}, mount_point="between")
    leaf = pki.sign_certificate("web", asked, "x.example.com", {"ttl": "1h"}, mount_point="between")["data"]
    same(leaf["issuing_ca"], signed["certificate"])
    verbatim = pki.sign_verbatim(asked, "web", {"ttl": "1h"}, mount_point="between")["data"]
    true(verbatim["serial_number"] != leaf["serial_number"], "each has a number of its own")


def issuers(world):
    """pki: issuers are listed, read, renamed, revoked and deleted, and an authority of others is taken"""
    pki = world.root.secrets.pki
    (ref,) = pki.list_issuers(mount_point="between")["data"]["keys"]
    holds(pki.update_issuer(ref, {"issuer_name": "mine"}, mount_point="between")["data"], issuer_name="mine")
    holds(pki.read_issuer("mine", mount_point="between")["data"], issuer_id=ref)
    holds(pki.revoke_issuer("mine", mount_point="between")["data"], revoked=True)
    pki.delete_issuer("mine", mount_point="between")
    refused(exceptions.InvalidPath, lambda: pki.list_issuers(mount_point="between"))
    root = pki.read_ca_certificate()
    same(pki.sign_self_issued(root)["data"]["issuing_ca"], root)
    world.root.sys.enable_secrets_engine("pki", path="taken")
    taken = pki.submit_ca_information(world.bundle, mount_point="taken")["data"]
    same(len(taken["imported_issuers"]), 1)
    same(pki.read_ca_certificate(mount_point="taken").strip() in world.bundle, True)
    pki.delete_root(mount_point="taken")
    refused(exceptions.InvalidPath, lambda: pki.list_issuers(mount_point="taken"))


STEPS = (authority, intermediate, issuers)
