#include "InstanceStore.h"

#include "Migrations.h"

namespace matrixos::orchestrator {

namespace {

#define COLUMNS                                                                                                        \
  "handle, clerk_user_id, container_id, port, shell_port, status, created_at, last_active, id, rev, generation, "      \
  "observed_generation, phase, desired, runtime, node, image, image_digest, spec_hash, volume, volume_created, "       \
  "operation_id, step, retry_at, failures, last_error, provisioned_at, updated_at, activity_seq"

constexpr std::string_view kSelect = "SELECT " COLUMNS " FROM containers";
constexpr std::string_view kSelectById = "SELECT " COLUMNS " FROM containers WHERE id = ?";
constexpr std::string_view kInsert =
    "INSERT INTO containers (" COLUMNS
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr std::string_view kUpdate =
    "UPDATE containers SET container_id = ?, port = ?, shell_port = ?, status = ?, rev = ?, generation = ?, "
    "observed_generation = ?, phase = ?, desired = ?, runtime = ?, node = ?, image = ?, image_digest = ?, "
    "spec_hash = ?, volume = ?, volume_created = ?, operation_id = ?, step = ?, retry_at = ?, failures = ?, "
    "last_error = ?, provisioned_at = ?, updated_at = ? WHERE id = ? AND rev = ?";
constexpr std::string_view kInsertPort =
    "INSERT INTO port_assignments (node, port, kind, instance_id, assigned_at) VALUES (?, ?, ?, ?, ?)";
constexpr std::string_view kDeletePorts = "DELETE FROM port_assignments WHERE instance_id = ?";
constexpr std::string_view kDelete = "DELETE FROM containers WHERE id = ? AND rev = ?";
constexpr std::string_view kDeleteTombstone = "DELETE FROM handle_tombstones WHERE handle = ?";
constexpr std::string_view kInsertTombstone =
    "INSERT INTO handle_tombstones (handle, clerk_user_id, instance_id, rev, deleted_at, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?)";
constexpr std::string_view kSaveActivity =
    "UPDATE containers SET last_active = ?, activity_seq = ? WHERE id = ? AND activity_seq <= ?";
constexpr std::size_t kActivityBatch = 500;

std::int64_t sqlInt(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

Instance fromRow(const SqlRow &row) {
  Instance i;
  i.handle = row.text(0);
  i.clerkUserId = row.text(1);
  i.containerId = row.text(2);
  i.port = static_cast<int>(row.integer(3));
  i.shellPort = static_cast<int>(row.integer(4));
  // Column 5, status, is derived from the phase; it is stored for people who read the table.
  i.createdAt = row.integer(6);
  i.lastActive = row.integer(7);
  i.id = row.text(8);
  i.rev = i.rowRev = static_cast<std::uint64_t>(row.integer(9));
  i.generation = row.integer(10);
  i.observedGeneration = row.integer(11);
  i.phase = phaseOf(row.text(12));
  i.desired = desiredOf(row.text(13));
  i.runtime = row.text(14);
  i.node = row.text(15);
  i.image = row.text(16);
  i.imageDigest = row.text(17);
  i.specHash = row.text(18);
  i.volume = row.text(19);
  i.volumeCreated = row.integer(20) != 0;
  i.operationId = row.text(21);
  i.step = stepOf(row.text(22));
  i.retryAt = row.integer(23);
  i.failures = row.integer(24);
  i.lastError = row.text(25);
  i.provisionedAt = row.integer(26);
  i.updatedAt = row.integer(27);
  i.activitySeq = static_cast<std::uint64_t>(row.integer(28));
  return i;
}

SqlStatement updateOf(const Instance &i, std::uint64_t expectedRev) {
  return {kUpdate,
          {i.containerId,
           i.port,
           i.shellPort,
           statusOf(i),
           sqlInt(i.rev),
           i.generation,
           i.observedGeneration,
           phaseName(i.phase),
           desiredName(i.desired),
           i.runtime,
           i.node,
           i.image,
           i.imageDigest,
           i.specHash,
           i.volume,
           i.volumeCreated ? 1 : 0,
           i.operationId,
           stepName(i.step),
           i.retryAt,
           i.failures,
           i.lastError,
           i.provisionedAt,
           i.updatedAt,
           i.id,
           sqlInt(expectedRev)},
          1};
}

void addPorts(std::vector<SqlStatement> &batch, const Instance &i) {
  if (i.port != 0) batch.push_back({kInsertPort, {i.node, i.port, "gateway", i.id, i.updatedAt}, 1});
  if (i.shellPort != 0) batch.push_back({kInsertPort, {i.node, i.shellPort, "shell", i.id, i.updatedAt}, 1});
}

} // namespace

void InstanceStore::migrate() const {
  db_.migrate(migrations());
}

void InstanceStore::forEach(const std::function<void(Instance)> &row) const {
  db_.query(kSelect, {}, [&](const SqlRow &columns) { row(fromRow(columns)); });
}

std::optional<Instance> InstanceStore::findById(std::string_view id) const {
  std::optional<Instance> found;
  db_.query(kSelectById, {id}, [&](const SqlRow &row) { found = fromRow(row); });
  return found;
}

std::uint64_t InstanceStore::maxRev() const {
  std::int64_t max = 0;
  const auto take = [&](const SqlRow &row) { max = std::max(max, row.integer(0)); };
  db_.query("SELECT MAX(rev) FROM containers", {}, take);
  db_.query("SELECT MAX(rev) FROM handle_tombstones", {}, take);
  return static_cast<std::uint64_t>(max);
}

std::vector<int> InstanceStore::portsOf(std::string_view node) const {
  std::vector<int> ports;
  db_.query("SELECT port FROM port_assignments WHERE node = ?", {node},
            [&](const SqlRow &row) { ports.push_back(static_cast<int>(row.integer(0))); });
  return ports;
}

void InstanceStore::insert(const Instance &i) const {
  std::vector<SqlStatement> batch;
  batch.push_back({kInsert,
                   {i.handle,
                    i.clerkUserId,
                    i.containerId,
                    i.port,
                    i.shellPort,
                    statusOf(i),
                    i.createdAt,
                    i.lastActive,
                    i.id,
                    sqlInt(i.rev),
                    i.generation,
                    i.observedGeneration,
                    phaseName(i.phase),
                    desiredName(i.desired),
                    i.runtime,
                    i.node,
                    i.image,
                    i.imageDigest,
                    i.specHash,
                    i.volume,
                    i.volumeCreated ? 1 : 0,
                    i.operationId,
                    stepName(i.step),
                    i.retryAt,
                    i.failures,
                    i.lastError,
                    i.provisionedAt,
                    i.updatedAt,
                    sqlInt(i.activitySeq)},
                   1});
  addPorts(batch, i);
  db_.execBatch(batch);
}

void InstanceStore::update(const Instance &instance, std::uint64_t expectedRev) const {
  db_.execBatch({updateOf(instance, expectedRev)});
}

void InstanceStore::updatePorts(const Instance &instance, std::uint64_t expectedRev) const {
  std::vector<SqlStatement> batch{{kDeletePorts, {instance.id}, MOS_SQL_ANY_ROWS}};
  addPorts(batch, instance);
  batch.push_back(updateOf(instance, expectedRev));
  db_.execBatch(batch);
}

void InstanceStore::remove(const Instance &instance, const Tombstone *tombstone) const {
  std::vector<SqlStatement> batch{{kDeletePorts, {instance.id}, MOS_SQL_ANY_ROWS},
                                  {kDelete, {instance.id, sqlInt(instance.rowRev)}, 1}};
  if (tombstone != nullptr) {
    batch.push_back({kDeleteTombstone, {tombstone->handle}, MOS_SQL_ANY_ROWS});
    batch.push_back({kInsertTombstone,
                     {tombstone->handle, tombstone->clerkUserId, tombstone->instanceId, sqlInt(tombstone->rev),
                      tombstone->deletedAt, tombstone->expiresAt},
                     1});
  }
  db_.execBatch(batch);
}

std::optional<Tombstone> InstanceStore::findTombstone(std::string_view handle) const {
  std::optional<Tombstone> found;
  db_.query("SELECT handle, clerk_user_id, instance_id, rev, deleted_at, expires_at FROM handle_tombstones "
            "WHERE handle = ?",
            {handle}, [&](const SqlRow &row) {
              found = Tombstone{row.text(0),    row.text(1),   row.text(2), static_cast<std::uint64_t>(row.integer(3)),
                                row.integer(4), row.integer(5)};
            });
  return found;
}

void InstanceStore::saveActivity(const std::vector<ActivityRow> &rows) const {
  for (std::size_t from = 0; from < rows.size(); from += kActivityBatch) {
    std::vector<SqlStatement> batch;
    for (std::size_t at = from; at < rows.size() && at < from + kActivityBatch; ++at) {
      const ActivityRow &row = rows[at];
      const std::int64_t seq = sqlInt(row.activitySeq);
      batch.push_back({kSaveActivity, {row.lastActive, seq, row.id, seq}, MOS_SQL_ANY_ROWS});
    }
    db_.execBatch(batch);
  }
}

} // namespace matrixos::orchestrator
