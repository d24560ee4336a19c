-- Money is in pico-dollars, times are ms since the epoch.
CREATE TABLE ai_gateway_users (
  user_id INTEGER PRIMARY KEY,
  instance TEXT NOT NULL UNIQUE,
  handle TEXT NOT NULL,
  daily_limit INTEGER,
  monthly_limit INTEGER
);

CREATE TABLE ai_gateway_calls (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES ai_gateway_users (user_id),
  at INTEGER NOT NULL,
  model TEXT NOT NULL,
  session TEXT NOT NULL,
  input INTEGER NOT NULL,
  output INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  partial INTEGER NOT NULL
);

CREATE INDEX ai_gateway_calls_user ON ai_gateway_calls (user_id, at);
-- Has all that the sums of a period need.
CREATE INDEX ai_gateway_calls_at ON ai_gateway_calls (at, user_id, cost);
