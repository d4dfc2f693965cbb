# Three gateways, two Envoys with discover and serve, and a sweeper, found in Consul. An example: no test runs it, because Nomad cannot be
# built where the tests are. docs/install/nomad.md explains it.

variable "version" {
  type    = string
  default = "0.2.0"
}

variable "release" {
  type        = string
  description = "Address of the folder with the files of `make dist`"
  default     = "https://github.com/pushring/pushring/releases/download/v0.2.0"
}

variable "image" {
  type    = string
  default = "ghcr.io/pushring/pushring:0.2.0"
}

job "pushring" {
  type = "service"

  group "gateways" {
    count = 3

    constraint {
      distinct_hosts = true
    }

    network {
      port "http" { to = 9091 }
    }

    # The groups of a gateway survive a new version of this job, and move with it to another machine.
    ephemeral_disk {
      sticky  = true
      migrate = true
    }

    update {
      max_parallel     = 1
      min_healthy_time = "15s"
    }

    service {
      name = "pushgateway"
      port = "http"

      # The name on the ring: a gateway that gets another address keeps its groups.
      meta {
        pushring-name = "pushgateway-${NOMAD_ALLOC_INDEX}"
      }

      check {
        type                     = "http"
        path                     = "/-/healthy"
        interval                 = "5s"
        timeout                  = "4s"
        success_before_passing   = 2
        failures_before_critical = 3

        # An Envoy with pushring does not pass a request with this header on, so it cannot be registered by mistake.
        header {
          cdn-loop = ["pushring"]
        }
      }
    }

    task "pushgateway" {
      driver = "docker"

      config {
        image = "prom/pushgateway:v1.11.3"
        ports = ["http"]
        args  = ["--persistence.file=/alloc/data/metrics", "--persistence.interval=10s"]
      }

      # Consul forgets the gateway first; pushes under way have this time.
      shutdown_delay = "5s"
      kill_timeout   = "60s"

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }

  group "envoys" {
    count = 2

    constraint {
      distinct_hosts = true
    }

    network {
      mode = "host"
      port "push" { static = 9091 }
      port "metrics" { static = 9087 }
    }

    update {
      max_parallel     = 1
      min_healthy_time = "15s"
    }

    service {
      name = "pushring"
      port = "push"

      check {
        type     = "http"
        port     = "metrics"
        path     = "/-/ready"
        interval = "5s"
        timeout  = "2s"
      }
    }

    # Publishes the ring before Envoy starts.
    task "first-ring" {
      driver = "docker"

      lifecycle {
        hook = "prestart"
      }

      artifact {
        source = "${var.release}/pushring-${var.version}-x86_64-linux-musl.tar.gz"
      }

      config {
        image        = var.image
        network_mode = "host"
        args = [
          "discover", "--once", "--from", "consul",
          "--settings", "/local/pushring-${var.version}/consul-template/settings.yaml",
          "--live", "/alloc/data/live", "--wasm", "/etc/pushring/pushring_filter.wasm",
        ]
      }
    }

    # Follows Consul as long as Envoy runs.
    task "discover" {
      driver = "docker"

      lifecycle {
        hook    = "poststart"
        sidecar = true
      }

      artifact {
        source = "${var.release}/pushring-${var.version}-x86_64-linux-musl.tar.gz"
      }

      config {
        image        = var.image
        network_mode = "host"
        args = [
          "discover", "--from", "consul",
          "--settings", "/local/pushring-${var.version}/consul-template/settings.yaml",
          "--live", "/alloc/data/live", "--wasm", "/etc/pushring/pushring_filter.wasm",
          "--admin", "http://127.0.0.1:9901",
        ]
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }

    # Answers GET of /, /metrics and /api/ on the port of pushes, for all gateways as one Pushgateway does.
    task "serve" {
      driver = "docker"

      lifecycle {
        hook    = "poststart"
        sidecar = true
      }

      config {
        image        = var.image
        network_mode = "host"
        args         = ["serve", "--config", "/alloc/data/live/ring.yaml"]
      }

      resources {
        cpu    = 100
        memory = 256 # two times the text of all metrics, and 64 MB
      }
    }

    task "envoy" {
      driver = "docker"

      artifact {
        source = "${var.release}/pushring-${var.version}-x86_64-linux-musl.tar.gz"
      }

      config {
        image        = "envoyproxy/envoy:v1.40.0"
        network_mode = "host"
        volumes = [
          "local/pushring-${var.version}/envoy/cluster.yaml:/etc/pushring/envoy.yaml:ro",
          "local/pushring-${var.version}/lib/pushring_filter.wasm:/etc/pushring/pushring_filter.wasm:ro",
          "../alloc/data/live:/etc/pushring/live:ro",
        ]
        args = ["--config-path", "/etc/pushring/envoy.yaml", "--disable-hot-restart"]
      }

      # Consul forgets this Envoy first, so that a load balancer sends it nothing new.
      shutdown_delay = "10s"
      kill_timeout   = "60s"

      resources {
        cpu    = 1000
        memory = 4096 # twice max_heap_size_bytes of envoy.yaml
      }
    }
  }

  # Two, of which a lock in Consul leaves one active.
  group "sweepers" {
    count = 2

    task "sweep" {
      driver = "docker"

      config {
        image        = var.image
        network_mode = "host"
        # The members come from Consul; the file has the settings of the ring. The name stands for every Envoy: Consul's DNS
        # has the addresses of those that pass their check.
        args = [
          "sweep", "--watch", "15s", "--config", "/local/ring.json",
          "--consul", "http://127.0.0.1:8500", "--envoy", "http://pushring.service.consul:9091",
        ]
      }

      # The section `filter` of settings.yaml.
      template {
        destination = "local/ring.json"
        data        = jsonencode({ members = [], min_members = 0, mode = "cluster", status_path = "/-/pushring" })
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
