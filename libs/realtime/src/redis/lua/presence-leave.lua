-- Removes one entry if the incarnation owns it. Follows presence-room.lua (its KEYS, and ARGV 1 to 6).
-- ARGV[7] user id  ARGV[8] connection id  ARGV[9] incarnation
-- Returns JSON: { transition, isLast }; isLast: the incarnation has no entry in the room any more.

local result = remove(ARGV[7], { ARGV[8] }, ARGV[9])
return '{"transition":' .. result .. ',"isLast":' .. isLast(ARGV[9]) .. '}'
