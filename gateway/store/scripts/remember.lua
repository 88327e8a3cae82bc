-- A value is found under an id, for good. It lies with those of other ids, packed by Redis into a few bytes, if it
-- leaves them packed (no part longer than 64 bytes, no more than 512 parts), else by itself.
-- KEYS: 1 the values of many ids; 2 the value of this id alone.  ARGV: 1 id; 2 value
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if #ARGV[1] <= 64 and #ARGV[2] <= 64 and (known or redis.call('HLEN', KEYS[1]) < 512) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[1], ARGV[1])
end
