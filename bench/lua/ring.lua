-- pushring's ring. The text before this script defines the list `members` and the function `key_of`. Envoy builds the ring
-- when it loads the script; each push hashes its key, searches the ring and sets the header.
local ffi, bit = require("ffi"), require("bit")
local function fmix64(h)
  h = bit.bxor(h, bit.rshift(h, 33)) * 0xff51afd7ed558ccdULL
  h = bit.bxor(h, bit.rshift(h, 33)) * 0xc4ceb9fe1a85ec53ULL
  return bit.bxor(h, bit.rshift(h, 33))
end
local function hash(text)
  local h = 0xcbf29ce484222325ULL
  for i = 1, #text do
    h = bit.bxor(h, 0ULL + text:byte(i)) * 0x100000001b3ULL
  end
  return fmix64(h)
end
local points = {}
for _, name in ipairs(members) do
  local start = hash(name)
  for i = 0, 1023 do
    points[#points + 1] = { fmix64(start + (0ULL + i) * 0x9E3779B97F4A7C15ULL), "pushgateway-" .. name }
  end
end
table.sort(points, function(a, b) return a[1] < b[1] end)
local number = #points
local positions = ffi.new("uint64_t[?]", number)
local owners = {}
for i = 1, number do
  positions[i - 1] = points[i][1]
  owners[i - 1] = points[i][2]
end
points = nil
function envoy_on_request(request)
  local headers = request:headers()
  local h = hash(key_of(headers:get(":path")))
  local low, high = 0, number
  while low < high do
    local middle = bit.rshift(low + high, 1)
    if positions[middle] < h then low = middle + 1 else high = middle end
  end
  if low == number then low = 0 end
  headers:replace("x-pushring-destination", owners[low])
  request:clearRouteCache()
end
