#pragma once

#include "isolation/host/DaemonLink.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::isolation::host {

/// The plugin's metrics on their way to the daemon: additions to one counter or gauge are summed up, observations of
/// histograms queue, and all of it leaves every tenth of a second. What a process has not sent when it dies is lost.
class MetricsBuffer {
public:
  explicit MetricsBuffer(DaemonLink &link) : link_(link) {}

  /// The handle of a series, never 0. Asks the daemon the first time. Throws Error.
  std::uint64_t series(const SeriesFrame &frame);
  /// At once; unknown handles are ignored.
  void add(std::uint64_t handle, double value);
  void set(std::uint64_t handle, double value);
  /// Sends what there is, as far as the daemon takes it; never waits.
  void flush();

private:
  struct Entry {
    std::uint32_t type = 0;
    bool hasSet = false;
    double set = 0, added = 0;
    std::vector<double> observed;
  };

  void touched() {
    if (!std::exchange(dirty_, true)) link_.wakeSoon();
  }

  DaemonLink &link_;
  std::mutex naming_; ///< one question at a time, so that numbers are in turn
  std::map<std::string, std::uint64_t> names_;
  std::mutex mutex_; ///< entries_, dirty_
  std::vector<Entry> entries_;
  bool dirty_ = false;
};

} // namespace matrixos::isolation::host
