/// Brings what the table says about, at the orchestrator.
#pragma once

#include "Instances.h"
#include "Store.h"

#include <matrixos/host.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace matrixos::signup {

/// Who deletes users, as the audit logs name it.
constexpr std::string_view kDeleter = "provider:clerk";

/// What an operator may set.
struct Settings {
  std::string handleFrom = "username";
  std::chrono::milliseconds deleteGrace{std::chrono::hours{24 * 7}};
  std::int64_t maxInstances = 0; ///< of all instances; 0: no limit
  std::chrono::milliseconds retryBase{5000}, retryMax{std::chrono::minutes{15}};
};

/// Gives each living user one instance, and takes those of deleted users away. A pass looks at what is due, begins it
/// at the orchestrator and writes down what has ended meanwhile; everything that a crash may interrupt is in the table
/// before it begins, and doing it again is harmless: the orchestrator answers the same pair of handle and user with the
/// instance that is there.
///
/// Passes run one at a time on the executor. What the orchestrator reports comes on its thread, and only leaves a note.
/// A shared object, so that a report after the end finds nobody rather than nothing.
class Provisioner : public std::enable_shared_from_this<Provisioner> {
public:
  /// The orchestrator as it is now; throws Error(Unavailable) while there is none.
  using Orchestrators = std::function<std::shared_ptr<const mos_orchestrator_v1>()>;
  /// Milliseconds since 1970.
  using Clock = std::function<std::int64_t()>;
  /// Takes an event for the audit logs (abi/audit.h).
  using Audit = std::function<void(std::string_view)>;

  Provisioner(
      const mos_host_v1 *host, Orchestrators orchestrators, Clock clock, Audit audit = [](std::string_view) {});

  void configure(Settings settings);
  Settings settings() const;
  std::int64_t now() const { return clock_(); }
  const Store &store() const noexcept { return store_; }
  /// For the audit logs. `principal`: who did it; `handle` may be empty.
  void note(const char *action, std::string_view principal, std::string_view handle, std::string_view userId) const;

  /// Brings the tables up to date and takes up what was under way. On the lifecycle thread, before all else.
  void begin();
  /// A pass, soon. Any thread; never blocks.
  void kick();
  /// No report is listened to any more.
  void end();

  /// What is due now. Blocks for disk and for the orchestrator's list.
  void pass();
  /// Compares the table with the instances: somebody whose instance has gone is told of, not given another, since it
  /// may have been taken from them on purpose; an instance that came to a deleted user later goes as well.
  void reconcile();
  /// Tries a sign-up now, by its id or its user's, and gives it as it is then. Throws Error(NotFound), and
  /// Error(Aborted) where there is nothing to try.
  Signup retry(std::string_view id);

private:
  enum class Work { Provision, Destroy };
  /// What the orchestrator said of one sign-up.
  struct Report {
    Signup signup;
    Work work;
    std::optional<Error> error;
    std::string json;
  };

  std::function<void(const Outcome &)> reporter(Signup signup, Work work);
  std::vector<Report> takeReports();
  void keepReports(std::vector<Report> reports);
  void tellDegraded(const std::string &why);
  std::vector<Signup> deletionsDue() const;
  std::vector<Signup> provisionsDue(std::int64_t limit) const;
  void finish(const Report &report, const Instances &instances);
  void finishProvision(const Report &report, const Instances &instances);
  void finishDestroy(const Report &report);
  void provisionDue(const OrchestratorClient &orchestrator, const Instances &instances);
  void provision(const OrchestratorClient &orchestrator, const Instances &instances, Signup signup);
  bool takeHandle(const Instances &instances, Signup &signup);
  void destroyDue(const OrchestratorClient &orchestrator, const Instances &instances);
  void destroy(const OrchestratorClient &orchestrator, const Instances &instances, const Signup &signup);
  bool hasRoom(const Instances &instances, const Settings &settings) const;
  void settle(Signup signup, State from, const std::string &handle);
  void fail(Signup signup, State from, State to, const Error &error);
  void buried(Signup signup);
  void announce(const char *topic, const Signup &signup) const;
  void countStates();

  const Store store_;
  const Executor executor_;
  const Log log_;
  const Events events_;
  const Platform platform_;
  const Orchestrators orchestrators_;
  const Clock clock_;
  const Audit audit_;
  std::vector<Series> users_; ///< in the order of State
  const Series provisioned_, failed_, destroyed_;

  std::mutex passMutex_; ///< one pass at a time; guards what only passes use
  std::int64_t fullUntil_ = 0;
  std::string degraded_;                                  ///< what operators were told
  std::unordered_map<std::string, std::string> inFlight_; ///< handles by user, of what the orchestrator works on

  std::atomic<bool> isDirty_{true}; ///< the counts have changed

  mutable std::mutex mutex_; ///< never held across a call
  Settings settings_;
  std::vector<Report> reports_;
  bool isScheduled_ = false;
  bool isEnded_ = false;
};

} // namespace matrixos::signup
