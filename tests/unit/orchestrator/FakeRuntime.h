/// A container engine in memory that fails, hangs and forgets answers on demand.
#pragma once

#include <matrixos/runtime.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace matrixos::test {

class FakeRuntime : public Runtime {
public:
  /// How one call goes wrong.
  struct Fault {
    Error error;
    bool after = false; ///< the effect happens, then the answer is lost
  };
  struct Container {
    std::string ref, name, state = "created";
    std::map<std::string, std::string> labels;
    std::vector<int> hostPorts;
    std::string network, volume, spec;
    int exitCode = 0;
    bool oomKilled = false;
    bool unreachable = false;   ///< runs, but its network was taken away
    int restarts = 0;           ///< by the engine itself since the last start()
    std::int64_t startedAt = 0; ///< counts up with each start: a run's own number, and its endpoints' epoch
  };

  bool publishesPorts = true;
  bool volumes = true;
  bool removesVolumes = true; ///< those that hold nothing
  bool volumesHoldData = false;
  bool describesStarts = false; ///< without a call of inspect()
  bool knowsWhatExists = true;  ///< a volume that exists is not made anew
  bool unmounted = false;       ///< what is missing is missing with all the others
  bool namesOccupied = true;    ///< inspect() says which host ports others hold
  bool sharesNetwork = false;   ///< endpoints are addresses of this machine

  /// Keeps everything in this file, and takes up what is there: an engine that outlives the daemon.
  void persistTo(const std::string &path);

  /// The next call of this name fails; call it several times for several faults.
  void failNext(const std::string &call, Fault fault);
  /// Every call of this name fails until cleared with nothing.
  void failAlways(const std::string &call, std::optional<Fault> fault);
  /// Calls of this name wait until release(), cancellation or their deadline.
  void hold(const std::string &call);
  void release(const std::string &call);
  /// Calls of this name that are being held.
  int held(const std::string &call) const;

  /// A host port that a stranger listens on.
  void occupy(int port);
  /// What happens behind the platform's back.
  void changeState(const std::string &name, const std::string &state, int exitCode = 0);
  void removeBehind(const std::string &name);
  void loseVolumes();
  void addForeign(const std::string &name, const std::map<std::string, std::string> &labels);
  void edit(const std::string &name, const std::function<void(Container &)> &change);
  void rename(const std::string &name, const std::string &other);
  /// A variable of the container's environment; "" when it has none.
  std::string env(const std::string &name, const std::string &key) const;
  /// The program ends and the engine is about to start it again (restarting), or has (running).
  void crash(const std::string &name, int exitCode, const std::string &state);
  void sendEvent(const std::string &type, const std::string &name, int exitCode = 0);

  /// A stream of events is open.
  bool listens() const;
  /// Every event that was sent has been taken.
  bool eventsHeard() const;

  std::optional<Container> container(const std::string &name) const;
  std::size_t count() const;
  std::set<std::string> networks() const;
  std::set<std::string> volumeRefs() const;
  std::map<std::string, std::string> trash() const;
  int calls(const std::string &call) const;
  std::vector<std::string> pulledPolicies() const;

  std::string capabilities(const Call &call) override;
  std::string pull(const Call &call, std::string_view requestJson, const ItemFn &progress) override;
  std::string create(const Call &call, std::string_view specJson) override;
  void start(const Call &call, std::string_view ref) override;
  void stop(const Call &call, std::string_view ref, std::chrono::milliseconds grace) override;
  void remove(const Call &call, std::string_view ref, std::uint32_t flags) override;
  std::string inspect(const Call &call, std::string_view ref) override;
  std::string startDescribed(const Call &call, std::string_view ref) override;
  void list(const Call &call, std::string_view labelsJson, const ItemFn &item) override;
  void unpause(const Call &call, std::string_view ref) override;
  void events(const Call &call, std::string_view labelsJson, const ItemFn &item) override;
  std::string volumeEnsure(const Call &call, std::string_view requestJson) override;
  void volumeTrash(const Call &call, std::string_view volume, std::string_view as) override;
  void volumeRemoveIfEmpty(const Call &call, std::string_view volume) override;
  std::string endpoints(const Call &call, std::string_view ref) override;

private:
  /// Counts the call, waits where it is held, applies faults around `effect`.
  void perform(const char *name, const Call &call, const std::function<void()> &effect);
  Container *find(std::string_view refOrName);
  void save() const;
  std::string describe(const Container &container) const;
  std::int64_t nextStart() { return kFirstStart + ++starts_; }

  static constexpr std::int64_t kFirstStart = 1'700'000'000'000; ///< a time, in milliseconds

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Container> containers_; ///< by name
  std::set<std::string> networks_;
  std::set<std::string> volumeRefs_;
  std::map<std::string, std::string> trash_;
  std::set<int> occupied_;
  std::map<std::string, std::deque<Fault>> next_;
  std::map<std::string, Fault> always_;
  std::set<std::string> heldCalls_;
  std::map<std::string, int> waiting_;
  std::map<std::string, int> calls_;
  std::deque<std::string> events_;
  int listening_ = 0;
  bool telling_ = false; ///< an event is being taken
  int nextRef_ = 1;
  std::int64_t starts_ = 0;
  std::string path_;
};

} // namespace matrixos::test
