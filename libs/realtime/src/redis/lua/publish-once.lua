-- Publishes what was not published before.
-- KEYS[1] string: digest of what was published under this room, publisher and id
-- ARGV[1] digest  ARGV[2] time to live in ms  ARGV[3] channel  ARGV[4] payload
-- Returns 'published' | 'repeat' | 'conflict'
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('PUBLISH', ARGV[3], ARGV[4])
  return 'published'
end
return redis.call('GET', KEYS[1]) == ARGV[1] and 'repeat' or 'conflict'
