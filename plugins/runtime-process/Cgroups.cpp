#include "Cgroups.h"

#include <matrixos/process.hpp>

#include <sys/stat.h>

#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>
#include <thread>

namespace matrixos::processes {

namespace {

constexpr std::int64_t kCpuPeriodMicros = 100'000;
constexpr int kMaxTries = 500;

/// cgroup files take one value per write().
bool writeValue(const std::string &path, const std::string &value) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

void mustWrite(const std::string &path, const std::string &value) {
  if (writeValue(path, value)) return;
  throw Error(Status::FailedPrecondition,
              "the kernel does not take " + value + " in " + path + ": " + std::generic_category().message(errno),
              "CGROUP");
}

std::int64_t readNumber(const std::string &path) {
  const std::string text = process::readSmallFile(path);
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The number behind a key in a flat file such as memory.events; 0 without it.
std::int64_t readKey(const std::string &path, const std::string &key) {
  std::istringstream lines(process::readSmallFile(path));
  std::string name;
  std::int64_t value = 0;
  while (lines >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

std::set<pid_t> readMembers(const std::string &path) {
  std::istringstream lines(process::readSmallFile(path));
  std::set<pid_t> members;
  pid_t pid = 0;
  while (lines >> pid)
    members.insert(pid);
  return members;
}

bool makeFolder(const std::string &path) {
  return ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
}

} // namespace

Cgroups::Cgroups(std::string mount, std::string folder) : folder_(std::move(folder)) {
  struct stat info {};
  v2_ = ::stat((mount + "/cgroup.controllers").c_str(), &info) == 0;
  if (v2_)
    probeV2(mount);
  else
    probeV1(mount);
}

void Cgroups::probeV1(const std::string &mount) {
  for (const char *controller : {"memory", "cpu", "pids", "freezer", "cpuacct"}) {
    const std::string ours = mount + "/" + controller + "/" + folder_;
    if (makeFolder(ours) && ::access((ours + "/cgroup.procs").c_str(), W_OK) == 0) controllers_[controller] = ours;
  }
}

void Cgroups::probeV2(const std::string &mount) {
  const std::string ours = mount + "/" + folder_;
  if (!makeFolder(ours) || ::access((ours + "/cgroup.procs").c_str(), W_OK) != 0) return;
  controllers_["freezer"] = ours; // every group has cgroup.freeze
  for (const char *controller : {"memory", "cpu", "pids"}) {
    const std::string enable = std::string("+") + controller;
    static_cast<void>(writeValue(mount + "/cgroup.subtree_control", enable));
    if (writeValue(ours + "/cgroup.subtree_control", enable)) controllers_[controller] = ours;
  }
}

std::string Cgroups::limits() const {
  std::string list;
  for (const char *controller : {"memory", "cpu", "pids"}) {
    if (has(controller)) list += (list.empty() ? "" : ", ") + std::string(controller);
  }
  return list;
}

std::string Cgroups::path(const std::string &controller, const std::string &name, const std::string &file) const {
  return controllers_.at(controller) + "/" + name + (file.empty() ? "" : "/" + file);
}

void Cgroups::make(const std::string &name, const InstanceSpec &spec) const {
  for (const auto &[controller, folder] : controllers_) {
    if (!makeFolder(path(controller, name))) {
      throw Error(Status::FailedPrecondition, "the control group " + path(controller, name) + " cannot be made",
                  "CGROUP");
    }
  }
  if (has("memory") && spec.memoryBytes > 0) {
    const std::string bytes = std::to_string(spec.memoryBytes);
    mustWrite(path("memory", name, v2_ ? "memory.max" : "memory.limit_in_bytes"), bytes);
    // No swap on top of it, where swap is accounted for at all.
    if (v2_)
      static_cast<void>(writeValue(path("memory", name, "memory.swap.max"), "0"));
    else
      static_cast<void>(writeValue(path("memory", name, "memory.memsw.limit_in_bytes"), bytes));
  }
  if (has("cpu") && spec.cpus > 0) {
    const auto quota = std::max<std::int64_t>(1000, std::llround(spec.cpus * static_cast<double>(kCpuPeriodMicros)));
    const std::string period = std::to_string(kCpuPeriodMicros);
    if (v2_) {
      mustWrite(path("cpu", name, "cpu.max"), std::to_string(quota) + " " + period);
    } else {
      mustWrite(path("cpu", name, "cpu.cfs_period_us"), period);
      mustWrite(path("cpu", name, "cpu.cfs_quota_us"), std::to_string(quota));
    }
  }
  if (has("pids") && spec.pidsLimit > 0) mustWrite(path("pids", name, "pids.max"), std::to_string(spec.pidsLimit));
}

void Cgroups::join(const std::string &name, pid_t pid) const {
  for (const auto &[controller, folder] : controllers_)
    mustWrite(path(controller, name, "cgroup.procs"), std::to_string(pid));
}

void Cgroups::freeze(const std::string &name, bool frozen) const {
  if (v2_) return mustWrite(path("freezer", name, "cgroup.freeze"), frozen ? "1" : "0");
  const std::string file = path("freezer", name, "freezer.state");
  const std::string wanted = frozen ? "FROZEN" : "THAWED";
  // FREEZING may stay for a while, and asking again helps (cgroup-v1/freezer-subsystem).
  for (int i = 0; i < kMaxTries; ++i) {
    mustWrite(file, wanted);
    if (process::readSmallFile(file).rfind(wanted, 0) == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  throw Error(Status::Unavailable, "the kernel did not finish freezing " + name, "CGROUP");
}

std::optional<Cgroups::Usage> Cgroups::usage(const std::string &name) const {
  const bool time = v2_ ? has("cpu") : has("cpuacct");
  if (!time || !has("memory") || !has("pids")) return std::nullopt;
  const std::string statistics = process::readSmallFile(path("memory", name, "memory.stat"));
  if (statistics.empty()) return std::nullopt;
  Usage usage;
  usage.cpuNanos = v2_ ? readKey(path("cpu", name, "cpu.stat"), "usage_usec") * 1000
                       : readNumber(path("cpuacct", name, "cpuacct.usage"));
  // As `docker stats` does: without the page cache that can go at once.
  const std::int64_t cache =
      readKey(path("memory", name, "memory.stat"), v2_ ? "inactive_file" : "total_inactive_file");
  const std::int64_t all = readNumber(path("memory", name, v2_ ? "memory.current" : "memory.usage_in_bytes"));
  usage.memoryBytes = std::max<std::int64_t>(0, all - cache);
  usage.pids = readNumber(path("pids", name, "pids.current"));
  return usage;
}

bool Cgroups::oomKilled(const std::string &name) const {
  return has("memory") && readKey(path("memory", name, v2_ ? "memory.events" : "memory.oom_control"), "oom_kill") > 0;
}

void Cgroups::killAll(const std::string &name) const {
  if (!any()) return;
  const std::string group = controllers_.begin()->first;
  const std::string procs = path(group, name, "cgroup.procs");
  for (int i = 0; i < kMaxTries; ++i) {
    if (v2_) static_cast<void>(writeValue(path(group, name, "cgroup.kill"), "1"));
    const std::set<pid_t> members = readMembers(procs);
    if (members.empty()) return;
    for (const pid_t pid : members) {
      const FileDescriptor fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
      // Still a member now that the descriptor holds it: it is the one that was meant.
      if (fd && readMembers(procs).count(pid) != 0) {
        static_cast<void>(::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0U));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
}

void Cgroups::remove(const std::string &name) const noexcept {
  for (const auto &[controller, folder] : controllers_)
    ::rmdir(path(controller, name).c_str());
}

void Cgroups::removeFolders() const noexcept {
  for (const auto &[controller, folder] : controllers_)
    ::rmdir(folder.c_str());
}

} // namespace matrixos::processes
