/** The policies that every server has from its first start. */

/** What every token may do unless it was made without this policy. It can be edited, never deleted. */
export const defaultPolicy = `# Every token has this policy unless it was created without it.

# A token may look at itself, renew itself and give itself up.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# It may ask what it is allowed to do.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# It may read its own entity, by id or by name.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# It may renew and look up a lease whose id it knows. The first path is an old name of the second.
path "sys/renew" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# Its cubbyhole is its own.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# It may wrap what it holds, and open what was wrapped for it.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Hashing takes nothing from the server but its time.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# It may see where a request that others must approve stands.
path "sys/control-group/request" {
  capabilities = ["update"]
}

# It may sign in to applications that use this server as their OpenID Connect provider.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
`;

/** What a wrapping token may do: open its one box. Nobody can be given it by name. */
export const responseWrappingPolicy = `# Held by wrapping tokens alone.
path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
`;
