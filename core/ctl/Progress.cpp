#include "ctl/Progress.h"

#include "ctl/DaemonClient.h"
#include "ctl/Table.h"

#include <unistd.h>

#include <iostream>

namespace matrixos::ctl {

Progress::Progress(const DaemonClient &client, std::string handle) : client_(client), handle_(std::move(handle)) {
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
    const auto instance = json::parseObject(
        client_.call("GET", "/containers/" + http::percentEncode(handle_), {}, std::chrono::seconds{5}));
    const auto progress = json::findObject(*instance, "progress");
    if (!progress) return handle_ + ": " + printable(json::getString(*instance, "phase"));
    const auto current = json::getInt(*progress, "current", 0), total = json::getInt(*progress, "total", 0);
    std::string text = handle_ + ": " + printable(json::getString(*progress, "phase"));
    if (total > 0) text += " " + std::to_string(current * 100 / total) + " %";
    return text;
  } catch (const std::exception &) {
    return {}; // there is no row yet, or the daemon is busy: the next look may tell more
  }
}

} // namespace matrixos::ctl
