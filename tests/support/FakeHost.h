#pragma once

#include "support/FakeHttp.h"
#include "support/FakeTimers.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::test {

/// A host for one plugin, in the test's own process: it gives what the test puts in, and remembers what it is told. It
/// has no database and no executor; a test that needs them derives from it. Any thread.
class FakeHost {
public:
  FakeHost();
  /// Every key has the default that the plugin declares.
  explicit FakeHost(const mos_descriptor_v1 &plugin);
  FakeHost(const FakeHost &) = delete;
  FakeHost &operator=(const FakeHost &) = delete;
  virtual ~FakeHost() = default;

  const mos_host_v1 *abi() const noexcept { return &host_; }

  /// A configuration value as an operator would write it: "20ms", "1MB", "true", "one, two".
  void set(const std::string &key, const std::string &value);
  /// Throws std::out_of_range for a key that nobody set or declared.
  std::string get(const std::string &key) const;
  /// No key has a value any more.
  void forgetConfig();
  /// What the interface platform says; "{}" at first.
  void setInfo(const std::string &json);
  /// What acquire() answers for a service; null takes it back.
  void offer(const std::string &service, const void *table);
  /// From now on the host does not have this interface.
  void withhold(const std::string &interfaceId);

  /// What the plugin provides now, null when nothing.
  template <typename Table>
  const Table *provided(const std::string &service, const std::string &instance = {}) const {
    const std::lock_guard lock(mutex_);
    const auto found = provided_.find({service, instance});
    return found == provided_.end() ? nullptr : static_cast<const Table *>(found->second);
  }

  /// A line of the plugin's log.
  struct Line {
    std::uint32_t level = 0;
    std::string message;
    std::map<std::string, std::string> fields;
    std::map<std::string, std::uint32_t> types; ///< MOS_FIELD_… of those that came with one
  };
  /// All lines so far whose message is this one; all of them when it is empty.
  std::vector<Line> lines(std::string_view message = {}) const;
  /// All messages so far, each with a line break.
  std::string log() const;
  /// The last reason for being degraded; empty when there is none.
  std::string degraded() const;
  /// All reasons so far, each with a line break.
  std::string everDegraded() const;
  /// What was added to and set in a series, such as `matrixos_instances{status="running"}`. A name without labels is
  /// the sum over all of its series.
  double metric(const std::string &series) const;
  /// The name of every series so far, with its labels.
  std::vector<std::string> series() const;
  /// Topics of the events so far.
  std::vector<std::string> topics() const;
  std::size_t timers() const { return timers_.count(); }

  /// Sends a request to the plugin's routes and waits for its answer.
  Answer request(const std::string &method, const std::string &path, const std::string &body = {}) {
    return answerTo(send(method, path, body));
  }
  /// Sends it and does not wait. Throws Error(NotFound) when no route fits.
  std::uint64_t send(const std::string &method, const std::string &path, const std::string &body = {}) {
    return http_.send(method, path, body);
  }
  /// Waits up to 30 seconds for the answer of send().
  Answer answerTo(std::uint64_t exchange) { return http_.answerTo(exchange); }

protected:
  /// The table of an interface, null when the host has none.
  virtual const void *find(std::string_view interfaceId) const;

private:
  static FakeHost &of(void *self) { return *static_cast<FakeHost *>(self); }
  template <typename Table>
  void head(Table &table) {
    table.struct_size = sizeof table;
    table.minor = MOS_HOST_MINOR;
    table.self = this;
  }
  void fillConfig();
  void fillPlatform();
  void fillLog();
  void keep(Line line);
  void fillMetrics();
  void fillServices();
  /// Throws Error(NotFound).
  std::string value(mos_str key) const;

  mos_host_v1 host_{};
  mos_host_config_v1 configTable_{};
  mos_host_platform_v1 platformTable_{};
  mos_host_log_v1 logTable_{};
  mos_host_metrics_v1 metricsTable_{};
  mos_host_events_v1 eventsTable_{};
  mos_host_services_v1 servicesTable_{};

  mutable std::mutex mutex_;
  std::map<std::string, std::string> config_;
  std::string info_ = "{}";
  std::set<std::string, std::less<>> withheld_;
  std::map<std::string, const void *> offered_;
  std::map<std::pair<std::string, std::string>, const void *> provided_;
  /// A table whose functions pass their calls on to a forwarder.
  struct Forwarded {
    std::uint32_t size = 0, minor = 0;
    mos_forwarder_v1 *self = nullptr;
    std::array<mos_any_function, 64> entries{};
    std::size_t count = 0;
  };
  std::deque<Forwarded> forwarded_;
  std::vector<Line> lines_;
  std::vector<std::string> degraded_;
  std::vector<std::string> topics_;
  std::vector<std::pair<std::string, double>> series_; // its handle is its place, from 1
  FakeHttp http_;
  FakeTimers timers_; // last: their threads end first
};

} // namespace matrixos::test
