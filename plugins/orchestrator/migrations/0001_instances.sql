CREATE TABLE containers (
  handle              VARCHAR(32)  NOT NULL PRIMARY KEY,
  clerk_user_id       VARCHAR(128) NOT NULL UNIQUE,
  container_id        TEXT         NOT NULL,
  port                INTEGER      NOT NULL,
  shell_port          INTEGER      NOT NULL,
  status              VARCHAR(16)  NOT NULL,
  created_at          BIGINT       NOT NULL,
  last_active         BIGINT       NOT NULL,
  id                  CHAR(26)     NOT NULL UNIQUE,
  rev                 BIGINT       NOT NULL,
  generation          BIGINT       NOT NULL,
  observed_generation BIGINT       NOT NULL,
  phase               VARCHAR(16)  NOT NULL,
  desired             VARCHAR(16)  NOT NULL,
  runtime             TEXT         NOT NULL,
  node                TEXT         NOT NULL,
  image               TEXT         NOT NULL,
  image_digest        TEXT         NOT NULL,
  spec_hash           TEXT         NOT NULL,
  volume              TEXT         NOT NULL,
  volume_created      INTEGER      NOT NULL,
  operation_id        TEXT         NOT NULL,
  step                VARCHAR(16)  NOT NULL,
  retry_at            BIGINT       NOT NULL,
  failures            INTEGER      NOT NULL,
  last_error          TEXT         NOT NULL,
  provisioned_at      BIGINT       NOT NULL,
  updated_at          BIGINT       NOT NULL,
  activity_seq        BIGINT       NOT NULL
);

CREATE TABLE port_assignments (
  node        TEXT        NOT NULL,
  port        INTEGER     NOT NULL,
  kind        VARCHAR(8)  NOT NULL CHECK (kind IN ('gateway', 'shell')),
  instance_id CHAR(26)    NOT NULL REFERENCES containers (id),
  assigned_at BIGINT      NOT NULL,
  PRIMARY KEY (node, port),
  UNIQUE (instance_id, kind)
);

CREATE TABLE handle_tombstones (
  handle        VARCHAR(32)  NOT NULL PRIMARY KEY,
  clerk_user_id VARCHAR(128) NOT NULL,
  instance_id   CHAR(26)     NOT NULL,
  rev           BIGINT       NOT NULL,
  deleted_at    BIGINT       NOT NULL,
  expires_at    BIGINT       NOT NULL
);
