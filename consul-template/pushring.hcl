# consul-template: from Consul's registrations to Envoy's files.
#
#   consul-template -config pushring.hcl -once    # before Envoy starts: it needs the files
#   consul-template -config pushring.hcl          # beside Envoy; under a supervisor that restarts it
#
# It ignores SIGTERM: stop it with SIGINT (systemd: KillSignal=SIGINT).
# Paths: /etc/pushring/{consul-template,staged,live}; replace /etc/pushring in this file and in the
# templates to move them all. `pushring` must be in PATH. What is set about the ring is in settings.yaml.

consul {
  # Without it CONSUL_HTTP_ADDR, else the agent on this machine.
  # address = "127.0.0.1:8500"

  # The ACL token needs service:read on the service and node:read on its nodes. Keep it out of
  # this file: CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, or
  # token_file = "/etc/pushring/consul-token"
  # A token that loses its rights sees no members, and no error: the last ring stays.

  # ssl {
  #   enabled = true
  #   ca_cert = "/etc/pushring/consul-ca.pem"
  #   cert    = "/etc/pushring/consul-client.pem"     # where Consul verifies its clients
  #   key     = "/etc/pushring/consul-client-key.pem"
  # }

  # Never give up while Consul is away (the default ends consul-template after 12 attempts), and be back soon.
  retry {
    attempts    = 0
    max_backoff = "2s"
  }
}

# Do not set `wait`, here or below: it delays each template by itself, so their files would not belong together.

template {
  source      = "/etc/pushring/consul-template/clusters.yaml.ctmpl"
  destination = "/etc/pushring/staged/clusters.yaml"
}

template {
  source      = "/etc/pushring/consul-template/endpoints.yaml.ctmpl"
  destination = "/etc/pushring/staged/endpoints.yaml"
}

template {
  source      = "/etc/pushring/consul-template/ring.yaml.ctmpl"
  destination = "/etc/pushring/staged/ring.yaml"
}

# Last, and different each time it is rendered, so that its command runs once after every pass and after every
# start: consul-template runs no command for a file that is already as it should be, and would never finish the
# work of one that was killed between rendering and publishing.
template {
  source      = "/etc/pushring/consul-template/rendered.txt.ctmpl"
  destination = "/etc/pushring/staged/rendered.txt"

  exec {
    # Exit code 2 is a ring that is refused: the live files stay, the reason is in the log, the next pass tries again.
    # What else can go wrong may pass (publish was killed, Envoy did not answer): again until it is done, or a change of
    # members would stay unpublished until the next one. consul-template ends itself when the time is over.
    command = "until pushring publish --admin http://127.0.0.1:9901 --staged /etc/pushring/staged --live /etc/pushring/live; do test $? -eq 2 && break; sleep 1; done"
    timeout = "60s"
  }
}
