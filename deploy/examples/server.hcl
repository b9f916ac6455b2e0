# holdfast server -config=server.hcl
# Every key is in docs/server.md.

storage "lmdb" {
  path = "/var/lib/holdfast"
}

listener "tcp" {
  address         = "[::]:8200"
  tls_cert_file   = "/etc/holdfast/tls/tls.crt"
  tls_key_file    = "/etc/holdfast/tls/tls.key"
  tls_min_version = "tls12"
}

# Engines and auth methods reach nothing else.
egress {
  allow = ["db.internal:5432"]
}

api_addr  = "https://holdfast.example.com:8200"
log_level = "info"
