#pragma once

#include <matrixos/instance_spec.hpp>

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace matrixos::processes {

/// Control groups of version 1 or 2 (https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/), one per run of an
/// instance, in a folder of this installation's own directly below the root: so that they are no part of the daemon's
/// service. Where the kernel or the machine's owner does not let us, there are none. Thread-safe.
class Cgroups {
public:
  struct Usage {
    std::int64_t cpuNanos = 0;
    std::int64_t memoryBytes = 0;
    std::int64_t pids = 0;
  };

  /// Finds out what may be used below `mount` by making a group. `folder` is the installation's.
  Cgroups(std::string mount, std::string folder);
  /// None at all.
  Cgroups() = default;

  /// What is limited, like "memory, cpu, pids"; "" for nothing.
  std::string limits() const;
  bool canFreeze() const noexcept { return controllers_.count("freezer") != 0; }
  bool any() const noexcept { return !controllers_.empty(); }

  /// Makes the group with the spec's limits. Throws Error(FailedPrecondition, CGROUP) when a limit cannot be set.
  void make(const std::string &name, const InstanceSpec &spec) const;
  void join(const std::string &name, pid_t pid) const;
  void freeze(const std::string &name, bool frozen) const;
  /// Nothing where it is not known.
  std::optional<Usage> usage(const std::string &name) const;
  bool oomKilled(const std::string &name) const;
  /// Kills what is still in it, wherever it hid.
  void killAll(const std::string &name) const;
  /// Absent is success.
  void remove(const std::string &name) const noexcept;
  /// Removes the installation's folders unless something is in them; make() needs a new object then.
  void removeFolders() const noexcept;

private:
  std::string path(const std::string &controller, const std::string &name, const std::string &file = {}) const;
  bool has(const char *controller) const { return controllers_.count(controller) != 0; }
  void probeV1(const std::string &mount);
  void probeV2(const std::string &mount);

  bool v2_ = false;
  std::string folder_;
  std::map<std::string, std::string> controllers_; ///< name → folder of ours in it
};

} // namespace matrixos::processes
