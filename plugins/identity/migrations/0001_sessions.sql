-- Who is signed in. The hash is the SHA-256 of the cookie, in hex. Times are ms since the epoch.
-- operator_by: the item of [identity] operators that makes an operator of the user, or empty.
CREATE TABLE identity_sessions (
  hash TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  email TEXT NOT NULL,
  email_verified INTEGER NOT NULL,
  name TEXT NOT NULL,
  operator_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
);
-- Their cookies of instances' hosts, of each host the last one.
CREATE TABLE identity_grants (
  hash TEXT PRIMARY KEY,
  session TEXT NOT NULL REFERENCES identity_sessions (hash) ON DELETE CASCADE,
  handle TEXT NOT NULL,
  UNIQUE (session, handle)
);
