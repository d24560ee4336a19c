#include "storage/Writer.h"

#include "storage/FileGuard.h"
#include "storage/SqliteConnection.h"

#include <matrixos/failpoint.hpp>

#include <pthread.h>
#include <sqlite3.h>

#include <algorithm>
#include <string>

namespace matrixos::storage {
namespace {

/// Batches that share a transaction at most. More would let one slow group hold all callers up.
constexpr std::size_t kLargestGroup = 128;
/// Pages in the write-ahead log, of 4 KiB, after which it is checkpointed.
constexpr int kCheckpointPages = 1000;

} // namespace

Writer::Writer(const std::filesystem::path &file, std::chrono::milliseconds busyTimeout, FileGuard &guard)
    : guard_(guard), connection_(std::make_unique<SqliteConnection>(file, SqliteConnection::Role::Writer, busyTimeout)),
      checkpointAt_(kCheckpointPages) {
  // Replaces SQLite's automatic checkpoint, which would run inside COMMIT while the caller waits.
  sqlite3_wal_hook(
      connection_->handle(),
      [](void *self, sqlite3 *, const char *, int pages) {
        static_cast<Writer *>(self)->walPages_ = pages;
        return SQLITE_OK;
      },
      this);
  thread_ = std::thread([this] { work(); });
}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

std::vector<std::int64_t> Writer::exec(std::span<const Statement> statements) {
  Request request;
  request.statements = statements;
  submit(request);
  return std::move(request.changed);
}

void Writer::run(const std::function<void(SqliteConnection &)> &job) {
  Request request;
  request.job = &job;
  submit(request);
}

Database::Counts Writer::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void Writer::submit(Request &request) {
  guard_.require();
  std::unique_lock lock(mutex_);
  if (stopping_) throw Error(Status::Unavailable, "the database is closing");
  queue_.push_back(&request);
  wake_.notify_one();
  request.ready.wait(lock, [&] { return request.done; });
  if (request.error) std::rethrow_exception(request.error);
}

void Writer::work() {
  ::pthread_setname_np(::pthread_self(), "sql-writer");
  for (;;) {
    const Group group = takeGroup();
    if (group.empty()) return;
    if (group.front()->job != nullptr)
      runJob(*group.front());
    else
      runGroup(group);
    refuseUnkept(group);
    answer(group);
    checkpointIfDue();
  }
}

/// One job, or as many batches as wait; nothing when it is time to end.
Writer::Group Writer::takeGroup() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
  Group group;
  while (!queue_.empty() && group.size() < kLargestGroup) {
    const bool isJob = queue_.front()->job != nullptr;
    if (isJob && !group.empty()) break;
    group.push_back(queue_.front());
    queue_.pop_front();
    if (isJob) break;
  }
  return group;
}

void Writer::runJob(Request &request) {
  try {
    (*request.job)(*connection_);
  } catch (...) {
    request.error = std::current_exception();
  }
  connection_->rollback();
}

void Writer::runGroup(const Group &group) {
  if (group.size() > 1 && runTogether(group)) return;
  // Alone, or something undid the whole transaction: each batch gets its own, so that one cannot fail the others.
  for (Request *request : group)
    runAlone(*request);
}

/// False when nothing of the group was kept and the batches have to be tried one by one.
bool Writer::runTogether(const Group &group) {
  try {
    connection_->run("BEGIN IMMEDIATE");
  } catch (const Error &e) {
    // Locked by another program: one by one they would each wait as long for the same answer. Every caller gets its
    // own copy, since they handle it on different threads.
    for (Request *request : group)
      request->error = std::make_exception_ptr(e);
    return true;
  } catch (...) {
    return false;
  }
  try {
    for (Request *request : group) {
      connection_->run("SAVEPOINT batch");
      try {
        runStatements(*request);
      } catch (...) {
        // A full disk, an I/O error or ON CONFLICT ROLLBACK ends the transaction, not only the savepoint.
        if (!connection_->inTransaction()) throw;
        request->error = std::current_exception();
        connection_->run("ROLLBACK TO batch");
      }
      connection_->run("RELEASE batch");
    }
    connection_->run("COMMIT");
  } catch (...) {
    connection_->rollback();
    return false;
  }
  const std::lock_guard lock(mutex_);
  counts_.batches += group.size();
  ++counts_.transactions;
  return true;
}

void Writer::runAlone(Request &request) {
  request.error = nullptr;
  try {
    connection_->run("BEGIN IMMEDIATE");
    runStatements(request);
    connection_->run("COMMIT");
  } catch (...) {
    request.error = std::current_exception();
    connection_->rollback();
  }
  const std::lock_guard lock(mutex_);
  ++counts_.batches;
  ++counts_.transactions;
}

void Writer::runStatements(Request &request) {
  request.changed.clear();
  for (const Statement &statement : request.statements) {
    const std::int64_t changed = connection_->exec(statement);
    if (statement.expectedRows != kAnyRows && changed != statement.expectedRows) {
      throw Error(Status::Aborted,
                  "statement " + std::to_string(request.changed.size() + 1) + " of the batch changed " +
                      std::to_string(changed) + " rows where " + std::to_string(statement.expectedRows) +
                      " were expected: somebody else was first; read again and decide anew",
                  "EXPECTATION");
    }
    // ON CONFLICT ROLLBACK can end the transaction without failing the statement's caller alone.
    if (!connection_->inTransaction()) throw Error(Status::Aborted, "a statement of the batch rolled it back");
    request.changed.push_back(changed);
  }
}

/// After the commit: what went into a file that nobody will find again was not stored.
void Writer::refuseUnkept(const Group &group) {
  try {
    guard_.require();
  } catch (...) {
    for (Request *request : group)
      request->error = std::current_exception();
  }
}

void Writer::answer(const Group &group) {
  MATRIXOS_FAILPOINT("db.committed");
  const std::lock_guard lock(mutex_);
  for (Request *request : group) {
    request->done = true;
    // With the lock held: once it is released the caller may destroy the request.
    request->ready.notify_one();
  }
}

void Writer::checkpointIfDue() {
  if (walPages_ < checkpointAt_) return;
  int total = 0;
  int moved = 0;
  MATRIXOS_FAILPOINT("db.checkpoint");
  // Passive: never waits for readers. What cannot be moved now is moved the next time; an error shows in the next
  // write.
  sqlite3_wal_checkpoint_v2(connection_->handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &total, &moved);
  // While a reader holds the log back, try again only after it has grown further.
  checkpointAt_ = moved < total ? walPages_ + kCheckpointPages : kCheckpointPages;
  walPages_ = 0;
  const std::lock_guard lock(mutex_);
  ++counts_.checkpoints;
}

} // namespace matrixos::storage
