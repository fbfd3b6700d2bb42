-- Erases one entry and leaves a hole. Follows log-room.lua (its KEYS and ARGV).
-- ARGV[6] epoch  ARGV[7] offset
-- Returns 1, 0 if it is not there, or -1 for an epoch that the log does not know

if not openLog(false) then return -1 end
saveLog(redis.call)
local offset = tonumber(ARGV[7])
local last = ARGV[6] == log.meta.epoch and log.offset or nil
local ended = forks()
for i = 1, #ended, 2 do
  if ended[i] == ARGV[6] then last = tonumber(ended[i + 1]) end
end
if not last then return -1 end
-- Beyond its epoch's end the publication was lost, and the offset is another's.
if offset > last then return 0 end
local found = redis.call('XRANGE', KEYS[1], int(offset), int(offset))[1]
if not found then return 0 end
local start, expiresAt = trimmedTo(), found[2][6]
redis.call('XDEL', KEYS[1], found[1])
if offset <= start or (expiresAt and tonumber(expiresAt) <= log.now) then return 0 end
return 1
