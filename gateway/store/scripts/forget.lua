-- A fan-out note is forgotten, unless the object was written again since it was read.
-- KEYS: 1 the note; 2 the owner's notes.  ARGV: 1 sequence of the note as read; 2 name
if redis.call('HGET', KEYS[1], '#') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
