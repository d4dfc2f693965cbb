# consul-template: from Consul's registrations to Envoy's files.
#
#   consul-template -config pushring.hcl -once    # before Envoy starts, which needs the files
#   consul-template -config pushring.hcl          # next to Envoy, under a supervisor that restarts it
#
# It ignores SIGTERM: stop it with SIGINT (systemd: KillSignal=SIGINT).
# To move the files, replace /etc/pushring in this folder. `pushring` must be in PATH. The settings of the ring are in
# settings.yaml.

consul {
  # Default: CONSUL_HTTP_ADDR, else the agent on this machine.
  # address = "127.0.0.1:8500"

  # The ACL token needs service:read on the service and node:read on its nodes. Keep it out of
  # this file: CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, or
  # token_file = "/etc/pushring/consul-token"
  # A token that loses its rights sees no members, and no error: the last ring stays.

  # ssl {
  #   enabled = true
  #   ca_cert = "/etc/pushring/consul-ca.pem"
  #   cert    = "/etc/pushring/consul-client.pem"     # if Consul verifies its clients
  #   key     = "/etc/pushring/consul-client-key.pem"
  # }

  # Retry forever while Consul is away (by default consul-template exits after 12 attempts), and reconnect soon.
  retry {
    attempts    = 0
    max_backoff = "2s"
  }
}

template {
  source      = "/etc/pushring/consul-template/registrations.json.ctmpl"
  destination = "/etc/pushring/registrations.json"

  exec {
    # Exit code 2: publish rejected the settings or the ring. The live files stay, the log has the reason, and the next
    # pass tries again. Other failures (publish was killed, Envoy did not answer) are retried, because otherwise the
    # change would wait for the next one. After the timeout consul-template exits. The second admin address is that of a
    # new Envoy during an upgrade (docs/operations.md).
    command = "until pushring publish --admin http://127.0.0.1:9901 --admin http://127.0.0.1:9902 --registrations /etc/pushring/registrations.json --settings /etc/pushring/consul-template/settings.yaml --wasm /etc/pushring/pushring_filter.wasm --live /etc/pushring/live; do test $? -eq 2 && break; sleep 1; done"
    timeout = "60s"
  }
}
