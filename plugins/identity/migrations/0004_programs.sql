-- Sessions of programs that users let in: the hash is that of a token, mxu_…, and let_in_by the sign-in that they end with.
ALTER TABLE identity_sessions ADD COLUMN let_in_by TEXT REFERENCES identity_sessions (hash) ON DELETE CASCADE;
CREATE INDEX identity_sessions_let_in_by ON identity_sessions (let_in_by) WHERE let_in_by IS NOT NULL;
