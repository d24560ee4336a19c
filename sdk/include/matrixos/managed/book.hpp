/// matrixos/managed/book.hpp: the instances of a managed runtime in memory, who may change one, and who waits for a
/// death.
#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/instance_spec.hpp>
#include <matrixos/managed/record_store.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// Where an instance can be reached.
struct Endpoint {
  std::string name;
  std::string address;
  std::uint16_t port = 0;
  std::string scope = "host"; ///< host, or bridge for an address of its own
  std::string epoch{};        ///< changes whenever the address may have passed to somebody else
};

/// How a run ended.
struct Exit {
  int code = -1; ///< exit code, or 128 + signal; -1: not known
  bool oomKilled = false;
};

/// An instance as the author of a runtime sees it: a snapshot that never changes.
struct Instance {
  enum class State { Creating, Created, Starting, Running, Paused, Exited };

  std::string ref; ///< unique, fit for a file's name
  InstanceSpec spec;
  State state = State::Creating;
  std::string token;          ///< what launch() gave; empty while nothing was started
  std::int64_t createdAt = 0; ///< milliseconds since 1970
  std::int64_t startedAt = 0; ///< of the last start; 0: never started
  std::uint64_t runs = 0;     ///< starts so far, the current one included
  Exit lastExit{0, false};
  std::string error{}; ///< why the last start failed

  bool isUp() const noexcept { return state == State::Running || state == State::Paused; }
  /// New at each start.
  std::string epoch() const { return ref + "-" + std::to_string(runs); }
};

namespace managed {

using InstancePtr = std::shared_ptr<const Instance>;
using State = Instance::State;

inline constexpr std::array<std::pair<State, const char *>, 6> kStateNames{{{State::Creating, "creating"},
                                                                            {State::Created, "created"},
                                                                            {State::Starting, "starting"},
                                                                            {State::Running, "running"},
                                                                            {State::Paused, "paused"},
                                                                            {State::Exited, "exited"}}};

/// The state's name in abi/runtime.h.
inline const char *publicState(const Instance &instance) noexcept {
  switch (instance.state) {
  case State::Running:
    return "running";
  case State::Paused:
    return "paused";
  case State::Exited:
    return "exited";
  case State::Starting:
    return instance.runs > 1 ? "exited" : "created";
  case State::Creating:
  case State::Created:
    break;
  }
  return "created";
}

inline std::string toRecord(const Instance &instance) {
  std::string state;
  for (const auto &[value, name] : kStateNames) {
    if (value == instance.state) state = name;
  }
  return dump(Json{{"version", 1},
                   {"ref", instance.ref},
                   {"state", state},
                   {"token", instance.token},
                   {"createdAt", instance.createdAt},
                   {"startedAt", instance.startedAt},
                   {"runs", instance.runs},
                   {"exitCode", instance.lastExit.code},
                   {"oomKilled", instance.lastExit.oomKilled},
                   {"error", instance.error},
                   {"spec", Json::parse(instance.spec.toJson())}});
}

/// Throws Error for a record that makes no sense or comes from a newer version.
inline Instance fromRecord(const std::string &key, const std::string &record) {
  const Json object = parseObject(record, RecordStore::kMaxRecord);
  Instance instance;
  instance.ref = text(object, "ref");
  if (instance.ref != key) throw badField("the record's ref is not its name");
  if (integerOr(object, "version", 0) != 1) throw badField("the record was written by another version");
  const std::string state = text(object, "state");
  const auto *const found =
      std::find_if(kStateNames.begin(), kStateNames.end(), [&](const auto &item) { return item.second == state; });
  if (found == kStateNames.end()) throw badField("the record's state is unknown");
  instance.state = found->first;
  instance.token = textOr(object, "token", {});
  instance.createdAt = integerOr(object, "createdAt", 0);
  instance.startedAt = integerOr(object, "startedAt", 0);
  instance.runs = static_cast<std::uint64_t>(integerOr(object, "runs", 0));
  instance.lastExit = {static_cast<int>(integerOr(object, "exitCode", 0)), flagOr(object, "oomKilled", false)};
  instance.error = textOr(object, "error", {});
  const Json *spec = find(object, "spec");
  instance.spec = InstanceSpec::parse(spec == nullptr ? "{}" : dump(*spec));
  return instance;
}

/// All instances by ref and by name. To change one, take a turn; reading needs none. Thread-safe.
class Book {
  struct Entry {
    InstancePtr instance;
    bool busy = false;
    bool gone = false;
  };
  using EntryPtr = std::shared_ptr<Entry>;

public:
  /// The right to change one instance, held by one thread at a time; given back at its end.
  class Turn {
  public:
    Turn(Book &book, EntryPtr entry) noexcept : book_(&book), entry_(std::move(entry)) {}
    Turn(Turn &&other) noexcept : book_(other.book_), entry_(std::move(other.entry_)) {}
    Turn &operator=(Turn &&) = delete;
    ~Turn() {
      if (entry_) book_->giveBack(*entry_);
    }

