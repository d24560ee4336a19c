#include "log/Log.h"

#include "common/Wipe.h"
#include "log/LineBuilder.h"
#include "log/LogOutput.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace matrixos::log {

struct Log::Source {
  std::string name;
  std::atomic<std::uint32_t> level{MOS_LOG_INFO};
};

namespace {

thread_local std::string_view requestId;

/// "core" covers "core" and "core.http", "" everything.
bool covers(std::string_view prefix, std::string_view name) {
  if (prefix.empty() || prefix == name) return true;
  return name.size() > prefix.size() && name.substr(0, prefix.size()) == prefix && name[prefix.size()] == '.';
}

} // namespace

/// Everything the loggers share. Never destroyed, since threads may log until the very end of the process.
class Registry {
public:
  static Registry &instance() {
    static Registry *const registry = new Registry;
    return *registry;
  }

  const Log::Source *source(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto found = sources_.find(name);
    if (found != sources_.end()) return found->second.get();
    auto made = std::make_unique<Log::Source>();
    made->name = std::string(name);
    made->level = static_cast<std::uint32_t>(levelOf(made->name));
    return sources_.emplace(made->name, std::move(made)).first->second.get();
  }

  /// For when a source cannot be made.
  const Log::Source *fallback() const noexcept { return &fallback_; }

  void configure(const Options &options) {
    const std::lock_guard lock(mutex_);
    format_ = options.format;
    levels_ = options.levels;
    levels_[""] = options.level;
    output_.setFd(options.fd);
    applyLevels();
  }

  void setLevel(std::string_view name, Level level) {
    const std::lock_guard lock(mutex_);
    // What was set for loggers below this one no longer counts.
    std::erase_if(levels_, [&](const auto &entry) { return covers(name, entry.first); });
    levels_[std::string(name)] = level;
    applyLevels();
  }

  void addSecret(std::string_view secret) {
    const std::lock_guard lock(mutex_);
    if (std::find(kept_.begin(), kept_.end(), secret) != kept_.end()) return;
    kept_.emplace_back(secret);
    joinSecrets();
  }

  void replaceSecrets(std::vector<std::string> secrets) {
    const std::lock_guard lock(mutex_);
    replaceable_.swap(secrets);
    joinSecrets();
    std::for_each(secrets.begin(), secrets.end(), common::wipe);
  }

  void write(const LogEntry &entry) {
    Format format{};
    std::shared_ptr<const std::vector<std::string>> secrets;
    {
      const std::lock_guard lock(mutex_);
      format = format_;
      secrets = secrets_;
    }
    std::string line = buildLine(entry, format, *secrets);
    line.insert(0, output_.prefix(entry.level));
    output_.write(line);
    lines_[static_cast<std::size_t>(entry.level)].fetch_add(1, std::memory_order_relaxed);
  }

  void tell(Level level, std::string_view text) {
    std::string line(output_.prefix(level));
    line.append(text).append(1, '\n');
    output_.write(line);
  }

  Counts counts() const noexcept {
    Counts counts;
    for (std::size_t i = 0; i < lines_.size(); ++i)
      counts.lines[i] = lines_[i].load(std::memory_order_relaxed);
    counts.dropped = output_.dropped();
    return counts;
  }

private:
  Level levelOf(std::string_view name) const {
    Level level = Level::Info;
    std::size_t longest = 0;
    for (const auto &[prefix, value] : levels_) {
      if (!covers(prefix, name) || prefix.size() < longest) continue;
      longest = prefix.size();
      level = value;
    }
    return level;
  }

  void joinSecrets() {
    const auto forget = [](std::vector<std::string> *texts) {
      std::for_each(texts->begin(), texts->end(), common::wipe);
      delete texts;
    };
    const std::shared_ptr<std::vector<std::string>> next(new std::vector<std::string>(kept_), forget);
    next->insert(next->end(), replaceable_.begin(), replaceable_.end());
    // The longest first, in case one contains another.
    std::sort(next->begin(), next->end(), [](const auto &a, const auto &b) { return a.size() > b.size(); });
    secrets_ = next;
  }

  void applyLevels() {
    for (auto &[name, source] : sources_) {
      source->level.store(static_cast<std::uint32_t>(levelOf(name)), std::memory_order_relaxed);
    }
  }

  mutable std::mutex mutex_;
  Format format_ = Format::Human;
  std::map<std::string, Level> levels_;
  std::map<std::string, std::unique_ptr<Log::Source>, std::less<>> sources_;
  std::vector<std::string> kept_, replaceable_; ///< secrets
  std::shared_ptr<const std::vector<std::string>> secrets_ = std::make_shared<std::vector<std::string>>();
  Log::Source fallback_;
  LogOutput output_;
  std::array<std::atomic<std::uint64_t>, 5> lines_{};
};

Log::Log(std::string_view name) noexcept : source_(nullptr) {
  try {
    source_ = Registry::instance().source(name);
  } catch (...) {
    source_ = Registry::instance().fallback();
  }
}

bool Log::enabled(Level level) const noexcept {
  return static_cast<std::uint32_t>(level) <= source_->level.load(std::memory_order_relaxed);
}

void Log::write(Level level, std::string_view message, std::span<const Field> fields) const noexcept {
  // Plugins may hand in any number.
  const auto known = std::clamp(level, Level::Error, Level::Debug);
  if (!enabled(known)) return;
  const int error = errno;
  try {
    Registry::instance().write({known, wallClockMs(), source_->name, message, requestId, fields});
  } catch (...) {
    // Out of memory: a line less is better than an exception in a place that only wanted to log.
  }
  errno = error;
}

void configure(const Options &options) {
  Registry::instance().configure(options);
}
void setLevel(std::string_view name, Level level) {
  Registry::instance().setLevel(name, level);
}

std::string redacted(std::string_view text, std::span<const std::string> secrets) {
  constexpr std::string_view kInstead = "[redacted]";
  std::string clean(text);
  for (const std::string &secret : secrets) {
    if (secret.size() < kShortestSecret) continue;
    for (std::size_t at = clean.find(secret); at != std::string::npos; at = clean.find(secret, at + kInstead.size()))
      clean.replace(at, secret.size(), kInstead);
  }
  return clean;
}

void addSecret(std::string_view secret) {
  if (secret.size() >= kShortestSecret) Registry::instance().addSecret(secret);
}

void replaceSecrets(std::vector<std::string> secrets) {
  std::erase_if(secrets, [](const std::string &secret) { return secret.size() < kShortestSecret; });
  Registry::instance().replaceSecrets(std::move(secrets));
}

void tell(Level level, std::string_view text) noexcept {
  try {
    Registry::instance().tell(level, text);
  } catch (...) {
    // As above.
  }
}

Counts counts() noexcept {
  return Registry::instance().counts();
}

const char *levelName(Level level) noexcept {
  switch (level) {
  case Level::Error:
    return "error";
  case Level::Warning:
    return "warning";
  case Level::Info:
    return "info";
  case Level::Debug:
    return "debug";
  }
  return "debug";
}

Level parseLevel(std::string_view text) {
  for (const Level level : {Level::Error, Level::Warning, Level::Info, Level::Debug}) {
    if (text == levelName(level)) return level;
  }
  throw Error(Status::InvalidArgument,
              "\"" + std::string(text) + "\" is no log level; use error, warning, info or debug");
}

RequestScope::RequestScope(std::string_view id) noexcept : before_(std::exchange(requestId, id)) {}
RequestScope::~RequestScope() {
  requestId = before_;
}

} // namespace matrixos::log
