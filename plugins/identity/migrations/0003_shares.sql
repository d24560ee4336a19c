-- What owners share, by the id of the instance: who gets its name later inherits nothing. user_id or email is empty.
CREATE TABLE identity_shares (
  id TEXT PRIMARY KEY,
  instance_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  email TEXT NOT NULL,
  role INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (instance_id, user_id, email)
);