    InstancePtr instance() const {
      const std::lock_guard<std::mutex> lock(book_->mutex_);
      return entry_->instance;
    }
    void set(InstancePtr next) {
      const std::lock_guard<std::mutex> lock(book_->mutex_);
      entry_->instance = std::move(next);
    }
    /// Sets it unless another instance has something against it; that one, or null when it was set.
    InstancePtr setUnless(InstancePtr next, const std::function<bool(const Instance &other)> &objects) {
      const std::lock_guard<std::mutex> lock(book_->mutex_);
      for (const auto &[ref, other] : book_->byRef_) {
        if (other != entry_ && objects(*other->instance)) return other->instance;
      }
      entry_->instance = std::move(next);
      return nullptr;
    }
    void erase() {
      const std::lock_guard<std::mutex> lock(book_->mutex_);
      entry_->gone = true;
      book_->byRef_.erase(entry_->instance->ref);
      book_->byName_.erase(entry_->instance->spec.name);
    }

  private:
    Book *book_;
    EntryPtr entry_;
  };

  /// Waits for its turn. Throws Error(NotFound), or when the call is over.
  Turn take(const Call &call, std::string_view ref) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const EntryPtr entry = locate(ref);
      if (!entry) throw notFound(ref);
      if (!entry->busy) return occupy(entry);
      waitFor(call, lock);
    }
  }

  /// Nothing when there is none.
  std::optional<Turn> takeIfAny(const Call &call, std::string_view ref) {
    try {
      return take(call, ref);
    } catch (const Error &e) {
      if (e.status() != Status::NotFound) throw;
      return std::nullopt;
    }
  }

  /// Takes a turn on whoever has this name, or puts `fresh` there: second is true when it did.
  std::pair<Turn, bool> takeOrAdd(const Call &call, const InstancePtr &fresh) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const auto found = byName_.find(fresh->spec.name);
      if (found == byName_.end()) return {occupy(insert(fresh)), true};
      if (!found->second->busy) return {occupy(found->second), false};
      waitFor(call, lock);
    }
  }

  /// Nothing when it is gone or somebody else has the turn.
  std::optional<Turn> tryTake(std::string_view ref) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const EntryPtr entry = locate(ref);
    if (!entry || entry->busy) return std::nullopt;
    return occupy(entry);
  }

  void add(const InstancePtr &instance) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (byName_.count(instance->spec.name) != 0) throw badField("two records have the name " + instance->spec.name);
    insert(instance);
  }

  /// For who holds the turn without having it at hand.
  void replace(const InstancePtr &instance) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = byRef_.find(instance->ref);
    if (found != byRef_.end()) found->second->instance = instance;
  }

  /// Null when there is none, or none yet.
  InstancePtr find(std::string_view ref) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const EntryPtr entry = locate(ref);
    return !entry || entry->instance->state == State::Creating ? nullptr : entry->instance;
  }

  /// Without those that are still being created.
  std::vector<InstancePtr> all() const {
    std::vector<InstancePtr> list = everything();
    list.erase(std::remove_if(list.begin(), list.end(),
                              [](const InstancePtr &instance) { return instance->state == State::Creating; }),
               list.end());
    return list;
  }

  std::vector<InstancePtr> everything() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<InstancePtr> list;
    list.reserve(byRef_.size());
    for (const auto &[ref, entry] : byRef_)
      list.push_back(entry->instance);
    return list;
  }

  static Error notFound(std::string_view ref) {
    return Error(Status::NotFound, "the runtime has no instance " + shown(ref), "CONTAINER_NOT_FOUND");
  }

