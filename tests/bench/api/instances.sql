-- Fills the orchestrator's tables with @n instances that ran once and are at rest, as `POST …/stop` leaves them.
BEGIN;
WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < @n)
INSERT INTO containers (handle, clerk_user_id, container_id, port, shell_port, status, created_at, last_active, id, rev,
  generation, observed_generation, phase, desired, runtime, node, image, image_digest, spec_hash, volume,
  volume_created, operation_id, step, retry_at, failures, last_error, provisioned_at, updated_at, activity_seq)
SELECT printf('bench-%05d', i), printf('user_2bench%016d', i), printf('%064x', i), 29999 + i, 39999 + i, 'stopped',
  1760000000000 + i * 1000, 1760100000000 + i, printf('01K%023d', i), i, 1, 1, 'stopped', 'stopped', 'docker', 'local',
  'ghcr.io/hamedmp/matrix-os:latest', printf('sha256:%064x', 7), printf('%064x', 9), printf('/users/bench-%05d', i),
  1, '', '', 0, 0, '', 1760000001000 + i * 1000, 1760100000000 + i, 40 + i
FROM number;
INSERT INTO port_assignments SELECT node, port, 'gateway', id, created_at FROM containers;
INSERT INTO port_assignments SELECT node, shell_port, 'shell', id, created_at FROM containers;
COMMIT;
