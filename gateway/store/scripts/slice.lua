-- A slice of a list that is ordered by score and name: how many there are in all, and the slice, name and score in turn.
-- KEYS: 1 the list
-- ARGV: 1 from (inclusive) and 2 to (exclusive, or '+inf'), of the whole; 3 score and 4 name after which the slice begins
--       ('': with the first one); 5 how many to skip; 6 how many at most
local function precedes(one, other) -- byte for byte, as Redis orders; Lua's own < goes by the server's locale
  for i = 1, math.min(#one, #other) do
    local a, b = one:byte(i), other:byte(i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

local first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1])
local total = redis.call('ZCOUNT', KEYS[1], ARGV[1], ARGV[2])
local start = first
if ARGV[3] ~= '' then
  -- Of those with the same score, the first name that comes after the given one, which needn't be there any more.
  local low = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3])
  local high = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[3])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if precedes(ARGV[4], redis.call('ZRANGE', KEYS[1], middle, middle)[1]) then high = middle else low = middle + 1 end
  end
  start = math.max(start, low)
end
start = start + tonumber(ARGV[5])
local last = math.min(start + tonumber(ARGV[6]), first + total) - 1
if last < start then return {total, {}} end
return {total, redis.call('ZRANGE', KEYS[1], start, last, 'WITHSCORES')}
