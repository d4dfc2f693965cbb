-- wrk's script: PUT 90 bytes to 1000 groups in turn, as `measure::paths` in bench/push/measure.rs.
local body, number = string.rep("#", 90), 0

function request()
  number = (number + 1) % 1000
  local path = "/metrics/job/backup-" .. number % 17 .. "/instance/db" .. number .. ".example.org/shard/" .. number % 5
  return wrk.format("PUT", path, nil, body)
end
