#include "CallTrace.h"

#include "../CheckedRuntime.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace matrixos::conformance {

namespace {

/// As many as a report shows.
constexpr std::size_t kShown = 24;

int trace = -1;

} // namespace

void CallTrace::open(const std::string &file) {
  trace = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (trace < 0) throw std::runtime_error("cannot write " + file + ": " + std::strerror(errno));
  CheckedRuntime::witness() = note;
}

void CallTrace::clear() noexcept {
  [[maybe_unused]] const int cut = trace < 0 ? 0 : ::ftruncate(trace, 0);
}

/// In one write(), which neither a crash nor another thread cuts.
void CallTrace::note(const std::string &what, bool returned) noexcept {
  if (trace < 0) return;
  std::string line = std::to_string(::gettid()) + (returned ? " <" : " >") + what;
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  [[maybe_unused]] const ssize_t written = ::write(trace, line.data(), line.size());
}

CallTrace::Left CallTrace::read(const std::string &file) {
  Left left;
  std::map<std::string, std::vector<std::string>> inside; // by thread
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string thread;
    char sign = 0;
    words >> thread >> sign;
    auto &open = inside[thread];
    if (sign == '>') {
      open.push_back(line.substr(thread.size() + 2));
      left.calls.push_back(open.back());
      if (left.calls.size() > kShown) left.calls.erase(left.calls.begin());
    } else if (!open.empty()) {
      open.pop_back();
    }
  }
  for (const auto &[thread, open] : inside)
    left.inside.insert(left.inside.end(), open.begin(), open.end());
  return left;
}

} // namespace matrixos::conformance
