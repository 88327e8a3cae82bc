-- A registration is replaced, if it is the one that the caller has read.
-- KEYS: 1 the registration.  ARGV: 1 expected version; 2 this write's own mark; 3 value; 4 digests to take away, packed
-- Returns the new version, or -1 when the expectation is wrong.
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if redis.call('HGET', KEYS[1], 'by') == ARGV[2] then
  return version -- the client repeats a write whose answer was lost
end
if version ~= tonumber(ARGV[1]) then return -1 end
redis.call('HSET', KEYS[1], 'version', version + 1, 'value', ARGV[3], 'drop', ARGV[4], 'by', ARGV[2])
return version + 1
