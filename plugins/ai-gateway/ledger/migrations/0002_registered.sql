-- Gateways of instances that the platform does not run; at is in ms since the epoch.
CREATE TABLE ai_gateway_registered (
  handle TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  at INTEGER NOT NULL
);
