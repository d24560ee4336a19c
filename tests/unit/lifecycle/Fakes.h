#pragma once

#include <matrixos/call.hpp>

#include <lifecycle/Surroundings.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::lifecycle::test {

/// Time that moves when the test says so.
class ManualClock final : public Clock {
public:
  std::int64_t bootMs() const noexcept override { return bootMs_.load(); }
  std::int64_t monotonicNanos() const noexcept override { return (bootMs_.load() - suspendedMs_.load()) * 1'000'000; }
  void advance(std::chrono::milliseconds time) { bootMs_ += time.count(); }
  /// Only CLOCK_BOOTTIME goes on.
  void suspend(std::chrono::milliseconds time) {
    suspendedMs_ += time.count();
    bootMs_ += time.count();
  }

private:
  std::atomic<std::int64_t> bootMs_{1'000'000};
  std::atomic<std::int64_t> suspendedMs_{0};
};

/// The JSON of a record.
inline std::string record(const std::string &handle, const std::string &status, std::uint64_t rev,
                          std::uint64_t activitySeq = 0, const std::string &endpoints = "[]") {
  return R"({"handle":")" + handle + R"(","status":")" + status + R"(","rev":)" + std::to_string(rev) +
         R"(,"activitySeq":)" + std::to_string(activitySeq) + R"(,"endpoints":)" + endpoints + R"(,"id":"01J)" +
         handle + "\"}";
}

inline std::string endpoint(const std::string &name, const std::string &epoch, int port = 4000,
                            const std::string &scope = "bridge") {
  return R"({"name":")" + name + R"(","address":"127.0.0.1","port":)" + std::to_string(port) + R"(,"scope":")" + scope +
         R"(","epoch":")" + epoch + R"("})";
}

inline std::string bothEndpoints(const std::string &epoch) {
  return "[" + endpoint("gateway", epoch) + "," + endpoint("shell", epoch, 3000) + "]";
}

/// An orchestrator that does what the test says, with the compare-and-set of the real one.
class FakePlatform final : public Platform {
  mutable std::mutex mutex_;

  template <typename Fn>
  auto locked(Fn &&fn) const {
    const std::lock_guard lock(mutex_);
    return fn();
  }

public:
  struct Pending {
    std::string handle;
    Then then;
  };

  std::string fetch(std::string_view handle) override {
    const std::lock_guard lock(mutex_);
    ++fetches_;
    const auto found = records_.find(std::string(handle));
    if (found == records_.end()) throw Error(Status::NotFound, "no such instance");
    return found->second.json();
  }
  void start(std::string_view handle, Then then) override {
    const std::lock_guard lock(mutex_);
    starts_.push_back({std::string(handle), std::move(then)});
    ++startCount_;
  }
  void stop(std::string_view handle, std::uint64_t ifActivitySeq, Then then) override {
    std::function<void()> before;
    {
      const std::lock_guard lock(mutex_);
      before = std::exchange(beforeStop_, nullptr);
    }
    if (before) before();
    std::optional<Error> refusal;
    {
      const std::lock_guard lock(mutex_);
      Record &target = records_[std::string(handle)];
      if (stopFailure_) {
        refusal = stopFailure_;
      } else if (target.seq != ifActivitySeq) {
        refusal = Error(Status::Aborted, "it was used");
      } else if (holdStops_) {
        stops_.push_back({std::string(handle), std::move(then)});
        return;
      } else {
        target.status = "stopped";
        stopped_.push_back(std::string(handle));
      }
    }
    then(refusal ? Outcome{refusal->status(), {}, &*refusal} : Outcome{Status::Ok, "{}", nullptr});
  }
  void record(const std::vector<PendingUse> &uses) override {
    const std::lock_guard lock(mutex_);
    for (const PendingUse &use : uses) {
      ++records_[use.handle].seq;
      recorded_[use.handle] += use.count;
    }
  }

  void put(const std::string &handle, const std::string &status, std::uint64_t rev,
           const std::string &endpoints = "[]") {
    const std::lock_guard lock(mutex_);
    Record &target = records_[handle];
    target = {handle, status, rev, target.seq, endpoints};
  }
  /// Answers the oldest start: success with the record as it stands, or the error.
  void answerStart(const std::optional<Error> &error = std::nullopt) {
    Pending pending;
    std::string json;
    {
      const std::lock_guard lock(mutex_);
      pending = std::move(starts_.front());
      starts_.erase(starts_.begin());
      if (!error) json = records_.at(pending.handle).json();
    }
    pending.then(error ? Outcome{error->status(), {}, &*error} : Outcome{Status::Ok, json, nullptr});
  }
  void answerStop() {
    Pending pending;
    {
      const std::lock_guard lock(mutex_);
      pending = std::move(stops_.front());
      stops_.erase(stops_.begin());
    }
    pending.then(Outcome{Status::Ok, "{}", nullptr});
  }

