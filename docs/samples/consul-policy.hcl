# What the server's token must be allowed to do, and nothing more.

# The service's own keys: a fence for each group, so that only its latest owner can write.
key_prefix "glasshouse/" {
  policy = "write"
}

# Keys of templates: as many rules as there are prefixes. `write` includes reading and listing.
key_prefix "discovery/" {
  policy = "write"
}

# Services that checks look at, and that addresses of the configuration name (consul:service), and the nodes that they are on.
service "consul" {
  policy = "read"
}

# Only with consul.register.
service "glasshouse" {
  policy = "write"
}

# Only with consul.sidecar.register.
service "glasshouse-sidecar-proxy" {
  policy = "write"
}

node_prefix "" {
  policy = "read"
}
