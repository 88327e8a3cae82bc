-- What a receiver has, before something is sent to it: as of now it is only perhaps, until somebody says it again.
-- KEYS: 1 fence; 2 sent.  ARGV: 1 expected fence ('': any); 2 name
-- Returns what was known, nothing if that is nothing, -1 to a former tenure.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
local known = redis.call('HGET', KEYS[2], ARGV[2])
if not known then return false end
redis.call('HSET', KEYS[2], ARGV[2], string.sub(known, string.find(known, '\n', 1, true), -1))
return known
