#include "Writer.h"

#include "Verification.h"

#include <matrixos/abi/audit.h>
#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace matrixos::audit {

namespace {

constexpr std::size_t kMostQueued = 10000;
constexpr std::size_t kMostBytes = std::size_t{16} * 1024 * 1024;
constexpr std::size_t kMostInBatch = 200;
/// How many rows go in one step.
constexpr std::int64_t kMostCut = 2000;
constexpr std::chrono::seconds kLookAfter{30};
constexpr std::chrono::seconds kRetry{1};

} // namespace

Writer::Writer(const mos_host_v1 *host, const Store &store, HeadFile head, Clock clock)
    : log_(host), platform_(host),
      records_(Metrics(host).counter("matrixos_audit_records_total", "Records in the audit log.")),
      leftOut_(Metrics(host).counter("matrixos_audit_left_out_total",
                                     "Events of strangers that were counted in place of being recorded.")),
      store_(store), head_(std::move(head)), clock_(std::move(clock)) {}

Writer::~Writer() {
  stop();
}

void Writer::start(const Settings &settings) {
  configure(settings);
  settle();
  log_.info("the audit log goes on", {{"seq", last_.seq}, {"hash", last_.hash}});
  thread_ = std::thread([this] { run(); });
}

void Writer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Writer::configure(const Settings &settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
}

void Writer::take(std::string_view event, Completion *done) {
  if (event.size() > MOS_AUDIT_EVENT_SIZE)
    throw Error(Status::InvalidArgument, "the event has more than 16384 bytes", "BAD_EVENT");
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw Error(Status::Unavailable, "the audit log is stopping", "STOPPING");
    if (queue_.size() >= kMostQueued || queued_ + event.size() > kMostBytes)
      throw Error(Status::ResourceExhausted, "too many events wait for the audit log", "AUDIT_FULL", 1000);
    Waiting &waiting = queue_.emplace_back(Waiting{std::string(event), wallClockMs(), std::nullopt});
    if (done != nullptr) waiting.done.emplace(std::move(*done));
    queued_ += event.size();
  }
  wake_.notify_one();
}

void Writer::run() {
  ::pthread_setname_np(::pthread_self(), "audit");
  lookAfter();
  for (bool more = true; more;) {
    try {
      more = step();
    } catch (const std::exception &e) {
      log_.error("the audit log failed", {{"error", e.what()}});
      more = waitAfterFailure();
    }
  }
}

bool Writer::step() {
  Batch batch;
  {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kLookAfter, [&] { return stopping_ || !queue_.empty() || !unwritten_.empty(); });
    batch = takeBatch();
    if (batch.empty() && unwritten_.empty() && stopping_) return false;
  }
  if (!writeBatch(std::move(batch))) return waitAfterFailure();
  if (clock_() - lookedAfter_ >= kLookAfter) lookAfter();
  return true;
}

bool Writer::waitAfterFailure() {
  std::unique_lock lock(mutex_);
  if (!wake_.wait_for(lock, kRetry, [&] { return stopping_; })) return true;
  log_.error("the audit log stops, and could not write what people did",
             {{"events", unwritten_.size() + queue_.size()}});
  queue_.clear();
  return false;
}

