#include "storage/Writer.h"

#include "storage/FileGuard.h"
#include "storage/RunLimit.h"
#include "storage/SqliteConnection.h"

#include <matrixos/failpoint.hpp>

#include <pthread.h>
#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos::storage {
namespace {

/// Batches that share a transaction at most. More would let one slow group hold all callers up.
constexpr std::size_t kLargestGroup = 128;
/// A batch that runs longer is committed at once, so that what waits with it waits no longer.
constexpr std::chrono::milliseconds kLong{100};
/// Pages in the write-ahead log, of 4 KiB, after which it is checkpointed.
constexpr int kCheckpointPages = 1000;

} // namespace

Writer::Writer(const std::filesystem::path &file, std::chrono::milliseconds busyTimeout, FileGuard &guard,
               TableOwners &owners)
    : guard_(guard),
      connection_(std::make_unique<SqliteConnection>(file, SqliteConnection::Role::Writer, busyTimeout, owners)),
      record_(*connection_, owners), checkpointAt_(kCheckpointPages) {
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

std::vector<std::int64_t> Writer::exec(std::span<const Statement> statements, const Access &access) {
  Request request{access};
  request.statements = statements;
  submit(request);
  return std::move(request.changed);
}

void Writer::run(const Job &job, const Access &access) {
  Request request{access};
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
  while (!request.done && request.ready.wait_until(lock, request.access.deadline) != std::cv_status::timeout) {
  }
  if (!request.done) {
    // One that has not begun is not needed any more; one that runs is ended by its limit.
    const auto at = std::find(queue_.begin(), queue_.end(), &request);
    if (at != queue_.end()) {
      queue_.erase(at);
      throw Error(Status::DeadlineExceeded, "the batch waited for its turn until its deadline", "QUERY_TIMEOUT");
    }
    request.ready.wait(lock, [&] { return request.done; });
  }
  if (request.error) std::rethrow_exception(request.error);
}

void Writer::work() {
  ::pthread_setname_np(::pthread_self(), "sql-writer");
  for (;;) {
    Group group = takeGroup();
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
  const auto isJob = [](const Request *request) { return request->job != nullptr; };
  if (!queue_.empty() && isJob(queue_.front())) {
    Group job{queue_.front()};
    queue_.pop_front();
    return job;
  }
  const auto end = std::find_if(queue_.begin(), queue_.end(), isJob);
  std::map<std::string_view, std::size_t> turns;
  std::vector<std::pair<std::size_t, Request *>> order;
  Request *slow = nullptr;
  for (auto at = queue_.begin(); at != end; ++at) {
    const std::string &owner = (*at)->access.owner;
    if (slow_.count(owner) == 0)
      order.emplace_back(turns[owner]++, *at);
    else if (slow == nullptr)
      slow = *at;
  }
  if (slow != nullptr && (order.empty() || slowsTurn_)) order = {{0, slow}};
  slowsTurn_ = order.size() != 1 || order.front().second != slow;
  std::stable_sort(order.begin(), order.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  if (order.size() > kLargestGroup) order.resize(kLargestGroup);
  Group group;
  for (const auto &[turn, request] : order)
    group.push_back(request);
  queue_.erase(
      std::remove_if(queue_.begin(), queue_.end(),
                     [&](Request *request) { return std::find(group.begin(), group.end(), request) != group.end(); }),
      queue_.end());
  return group;
}

/// Leaves those of the group from this place on for the next one.
void Writer::putBack(Group &group, std::size_t from) {
  const std::lock_guard lock(mutex_);
  queue_.insert(queue_.begin(), group.begin() + static_cast<std::ptrdiff_t>(from), group.end());
  group.resize(from);
}

bool Writer::isLong(const Request &request) {
  const bool isLong = request.used >= kLong;
  if (isLong)
    slow_.insert(request.access.owner);
  else
    slow_.erase(request.access.owner);
  return isLong;
}

void Writer::runJob(Request &request) {
  RunLimit limit(request.access);
  try {
    const SqliteConnection::LimitScope scope(*connection_, limit);
    (*request.job)(*connection_, record_);
  } catch (...) {
    request.error = std::current_exception();
  }
  connection_->rollback();
  record_.undone();
  record_.committed();
}

void Writer::runGroup(Group &group) {
  if (group.size() > 1 && runTogether(group)) return;
  // One that used its time up undid what was there of the others: they come again, and before its owner's next.
  const auto over =
      std::stable_partition(group.begin(), group.end(), [](const Request *request) { return request->over; });
  if (over != group.begin()) {
    isLong(*group.front());
    return putBack(group, static_cast<std::size_t>(over - group.begin()));
  }
  // Alone, or something undid the whole transaction: each batch gets its own, so that one cannot fail the others.
  for (std::size_t i = 0; i < group.size(); ++i) {
    runAlone(*group[i]);
    if (isLong(*group[i]) && i + 1 < group.size()) return putBack(group, i + 1);
  }
}

/// False when nothing of the group was kept and the batches have to be tried one by one.
bool Writer::runTogether(Group &group) {
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
  std::size_t ran = 0;
  try {
    while (ran < group.size()) {
      Request &request = *group[ran];
      ++ran;
      request.error = nullptr;
      connection_->run("SAVEPOINT batch");
      try {
        runStatements(request);
      } catch (...) {
        request.error = std::current_exception();
        // A full disk, an I/O error, an interruption or ON CONFLICT ROLLBACK ends the transaction, not only the
        // savepoint.
        if (!connection_->inTransaction()) throw;
        connection_->run("ROLLBACK TO batch");
        record_.undone();
      }
      connection_->run("RELEASE batch");
      if (isLong(request)) break;
    }
    connection_->run("COMMIT");
  } catch (...) {
    connection_->rollback();
    record_.undone();
    return false;
  }
  record_.committed();
  if (ran < group.size()) putBack(group, ran);
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
    record_.undone();
  }
  record_.committed();
  const std::lock_guard lock(mutex_);
  ++counts_.batches;
  ++counts_.transactions;
}

void Writer::runStatements(Request &request) {
  RunLimit limit(request.access, request.used);
  const SqliteConnection::LimitScope scope(*connection_, limit);
  try {
    if (limit.reached()) limit.raise("the batch");
    runEach(request);
    request.used += limit.took();
  } catch (...) {
    request.used += limit.took();
    request.over = limit.wasReached();
    throw;
  }
}

void Writer::runEach(Request &request) {
  request.changed.clear();
  for (const Statement &statement : request.statements) {
    const std::int64_t changed = connection_->exec(statement, statement.isCore ? kCoreOwner : request.access.owner);
    const bool changesSchema = connection_->guard().changesSchema();
    if (statement.expectedRows != kAnyRows && changed != statement.expectedRows) {
      throw Error(Status::Aborted,
                  "statement " + std::to_string(request.changed.size() + 1) + " of the batch changed " +
                      std::to_string(changed) + " rows where " + std::to_string(statement.expectedRows) +
                      " were expected: somebody else was first; read again and decide anew",
                  "EXPECTATION");
    }
    // ON CONFLICT ROLLBACK can end the transaction without failing the statement's caller alone.
    if (!connection_->inTransaction()) throw Error(Status::Aborted, "a statement of the batch rolled it back");
    if (changesSchema) record_.follow(request.access.owner);
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
