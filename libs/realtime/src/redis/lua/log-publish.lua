-- Publishes once: known id, next offset, append, trim, publish. Follows log-room.lua (its KEYS and ARGV).
-- KEYS[3] <prefix>{room}:once:<digest of publisher and id>  string '<digest>[ <offset> <epoch>]'
-- ARGV[2] may be '' too: the room keeps nothing
-- ARGV[6] channel  ARGV[7] text  ARGV[8] digest of the payload, '' to look up no id  ARGV[9] ms that the id is known
-- ARGV[10] ms after which the entry expires by itself, or ''
-- Returns { 'published' | 'repeat' | 'conflict'[, offset, epoch] }: where it is, or what was published under the id

if ARGV[8] ~= '' then
  local known = redis.call('GET', KEYS[3])
  if known then
    local digest, offset, epoch = string.match(known, '^(%S+) ?(%d*) ?(%S*)$')
    local status = digest == ARGV[8] and 'repeat' or 'conflict'
    if offset == '' then return { status } end
    return { status, offset, epoch }
  end
end

local function append()
  local t = math.max(log.now, log.last)
  local id = int(log.offset + 1) .. '-0'
  local entry = { 't', int(t), 'm', ARGV[7] }
  if ARGV[10] ~= '' then
    entry[5] = 'x'
    entry[6] = int(log.now + tonumber(ARGV[10]))
  end
  -- The first write: what Redis refuses (no memory, no replicas) it refuses here, and nothing has happened.
  local reply = redis.pcall('XADD', KEYS[1], id, unpack(entry))
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'equal or smaller', 1, true) then
    -- Not our numbers: as if the stream had been lost.
    eraseStream()
    log.start = log.offset
    reply = redis.pcall('XADD', KEYS[1], id, unpack(entry))
  end
  if type(reply) == 'table' and reply.err then return reply end
  if log.start >= log.offset then log.since = t end
  log.offset = log.offset + 1
  local start = trimmedTo()
  if start > log.start then
    redis.call('XTRIM', KEYS[1], 'MINID', '~', int(start + 1), 'LIMIT', TRIM_AT_ONCE)
  end
  log.start = start
  redis.call('PEXPIRE', KEYS[1], int(log.ttlMs))
  change('offset', int(log.offset))
  change('start', int(start))
  change('last', int(t))
  change('since', int(log.since))
  return saveLog(redis.call)
end

local head, reply, record = 'm\n', { 'published' }, ARGV[8]
if ARGV[2] ~= '' and openLog(true) then
  local refused = append()
  if refused then return refused end
  reply = { 'published', int(log.offset), log.meta.epoch }
  head = 'm' .. reply[2] .. ' ' .. reply[3] .. '\n'
  record = record .. ' ' .. reply[2] .. ' ' .. reply[3]
end
if ARGV[8] ~= '' then redis.call('SET', KEYS[3], record, 'PX', ARGV[9]) end
redis.call('PUBLISH', ARGV[6], head .. ARGV[7])
return reply
