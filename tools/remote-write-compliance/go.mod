module pushring/tools/remote-write-compliance

go 1.26

require github.com/prometheus/complicance/remotewrite2 v0.0.0-00010101000000-000000000000

replace github.com/prometheus/complicance/remotewrite2 => github.com/prometheus/compliance/remotewrite/receiver v0.0.0-20260806071727-67b8327a2e93
