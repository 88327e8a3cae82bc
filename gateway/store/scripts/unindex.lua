-- A name is no longer found under an id.
-- KEYS: 1 the first names of many ids; 2 the other names of this id.  ARGV: 1 id; 2 name
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('SREM', KEYS[2], ARGV[2])
