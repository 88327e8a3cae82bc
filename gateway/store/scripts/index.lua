-- A name is found under an id. The first one lies with those of other ids, packed by Redis into a few bytes, if it
-- leaves them packed (no part longer than 64 bytes, no more than 512 parts); all others lie by themselves.
-- KEYS: 1 the first names of many ids; 2 the other names of this id.  ARGV: 1 id; 2 name
local first = redis.call('HGET', KEYS[1], ARGV[1])
if first == ARGV[2] then return end
if first or #ARGV[1] > 64 or #ARGV[2] > 64 or redis.call('HLEN', KEYS[1]) >= 512 then
  redis.call('SADD', KEYS[2], ARGV[2])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