private:
  EntryPtr locate(std::string_view ref) const {
    auto found = byRef_.find(ref);
    if (found == byRef_.end()) {
      found = byName_.find(ref);
      if (found == byName_.end()) return nullptr;
    }
    return found->second;
  }

  EntryPtr insert(const InstancePtr &instance) {
    auto entry = std::make_shared<Entry>();
    entry->instance = instance;
    byRef_.emplace(instance->ref, entry);
    byName_.emplace(instance->spec.name, entry);
    return entry;
  }

  Turn occupy(const EntryPtr &entry) {
    entry->busy = true;
    return Turn(*this, entry);
  }

  void giveBack(Entry &entry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    entry.busy = false;
    free_.notify_all();
  }

  /// A condition variable cannot wait for a descriptor too, hence the slices.
  void waitFor(const Call &call, std::unique_lock<std::mutex> &lock) {
    call.throwIfDone();
    free_.wait_for(lock, std::max(call.remaining(std::chrono::milliseconds{20}), std::chrono::milliseconds{1}));
  }

  mutable std::mutex mutex_;
  std::condition_variable free_;
  std::map<std::string, EntryPtr, std::less<>> byRef_;
  std::map<std::string, EntryPtr, std::less<>> byName_;
};

/// Waits for descriptors that become readable when an instance dies. Thread-safe.
class DeathWatch {
public:
  DeathWatch() {
    if (!poll_ || !wake_) throw Error(Status::ResourceExhausted, "no file descriptor is left to watch instances with");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    static_cast<void>(::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, wake_.get(), &event));
  }

  void add(const std::string &ref, FileDescriptor fd) {
    const std::lock_guard<std::mutex> lock(mutex_);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = ++last_;
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0) {
      watched_[last_] = {ref, std::move(fd)};
      numbers_[ref] = last_;
    }
  }

  void remove(const std::string &ref) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = numbers_.find(ref);
    if (found == numbers_.end()) return;
    watched_.erase(found->second); // closing it ends the watch
    numbers_.erase(found);
  }

  bool watches(const std::string &ref) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return numbers_.count(ref) != 0;
  }

  /// Ends a wait() that runs, or the next one.
  void wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }

  /// Refs of those that died, each once; empty after `limit`.
  std::vector<std::string> wait(std::chrono::milliseconds limit) {
    std::array<epoll_event, 64> events{};
    const int count =
        ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(limit.count()));
    std::vector<std::string> dead;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (int i = 0; i < count; ++i) {
      const auto found = watched_.find(events[static_cast<std::size_t>(i)].data.u64);
      if (found == watched_.end()) continue;
      dead.push_back(found->second.first);
      numbers_.erase(found->second.first);
      watched_.erase(found);
    }
    return dead;
  }

private:
  FileDescriptor poll_{::epoll_create1(EPOLL_CLOEXEC)};
  FileDescriptor wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::pair<std::string, FileDescriptor>> watched_;
  std::map<std::string, std::uint64_t> numbers_;
  std::uint64_t last_ = 0;
};

} // namespace managed
} // namespace v1
} // namespace matrixos
