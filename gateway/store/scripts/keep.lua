-- The one who holds a lane keeps it a while longer; whoever lost it doesn't get it back this way.
-- KEYS: 1 the lane.  ARGV: 1 who; 2 for how long, ms
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
