-- For wrk: asks one URL, or many that differ in a number, and reports in one line for a program.
-- Arguments: URL as printf pattern, how many numbers (0: none).
local requests = {}

function init(args)
  local path = args[1]:gsub("^http://[^/]*", "")
  local count = math.max(tonumber(args[2]), 1)
  -- Made beforehand, so that the load comes from the server's work.
  for i = 1, count do
    requests[i] = wrk.format("GET", tonumber(args[2]) > 0 and path:format(i) or path)
  end
end

function request()
  return requests[math.random(#requests)]
end

-- "figures" requests, microseconds, bytes, p50 and p99 in microseconds, failed requests.
function done(summary, latency, _)
  local errors = summary.errors
  print(("figures %d %d %d %d %d %d"):format(summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
