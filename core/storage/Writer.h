/// The one connection that writes. Internal to core/storage.
#pragma once

#include "storage/Database.h"
#include "storage/Statement.h"
#include "storage/TableRecord.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace matrixos::storage {

class FileGuard;
class SqliteConnection;

/// Owns the writing connection and its thread. Batches that arrive while another is being synced to disk share the next
/// transaction and its sync, each apart in a savepoint; callers return when their batch is durable. Checkpoints run on
/// the same thread, after the callers were answered. Owners take turns, so that one whose batches take long holds up
/// those of another for the length of one of them at most.
class Writer {
public:
  /// Nothing is acknowledged once `guard` has a problem with the files. Both outlive the writer.
  Writer(const std::filesystem::path &file, std::chrono::milliseconds busyTimeout, FileGuard &guard,
         TableOwners &owners);
  /// Ends what is queued, checkpoints and closes.
  ~Writer();

  /// Runs the statements as one atomic batch and returns the rows that each changed. Blocks until it is durable.
  std::vector<std::int64_t> exec(std::span<const Statement> statements, const Access &access);
  using Job = std::function<void(SqliteConnection &, TableRecord &)>;
  /// Runs work on the writer's thread, outside a transaction, with nothing else going on. Throws what it throws.
  void run(const Job &job, const Access &access);

  Database::Counts counts() const;

private:
  struct Request {
    const Access &access;
    std::span<const Statement> statements;
    const Job *job = nullptr;
    std::vector<std::int64_t> changed;
    std::exception_ptr error;
    std::chrono::steady_clock::duration used{0}; ///< running
    bool over = false;                           ///< its time is used up: it is not tried again
    bool done = false;
    std::condition_variable ready;
  };
  using Group = std::vector<Request *>;

  void submit(Request &request);
  void work();
  Group takeGroup();
  void runJob(Request &request);
  void runGroup(Group &group);
  bool runTogether(Group &group);
  void runAlone(Request &request);
  void runStatements(Request &request);
  void runEach(Request &request);
  bool isLong(const Request &request);
  void putBack(Group &group, std::size_t from);
  void refuseUnkept(const Group &group);
  void answer(const Group &group);
  void checkpointIfDue();

  FileGuard &guard_;
  std::unique_ptr<SqliteConnection> connection_;
  TableRecord record_;
  int walPages_ = 0;
  int checkpointAt_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request *> queue_;
  std::set<std::string> slow_; ///< whose last batch took long: theirs run alone, in turn with those of all others
  bool slowsTurn_ = false;
  Database::Counts counts_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace matrixos::storage
