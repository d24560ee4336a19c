#pragma once

#include "HeadFile.h"
#include "Store.h"
#include "Thinning.h"

#include <matrixos/call.hpp>
#include <matrixos/host.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace matrixos::audit {

/// Puts events into the log: takes them from any thread, writes what waits in one step, and then answers. Its thread is
/// the only one that writes the table and the file.
class Writer {
public:
  struct Settings {
    std::chrono::milliseconds keep{};
    Thinning::Settings thinning;
  };

  /// `clock` says when a minute is over; of the thread alone.
  using Clock = std::function<Thinning::Time()>;

  Writer(const mos_host_v1 *host, const Store &store, HeadFile head, Clock clock = std::chrono::steady_clock::now);
  ~Writer();
  Writer(const Writer &) = delete;
  Writer &operator=(const Writer &) = delete;

  /// Compares the table with the file, and begins. Throws Error when the table cannot be read.
  void start(const Settings &settings);
  /// Writes what waits and ends; what cannot be written is lost, and said to be.
  void stop();
  void configure(const Settings &settings);

  /// Never blocks. `done` is answered later, and moved away only if the event is taken. Throws
  /// Error(ResourceExhausted) when too much waits.
  void take(std::string_view event, Completion *done = nullptr);

  /// While it lives nothing old is removed.
  std::unique_lock<std::mutex> holdCuts() { return std::unique_lock(cuts_); }
  const HeadFile &head() const noexcept { return head_; }

private:
  struct Waiting {
    std::string event;
    std::int64_t atMs = 0;
    std::optional<Completion> done;
  };
  using Batch = std::vector<Waiting>;

  void run();
  /// False: it is over.
  bool step();
  /// What waits, the oldest first, as much as fits beside what is unwritten. Under the lock.
  Batch takeBatch();
  /// False when it cannot be written at the moment: the records stay unwritten.
  bool writeBatch(Batch batch);
  void readBatch(Batch &batch);
  bool waitAfterFailure();
  void write(const std::vector<Record> &records, std::int64_t cut = 0);
  void writeOnce(const std::vector<Row> &rows, std::int64_t cut);
  void settle();
  void noteBreak(const std::string &why, const Link &expected, std::int64_t tail);
  void lookAfter();
  void cutOld();
  bool mayCut(std::int64_t last);
  void refused(const Error &error);

  const Log log_;
  const Platform platform_;
  const Series records_, leftOut_;
  const Store &store_;
  const HeadFile head_;
  const Clock clock_;
  std::thread thread_;
  std::mutex cuts_;

  // Of the thread alone:
  Link last_;
  std::int64_t highest_ = 0; ///< no row gets this number or a lower one
  bool settled_ = false;     ///< last_ is what table and file say
  bool refuses_ = false;
  bool keepsAll_ = false; ///< nothing is cut, since something is wrong there
  Thinning thinning_;
  std::vector<Record> unwritten_; ///< to be written next; a failure leaves them here
  Thinning::Time lookedAfter_{};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> queue_;
  std::size_t queued_ = 0; ///< bytes
  Settings settings_;
  bool stopping_ = false;
};

} // namespace matrixos::audit
