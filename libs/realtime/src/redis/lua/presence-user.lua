-- A user as others see it: put before each presence script. Every key carries the same hash tag.
--
-- KEYS[1] <prefix>{room}:pc  hash  connection id -> JSON [user id, incarnation, device, metadata as a JSON string or false, number]
-- KEYS[2] <prefix>{room}:pm  hash  e epoch, v version, s server that counts it, q numbers ever given, b bytes of listed devices
-- KEYS[3] <prefix>{room}:px  zset  "user US rank number US connection id": rank 0 for the oldest connection of each device, else 1
-- KEYS[4] <prefix>{room}:pn  hash  user id -> its connections
-- KEYS[5] <prefix>{room}:pd  hash  "user US device" -> its connections, and "user" -> its devices
-- KEYS[6] <prefix>{room}:py  zset  "user US device US number US connection id"
-- KEYS[7] <prefix>{room}:pu  zset  user ids: pages in a stable order
-- KEYS[8] <prefix>{room}:pi  zset  "incarnation US connection id US user id": what one incarnation owns is a range
-- KEYS[9] <prefix>{room}:pl  zset  user ids by the time at which they left
-- All scores but those of pl are 0, so that what begins alike is a range: nothing here reads all connections of a user.

local SEPARATOR = '\31'
-- Devices of a user that are listed. The same number stands in presence-user.ts.
local MAX_DEVICES = 16
-- Characters of a number, with zeros before it, so that texts are in the order of the numbers.
local DIGITS = 16

-- Ids are the client's: one that holds a separator must not read as two.
local function escaped(text)
  return (string.gsub(text, '[\30\31]', { ['\30'] = '\30-', ['\31'] = '\30_' }))
end

local function deviceField(user, device)
  return escaped(user) .. SEPARATOR .. escaped(device)
end

-- The first (or last) members that begin with `prefix` and a separator.
local function first(key, prefix, limit)
  return redis.call('ZRANGEBYLEX', key, '[' .. prefix .. SEPARATOR, '(' .. prefix .. '\32', 'LIMIT', 0, limit)
end

local function last(key, prefix)
  return redis.call('ZREVRANGEBYLEX', key, '(' .. prefix .. '\32', '[' .. prefix .. SEPARATOR, 'LIMIT', 0, 1)[1]
end

-- The oldest connection of each of the user's oldest devices.
local function heads(prefix)
  local from = prefix .. SEPARATOR
  return redis.call('ZRANGEBYLEX', KEYS[3], '[' .. from .. '0', '(' .. from .. '1', 'LIMIT', 0, MAX_DEVICES)
end

-- Entries are decoded once in a script, also when a user is looked at before and after a change.
local decoded = {}

local function decode(json)
  local entry = decoded[json]
  if not entry then
    local raw = cjson.decode(json)
    entry = { user = raw[1], incarnation = raw[2], device = raw[3], meta = raw[4], number = raw[5] }
    decoded[json] = entry
  end
  return entry
end

-- PresenceDevice as JSON. Metadata passes as the string that it came as: cjson would turn [] into {}.
local function show(entry)
  if not entry.shown then
    local label = cjson.encode(entry.device)
    entry.shown = '{"device":' .. label .. (entry.meta and ',"meta":' .. entry.meta or '') .. '}'
    entry.bytes = #label + #(entry.meta or '')
  end
  return entry.shown
end

-- What the scripts that write know of the room.
local room = {}

-- { devices: what counts for each listed device, oldest first; more: devices that are not listed; bytes of the listed ones }.
-- In a user's own room no connection has rank 0: nothing is listed, and `more` counts connections.
local function view(user)
  local prefix = escaped(user)
  local listed = { devices = {}, more = 0, bytes = 0 }
  local members = room.isOwn and {} or heads(prefix)
  if #members == 0 then
    listed.more = tonumber(redis.call('HGET', KEYS[4], user) or '0')
    return listed
  end
  local ids, fields = {}, { prefix }
  -- "prefix US rank number US id"
  for i, member in ipairs(members) do ids[i] = string.sub(member, #prefix + DIGITS + 4) end
  local found = redis.call('HMGET', KEYS[1], unpack(ids))
  for i, json in ipairs(found) do
    if json then fields[#fields + 1] = deviceField(user, decode(json).device) end
  end
  -- Only a key that was evicted alone leaves a hole, which the next write repairs: see openRoom().
  if #fields <= #ids then return listed end
  local counts = redis.call('HMGET', KEYS[5], unpack(fields))
  for i, json in ipairs(found) do
    if (tonumber(counts[i + 1]) or 1) > 1 then
      -- "field US number US id"
      local newest = last(KEYS[6], fields[i + 1])
      json = newest and redis.call('HGET', KEYS[1], string.sub(newest, #fields[i + 1] + DIGITS + 3)) or json
    end
    local entry = decode(json)
    show(entry)
    listed.devices[i] = entry
    listed.bytes = listed.bytes + entry.bytes
  end
  listed.more = (tonumber(counts[1]) or #ids) - #ids
  return listed
end

-- PresenceUser as JSON.
local function render(user, listed)
  local devices = {}
  for i, entry in ipairs(listed.devices) do devices[i] = show(entry) end
  return '{"id":' .. cjson.encode(user) .. ',"devices":[' .. table.concat(devices, ',') .. ']'
    .. (listed.more > 0 and ',"more":' .. string.format('%d', listed.more) or '') .. '}'
end
