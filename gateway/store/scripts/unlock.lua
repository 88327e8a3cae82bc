-- A lane is left by the one who holds it; one whose time was up leaves the next one's alone.
-- KEYS: 1 the lane.  ARGV: 1 who
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
