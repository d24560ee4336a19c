/// The one connection that writes. Internal to core/storage.
#pragma once

#include "storage/Database.h"
#include "storage/Statement.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace matrixos::storage {

class FileGuard;
class SqliteConnection;

/// Owns the writing connection and its thread. Batches that arrive while another is being synced to disk share the next
/// transaction and its sync, each apart in a savepoint; callers return when their batch is durable. Checkpoints run on
/// the same thread, after the callers were answered.
class Writer {
public:
  /// Nothing is acknowledged once `guard`, which outlives the writer, has a problem with the files.
  Writer(const std::filesystem::path &file, std::chrono::milliseconds busyTimeout, FileGuard &guard);
  /// Ends what is queued, checkpoints and closes.
  ~Writer();

  /// Runs the statements as one atomic batch and returns the rows that each changed. Blocks until it is durable.
  std::vector<std::int64_t> exec(std::span<const Statement> statements);
  /// Runs work on the writer's thread, outside a transaction, with nothing else going on. Throws what it throws.
  void run(const std::function<void(SqliteConnection &)> &job);

  Database::Counts counts() const;

private:
  struct Request {
    std::span<const Statement> statements;
    const std::function<void(SqliteConnection &)> *job = nullptr;
    std::vector<std::int64_t> changed;
    std::exception_ptr error;
    bool done = false;
    std::condition_variable ready;
  };
  using Group = std::vector<Request *>;

  void submit(Request &request);
  void work();
  Group takeGroup();
  void runJob(Request &request);
  void runGroup(const Group &group);
  bool runTogether(const Group &group);
  void runAlone(Request &request);
  void runStatements(Request &request);
  void refuseUnkept(const Group &group);
  void answer(const Group &group);
  void checkpointIfDue();

  FileGuard &guard_;
  std::unique_ptr<SqliteConnection> connection_;
  int walPages_ = 0;
  int checkpointAt_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request *> queue_;
  Database::Counts counts_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace matrixos::storage
