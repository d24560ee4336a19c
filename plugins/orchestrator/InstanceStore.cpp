#include "InstanceStore.h"

#include "Migrations.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace matrixos::orchestrator {

namespace {

/// When a column is written: with the row alone, or with every change of the record.
enum class Written { Once, Always };

/// One column of `containers`: its name, and both ways between row and record.
struct Column {
  std::string_view name;
  Written written;
  SqlParam (*bind)(const Instance &instance);
  void (*read)(Instance &instance, const SqlRow &row, std::uint32_t at);
};

void readWord(Phase &phase, const std::string &word) {
  phase = phaseOf(word);
}
void readWord(Desired &desired, const std::string &word) {
  desired = desiredOf(word);
}
void readWord(Step &step, const std::string &word) {
  step = stepOf(word);
}

/// A column that holds a member as it is: text, a number, or the word of an enumerator.
template <auto Member>
constexpr Column column(std::string_view name, Written written) {
  using Value = std::remove_reference_t<decltype(std::declval<Instance &>().*Member)>;
  return {name, written,
          [](const Instance &instance) -> SqlParam {
            if constexpr (std::is_enum_v<Value>)
              return wordOf(instance.*Member);
            else if constexpr (std::is_integral_v<Value>)
              return static_cast<std::int64_t>(instance.*Member);
            else
              return instance.*Member;
          },
          [](Instance &instance, const SqlRow &row, std::uint32_t at) {
            if constexpr (std::is_enum_v<Value>)
              readWord(instance.*Member, row.text(at));
            else if constexpr (std::is_integral_v<Value>)
              instance.*Member = static_cast<Value>(row.integer(at));
            else
              instance.*Member = row.text(at);
          }};
}

/// One of the end that lies inside the record.
template <auto Member>
constexpr Column endColumn(std::string_view name) {
  using Value = std::remove_reference_t<decltype(std::declval<InstanceEnd &>().*Member)>;
  return {name, Written::Always,
          [](const Instance &instance) -> SqlParam { return static_cast<std::int64_t>(instance.lastEnd.*Member); },
          [](Instance &instance, const SqlRow &row, std::uint32_t at) {
            instance.lastEnd.*Member = static_cast<Value>(row.integer(at));
          }};
}

/// Every column, once. Use of an instance (last_active, activity_seq) has a statement of its own.
constexpr std::array kColumns{
    column<&Instance::handle>("handle", Written::Once),
    column<&Instance::clerkUserId>("clerk_user_id", Written::Once),
    column<&Instance::containerId>("container_id", Written::Always),
    column<&Instance::port>("port", Written::Always),
    column<&Instance::shellPort>("shell_port", Written::Always),
    // Follows from the phase, and is never read: for people who look at the table.
    Column{"status", Written::Always, [](const Instance &instance) -> SqlParam { return wordOf(statusOf(instance)); },
           [](Instance &, const SqlRow &, std::uint32_t) {}},
    column<&Instance::createdAt>("created_at", Written::Once),
    column<&Instance::lastActive>("last_active", Written::Once),
    column<&Instance::id>("id", Written::Once),
    column<&Instance::rev>("rev", Written::Always),
    column<&Instance::generation>("generation", Written::Always),
    column<&Instance::observedGeneration>("observed_generation", Written::Always),
    column<&Instance::phase>("phase", Written::Always),
    column<&Instance::desired>("desired", Written::Always),
    column<&Instance::runtime>("runtime", Written::Always),
    column<&Instance::node>("node", Written::Always),
    column<&Instance::image>("image", Written::Always),
    column<&Instance::imageDigest>("image_digest", Written::Always),
    column<&Instance::specHash>("spec_hash", Written::Always),
    column<&Instance::tokenHash>("token_hash", Written::Always),
    column<&Instance::volume>("volume", Written::Always),
    column<&Instance::volumeCreated>("volume_created", Written::Always),
    column<&Instance::operationId>("operation_id", Written::Always),
    column<&Instance::step>("step", Written::Always),
    column<&Instance::retryAt>("retry_at", Written::Always),
    column<&Instance::failures>("failures", Written::Always),
    column<&Instance::lastError>("last_error", Written::Always),
    column<&Instance::provisionedAt>("provisioned_at", Written::Always),
    endColumn<&InstanceEnd::exitCode>("end_exit_code"),
    endColumn<&InstanceEnd::oomKilled>("end_oom_killed"),
    endColumn<&InstanceEnd::times>("end_times"),
    endColumn<&InstanceEnd::at>("end_at"),
    column<&Instance::updatedAt>("updated_at", Written::Always),
    column<&Instance::activitySeq>("activity_seq", Written::Once),
};

/// "handle, clerk_user_id, …", and for INSERT as many question marks.
std::string listOf(bool marks) {
  std::string list;
  for (const Column &column : kColumns)
    list.append(list.empty() ? "" : ", ").append(marks ? "?" : column.name);
  return list;
}

std::string updateSql() {
  std::string list;
  for (const Column &column : kColumns) {
    if (column.written == Written::Always) list.append(list.empty() ? "" : ", ").append(column.name).append(" = ?");
  }
  return "UPDATE containers SET " + list + " WHERE id = ? AND rev = ?";
}

const std::string kSelect = "SELECT " + listOf(false) + " FROM containers";
const std::string kSelectById = kSelect + " WHERE id = ?";
const std::string kInsert = "INSERT INTO containers (" + listOf(false) + ") VALUES (" + listOf(true) + ")";
const std::string kUpdate = updateSql();
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
  Instance instance;
  for (std::uint32_t at = 0; at < kColumns.size(); ++at)
    kColumns[at].read(instance, row, at);
  instance.rowRev = instance.rev;
  return instance;
}

SqlStatement insertOf(const Instance &instance) {
  SqlStatement statement{kInsert, {}, 1};
  for (const Column &column : kColumns)
    statement.params.push_back(column.bind(instance));
  return statement;
}

SqlStatement updateOf(const Instance &instance, std::uint64_t expectedRev) {
  SqlStatement statement{kUpdate, {}, 1};
  for (const Column &column : kColumns) {
    if (column.written == Written::Always) statement.params.push_back(column.bind(instance));
  }
  statement.params.push_back(instance.id);
  statement.params.push_back(sqlInt(expectedRev));
  return statement;
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

void InstanceStore::insert(const Instance &instance) const {
  std::vector<SqlStatement> batch{insertOf(instance)};
  addPorts(batch, instance);
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
  return tombstoneBy("handle", handle);
}

std::optional<Tombstone> InstanceStore::findTombstoneOf(std::string_view instanceId) const {
  return tombstoneBy("instance_id", instanceId);
}

std::optional<Tombstone> InstanceStore::tombstoneBy(const char *column, std::string_view value) const {
  std::optional<Tombstone> found;
  db_.query("SELECT handle, clerk_user_id, instance_id, rev, deleted_at, expires_at FROM handle_tombstones WHERE " +
                std::string(column) + " = ?",
            {value}, [&](const SqlRow &row) {
              found = Tombstone{row.text(0),    row.text(1),   row.text(2), static_cast<std::uint64_t>(row.integer(3)),
                                row.integer(4), row.integer(5)};
            });
  return found;
}

bool InstanceStore::releaseHandle(std::string_view handle, std::int64_t nowMs) const {
  const auto changed =
      db_.execBatch({{"UPDATE handle_tombstones SET expires_at = ? WHERE handle = ? AND expires_at > ?",
                      {nowMs, handle, nowMs},
                      MOS_SQL_ANY_ROWS}});
  return changed.at(0) != 0;
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
