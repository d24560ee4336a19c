CREATE TABLE audit_log (
  seq       INTEGER     NOT NULL PRIMARY KEY,
  at        VARCHAR(24) NOT NULL,
  principal TEXT        NOT NULL,
  handle    VARCHAR(32) NOT NULL,
  action    TEXT        NOT NULL,
  event     TEXT        NOT NULL,
  hash      CHAR(64)    NOT NULL
);

CREATE INDEX audit_log_principal ON audit_log (principal, seq);
CREATE INDEX audit_log_handle ON audit_log (handle, seq);
CREATE INDEX audit_log_action ON audit_log (action, seq);
CREATE INDEX audit_log_at ON audit_log (at, seq);
