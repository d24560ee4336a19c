#include "metrics/ProcessMetrics.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

namespace matrixos::metrics {
namespace {

prometheus::MetricFamily family(const char *name, const char *help, prometheus::MetricType type, double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter)
    metric.counter.value = value;
  else
    metric.gauge.value = value;
  return {name, help, type, {metric}};
}

prometheus::MetricFamily gauge(const char *name, const char *help, double value) {
  return family(name, help, prometheus::MetricType::Gauge, value);
}

/// Fields of /proc/self/stat from the third on; the second, the name, may contain anything.
std::vector<std::string> statFields() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const auto nameEnd = text.rfind(')');
  std::vector<std::string> fields;
  if (nameEnd == std::string::npos) return fields;
  std::istringstream rest(text.substr(nameEnd + 1));
  for (std::string field; rest >> field;)
    fields.push_back(field);
  return fields;
}

double bootTime() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("btime ", 0) == 0) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

double countDescriptors() {
  const std::unique_ptr<DIR, int (*)(DIR *)> folder(::opendir("/proc/self/fd"), &::closedir);
  if (!folder) return 0;
  double count = 0;
  while (const dirent *entry = ::readdir(folder.get()))
    count += entry->d_name[0] == '.' ? 0 : 1;
  return count - 1; // the one that reads the folder
}

} // namespace

std::vector<prometheus::MetricFamily> collectProcess() {
  std::vector<prometheus::MetricFamily> families;
  // Numbers of the fields in proc(5), less the three that come before.
  constexpr std::size_t kUserTime = 14 - 3;
  constexpr std::size_t kSystemTime = 15 - 3;
  constexpr std::size_t kThreads = 20 - 3;
  constexpr std::size_t kStartTime = 22 - 3;
  constexpr std::size_t kVirtual = 23 - 3;
  constexpr std::size_t kResident = 24 - 3;
  const auto fields = statFields();
  if (fields.size() > kResident) {
    const auto number = [&](std::size_t at) { return std::strtod(fields[at].c_str(), nullptr); };
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    families.push_back(family("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                              prometheus::MetricType::Counter, (number(kUserTime) + number(kSystemTime)) / ticks));
    families.push_back(gauge("process_threads", "Number of threads.", number(kThreads)));
    families.push_back(gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                             bootTime() + number(kStartTime) / ticks));
    families.push_back(gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", number(kVirtual)));
    families.push_back(gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
                             number(kResident) * static_cast<double>(::sysconf(_SC_PAGESIZE))));
  }
  // Unlike resident memory, neither the code of plugins nor what malloc keeps for later counts here.
  const struct mallinfo2 heap = ::mallinfo2();
  families.push_back(gauge("process_heap_bytes", "Memory handed out by malloc in bytes.",
                           static_cast<double>(heap.uordblks + heap.hblkhd)));
  families.push_back(gauge("process_open_fds", "Number of open file descriptors.", countDescriptors()));
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(
        gauge("process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(limit.rlim_cur)));
  }
  return families;
}

} // namespace matrixos::metrics
