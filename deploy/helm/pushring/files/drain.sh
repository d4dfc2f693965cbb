# Ends Envoy's work without losing a push; kubelet runs it before it stops the container. Bash alone talks to the admin
# interface, because the image has no HTTP client.
admin() {
  exec 3<>/dev/tcp/127.0.0.1/9901 || return
  printf '%s %s HTTP/1.1\r\nhost: envoy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n' "$1" "$2" >&3
  cat <&3
  exec 3>&-
}
# /-/ready is 503 from here on, and each connection is closed after its next answer. New connections still get in, because not
# every balancer knows yet that this pod leaves.
admin POST /healthcheck/fail
sleep "$1"
# At most as long as a push may take.
for _ in {1..60}; do
  [[ $(admin GET '/stats?filter=^http.push.downstream_rq_active$') =~ active:\ 0 ]] && break
  sleep 1
done
exit 0
