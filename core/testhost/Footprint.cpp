#include "testhost/Footprint.h"

#include "plugin/CallPool.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace matrixos::testhost {

namespace fs = std::filesystem;

namespace {

/// A thread that has returned takes a moment to leave /proc.
constexpr std::chrono::seconds kPatience{2};
/// The process's own threads, which stay: those of the CallPool for the next calls, and the one of PendingCalls.
constexpr const char *kPoolThread = "plugin-call";
constexpr const char *kDeadlineThread = "call-deadlines";

std::map<std::string, std::string> added(const std::map<std::string, std::string> &now,
                                         const std::map<std::string, std::string> &before) {
  std::map<std::string, std::string> more;
  for (const auto &entry : now)
    if (before.count(entry.first) == 0) more.insert(entry);
  return more;
}

std::string described(const std::map<std::string, std::string> &what, const std::string &one, const std::string &many) {
  if (what.empty()) return {};
  std::set<std::string> names;
  for (const auto &[key, name] : what)
    names.insert(name);
  std::string list;
  for (const std::string &name : names)
    list += (list.empty() ? "" : ", ") + name;
  return (what.size() == 1 ? one : std::to_string(what.size()) + " " + many) + " (" + list + ")";
}

} // namespace

Footprint Footprint::now() {
  Footprint found;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator("/proc/self/task", error)) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "comm"), name);
    if (!name.empty()) found.threads_[entry.path().filename()] = name; // else it has ended meanwhile
  }
  for (const auto &entry : fs::directory_iterator("/proc/self/fd", error)) {
    const std::string target = fs::read_symlink(entry.path(), error).string();
    // The one of this very loop is gone by the time that anybody asks; an eventfd is in each CallScope of a test.
    if (!error && target.find("/fd") == std::string::npos && target != "anon_inode:[eventfd]")
      found.files_[entry.path().filename().string() + " " + target] = target;
  }
  return found;
}

std::string Footprint::addedSince(const Footprint &before) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const Footprint now = Footprint::now();
    auto threads = added(now.threads_, before.threads_);
    const bool watched = std::any_of(before.threads_.begin(), before.threads_.end(),
                                     [](const auto &thread) { return thread.second == kDeadlineThread; });
    std::map<std::string, std::size_t> own{{kPoolThread, plugin::CallPool::instance().idle()},
                                           {kDeadlineThread, watched ? 0U : 1U}};
    std::erase_if(threads, [&](const auto &thread) {
      const auto mine = own.find(thread.second);
      return mine != own.end() && mine->second > 0 && mine->second-- > 0;
    });
    const auto files = added(now.files_, before.files_);
    if ((threads.empty() && files.empty()) || std::chrono::steady_clock::now() >= end) {
      std::string left = described(threads, "a thread", "threads");
      if (!threads.empty() && !files.empty()) left += ", ";
      return left += described(files, "an open file", "open files");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

} // namespace matrixos::testhost
