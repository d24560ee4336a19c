-- Sessions of programs that users let in: the hash is that of a token, mxu_….
ALTER TABLE identity_sessions ADD COLUMN is_program INTEGER NOT NULL DEFAULT 0;