  std::size_t fetches() const {
    return locked([&] { return fetches_; });
  }
  std::size_t startCount() const {
    return locked([&] { return startCount_; });
  }
  std::size_t heldStops() const {
    return locked([&] { return stops_.size(); });
  }
  std::string nextStop() const {
    return locked([&] { return stops_.front().handle; });
  }
  std::vector<std::string> stopped() const {
    return locked([&] { return stopped_; });
  }
  std::uint64_t recorded(const std::string &handle) const {
    return locked([&] { return recorded_.count(handle) != 0 ? recorded_.at(handle) : 0; });
  }
  void holdStops() {
    locked([&] { holdStops_ = true; });
  }
  void failStops(std::optional<Error> error) {
    locked([&] { stopFailure_ = std::move(error); });
  }
  /// Runs once, right before the next stop compares the sequence.
  void beforeStop(std::function<void()> action) {
    locked([&] { beforeStop_ = std::move(action); });
  }

private:
  struct Record {
    std::string handle, status;
    std::uint64_t rev = 0, seq = 0;
    std::string endpoints = "[]";
    std::string json() const { return test::record(handle, status, rev, seq, endpoints); }
  };

  std::map<std::string, Record> records_;
  std::vector<Pending> starts_, stops_;
  std::vector<std::string> stopped_;
  std::map<std::string, std::uint64_t> recorded_;
  std::size_t startCount_ = 0;
  std::size_t fetches_ = 0;
  bool holdStops_ = false;
  std::optional<Error> stopFailure_;
  std::function<void()> beforeStop_;
};

/// Keeps probes until the test answers them.
class FakeProber final : public Prober {
public:
  struct Begun {
    std::vector<Target> targets;
    Ready ready;
  };

  void begin(std::uint64_t id, std::vector<Target> targets, Ready ready) override {
    const std::lock_guard lock(mutex_);
    probes_[id] = {std::move(targets), std::move(ready)};
    ++begun_;
  }
  void cancel(std::uint64_t id) override {
    const std::lock_guard lock(mutex_);
    probes_.erase(id);
  }
  void nudge() override { ++nudges_; }

  /// The oldest probe's first target answers; false when nothing is probed.
  bool answer() {
    const auto probe = takeFirst();
    if (!probe) return false;
    probe->ready(probe->targets.front());
    return true;
  }
  std::optional<Begun> takeFirst() {
    const std::lock_guard lock(mutex_);
    if (probes_.empty()) return std::nullopt;
    Begun probe = std::move(probes_.begin()->second);
    probes_.erase(probes_.begin());
    return probe;
  }
  std::size_t active() const {
    const std::lock_guard lock(mutex_);
    return probes_.size();
  }
  std::size_t begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  int nudges() const { return nudges_.load(); }

private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Begun> probes_;
  std::size_t begun_ = 0;
  std::atomic<int> nudges_{0};
};

/// Counts what completions deliver.
class Answers {
public:
  Completion completion() {
    return Completion(mos_completion{this, [](void *ctx, mos_status status, mos_str json, const mos_error *error) {
                                       static_cast<Answers *>(ctx)->add(status, json, error);
                                     }});
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }
  std::size_t count(Status status) const {
    const std::lock_guard lock(mutex_);
    const auto found = byStatus_.find(status);
    return found == byStatus_.end() ? 0 : found->second;
  }
  std::string lastJson() const {
    const std::lock_guard lock(mutex_);
    return json_;
  }
  std::string lastReason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }
  std::string lastMessage() const {
    const std::lock_guard lock(mutex_);
    return message_;
  }

private:
  void add(mos_status status, mos_str json, const mos_error *error) {
    const std::lock_guard lock(mutex_);
    ++total_;
    ++byStatus_[static_cast<Status>(status)];
    json_ = std::string(fromAbi(json));
    reason_ = error != nullptr ? error->reason : "";
    message_ = error != nullptr ? error->message : "";
  }

  mutable std::mutex mutex_;
  std::size_t total_ = 0;
  std::map<Status, std::size_t> byStatus_;
  std::string json_, reason_, message_;
};

} // namespace matrixos::lifecycle::test
