-- The state of a feed, written by whoever reads it; and if it names another run, that run stays.
-- KEYS: 1 fence; 2 the state; 3 the runs that stay; then all keys of the run.
-- ARGV: 1 expected fence ('': any); 2 the state; 3 the run ('': the same as before)
-- Returns the other runs that stayed so far, which are the caller's to forget; -1 to a former tenure.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[3] == '' then return {} end
for i = 4, #KEYS do redis.call('PERSIST', KEYS[i]) end
redis.call('SADD', KEYS[3], ARGV[3])
local former = {}
for _, run in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  if run ~= ARGV[3] then former[#former + 1] = run end
end
return former
