-- Removes one entry if the incarnation owns it. Follows presence-room.lua (its KEYS, and ARGV 1 to 5).
-- ARGV[6] user id  ARGV[7] connection id  ARGV[8] incarnation
-- Returns JSON: { transition, isLast }; isLast: the incarnation has no entry in the room any more.

local result = remove(ARGV[6], { ARGV[7] }, ARGV[8])
return '{"transition":' .. result .. ',"isLast":' .. isLast(ARGV[8]) .. '}'
