-- GCRA (generic cell rate algorithm): one key holds the theoretical arrival time in microseconds.
-- KEYS[1] the caller; ARGV[1] microseconds between requests, ARGV[2] how many may come at once.
-- Answers {allowed, remaining, microseconds until the next one is taken, until all are free again}.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = arrival + interval - interval * burst - now
if wait > 0 then
    return {0, 0, wait, arrival - now}
end
arrival = arrival + interval
redis.call('SET', KEYS[1], string.format('%d', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
return {1, math.floor((interval * burst - (arrival - now)) / interval), 0, arrival - now}
