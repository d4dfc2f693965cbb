-- Derives the key of a push as pushring does: its labels sorted by name, each `name \255 value`, joined by \255. The key of
-- a path that is not a push path, or has an odd number of components, is the decoded path.
local find, sub, byte, char = string.find, string.sub, string.byte, string.char

local digits = {}
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
for i = 1, #alphabet do
  digits[byte(alphabet, i)] = i - 1
end

local function base64(text)
  local out, bits, held = {}, 0, 0
  for i = 1, #text do
    local digit = digits[byte(text, i)]
    if digit then
      bits, held = bits * 64 + digit, held + 6
      if held >= 8 then
        held = held - 8
        local unit = 2 ^ held
        out[#out + 1] = char(math.floor(bits / unit))
        bits = bits % unit
      end
    end
  end
  return table.concat(out)
end

-- Returns the text up to the next slash and the position after it; the position is nil at the end of the path.
local function component(path, from)
  local slash = find(path, "/", from, true)
  if slash then return sub(path, from, slash - 1), slash + 1 end
  return sub(path, from), nil
end

-- Inserts into the sorted `names`; the last value of a repeated name wins.
local function put(names, values, name, value)
  if sub(name, -7) == "@base64" then
    name, value = sub(name, 1, -8), base64(value)
  end
  if not values[name] then
    local place = #names + 1
    while place > 1 and names[place - 1] > name do
      names[place] = names[place - 1]
      place = place - 1
    end
    names[place] = name
  end
  values[name] = value
end

local function key_of(path)
  local query = find(path, "?", 1, true)
  if query then path = sub(path, 1, query - 1) end
  if find(path, "%", 1, true) then
    path = path:gsub("%%(%x%x)", function(hex) return char(tonumber(hex, 16)) end)
  end
  if sub(path, 1, 12) ~= "/metrics/job" then return path end
  local first, from = component(path, 10) -- "job" or "job@base64"
  if not from then return path end
  local names, values, job, name, value = {}, {}, nil, nil, nil
  job, from = component(path, from)
  while from and from <= #path do
    name, from = component(path, from)
    if not from then return path end
    value, from = component(path, from)
    put(names, values, name, value)
  end
  put(names, values, first, job)
  for i = 1, #names do
    names[i] = names[i] .. "\255" .. values[names[i]]
  end
  return table.concat(names, "\255")
end
