#include "ctl/Progress.h"

#include "ctl/DaemonClient.h"
#include "ctl/Table.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace matrixos::ctl {

Progress::Progress(const DaemonClient &client, std::string target, std::string subject)
    : client_(client), target_(std::move(target)), subject_(std::move(subject)) {
  if (::isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { run(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_all();
  thread_.join();
  std::cerr << "\r\x1b[K";
}

void Progress::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::milliseconds{300}, [this] { return done_; })) {
    lock.unlock();
    const std::string text = line();
    lock.lock();
    if (!text.empty() && !done_) std::cerr << '\r' << text << "\x1b[K" << std::flush;
  }
}

std::string Progress::line() const {
  try {
    const auto answer = json::parseObject(client_.call("GET", target_, {}, std::chrono::seconds{5}));
    const auto progress = json::findObject(*answer, "progress");
    std::string text = subject_ + ": " + json::getString(progress ? *progress : *answer, "phase");
    const double total = progress ? json::getNumber(*progress, "total", 0) : 0;
    if (total > 0) {
      const double part = json::getNumber(*progress, "current", 0) / total;
      text += " " + std::to_string(static_cast<int>(std::clamp(part, 0.0, 1.0) * 100)) + " %";
    }
    return printable(text);
  } catch (const std::exception &) {
    return {}; // there is nothing yet, or the daemon is busy: the next look may tell more
  }
}

} // namespace matrixos::ctl