Writer::Batch Writer::takeBatch() {
  Batch batch;
  while (!queue_.empty() && unwritten_.size() + batch.size() < kMostInBatch) {
    queued_ -= queue_.front().event.size();
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  thinning_.configure(settings_.thinning);
  return batch;
}

/// Each event once: what is thinned out, and what takes a stranger's place, is decided here. Malformed ones are
/// answered.
void Writer::readBatch(Batch &batch) {
  for (Waiting &waiting : batch) {
    try {
      Record record = readEvent(waiting.event, waiting.atMs);
      if (thinning_.isKept(record, clock_())) unwritten_.push_back(std::move(record));
    } catch (const Error &e) {
      log_.warning("an event for the audit log is malformed", {{"error", e.what()}});
      if (auto done = std::exchange(waiting.done, std::nullopt)) done->fail(e);
    }
  }
}

/// Who waits is told at once when it cannot be written.
bool Writer::writeBatch(Batch batch) {
  readBatch(batch);
  try {
    if (!unwritten_.empty()) write(unwritten_);
    unwritten_.clear();
  } catch (const Error &e) {
    for (Waiting &waiting : batch)
      if (waiting.done) waiting.done->fail(e);
    return false;
  }
  for (Waiting &waiting : batch)
    if (waiting.done) waiting.done->succeed("{}");
  return true;
}

/// Throws Error when it is not durable.
void Writer::write(const std::vector<Record> &records, std::int64_t cut) {
  try {
    if (!settled_) settle();
    std::vector<Row> rows;
    Link before = last_;
    std::int64_t seq = highest_;
    for (const Record &record : records) {
      rows.push_back(chain(before, ++seq, record));
      before = rows.back().link;
    }
    writeOnce(rows, cut);
    records_.add(static_cast<double>(rows.size()));
    if (std::exchange(refuses_, false)) {
      log_.info("the audit log takes records again");
      platform_.setDegraded("");
    }
  } catch (const Error &e) {
    settled_ = false;
    refused(e);
    throw;
  }
}

/// The file first says what is to come, so that after a crash both are right: that it came, and that it did not.
void Writer::writeOnce(const std::vector<Row> &rows, std::int64_t cut) {
  const Link &next = rows.back().link;
  head_.write({last_, next});
  store_.append(rows, cut);
  head_.write({next, std::nullopt});
  last_ = next;
  highest_ = next.seq;
}

void Writer::refused(const Error &error) {
  if (std::exchange(refuses_, true)) return;
  const std::string why = std::string("the audit log takes no records: ") + error.what();
  log_.error(why);
  platform_.setDegraded(why);
}

/// Compares what the table ends with to what the file says. What does not fit stays visible for good: the next record
/// says so, and follows the link that the file names.
void Writer::settle() {
  const Link tail = store_.tail().value_or(Link{});
  std::optional<HeadFile::Content> head;
  std::string why;
  try {
    head = head_.read();
    if (!head && tail.seq != 0) why = head_.path().string() + " is missing";
  } catch (const Error &e) {
    if (e.status() != Status::DataLoss) throw;
    why = e.what();
  }
  const Link last = head ? head->last : Link{};
  highest_ = std::max({tail.seq, last.seq, head && head->next ? head->next->seq : 0});
  if (head && tail != last && tail != head->next) why = "the log does not end with the record that it should end with";
  if (why.empty()) {
    last_ = tail;
    highest_ = tail.seq;
    head_.write({tail, std::nullopt});
  } else {
    noteBreak(why, last, tail.seq);
  }
  settled_ = true;
}

void Writer::noteBreak(const std::string &why, const Link &expected, std::int64_t tail) {
  log_.error("the audit log is broken: " + why,
             {{"expectedSeq", expected.seq}, {"expectedHash", expected.hash}, {"foundSeq", tail}});
  last_ = expected;
  writeOnce({chain(expected, highest_ + 1,
                   ownEvent(kBroken,
                            {{"why", why},
                             {"seq", std::to_string(expected.seq)},
                             {"hash", expected.hash},
                             {"found", std::to_string(tail)}},
                            wallClockMs()))},
            0);
}

/// What has to be done now and then.
void Writer::lookAfter() {
  lookedAfter_ = clock_();
  if (const std::uint64_t count = thinning_.takeLeftOut(lookedAfter_); count != 0) {
    leftOut_.add(static_cast<double>(count));
    unwritten_.push_back(ownEvent(kLeftOut, {{"count", std::to_string(count)}}, wallClockMs()));
  }
  try {
    cutOld();
  } catch (const Error &) { // refused() has said it
  }
}

/// Nobody makes evidence go by making it look old.
bool Writer::mayCut(std::int64_t last) {
  const auto fault = Verification(store_, head_).runTo(last);
  if (fault && !std::exchange(keepsAll_, true))
    log_.error("nothing old is removed from the audit log, for it is not as it was written",
               {{"seq", fault->seq}, {"error", fault->what}});
  if (!fault) keepsAll_ = false;
  return !fault;
}

/// The record that says which rows have gone, and the hash of the last of them, goes in with their removal: the chain
/// begins there from then on.
void Writer::cutOld() {
  std::chrono::milliseconds keep{};
  {
    const std::lock_guard lock(mutex_);
    keep = settings_.keep;
  }
  const std::unique_lock whileNobodyReads(cuts_, std::try_to_lock);
  if (!whileNobodyReads || !settled_) return;
  const std::int64_t last = store_.lastBefore(formatTime(wallClockMs() - keep.count()), kMostCut);
  const auto link = last != 0 && mayCut(last) ? store_.find(last) : std::nullopt;
  if (!link) return;
  write({ownEvent(kCut, {{"seq", std::to_string(link->seq)}, {"hash", link->hash}}, wallClockMs())}, link->seq);
}

} // namespace matrixos::audit
