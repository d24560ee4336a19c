#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace matrixos::social {

/// Bounds the exchanges with instances: in all, so that they do not use up the host's threads, and per instance, so
/// that one slow instance does not use up what is meant for all. Thread-safe.
class InFlight {
public:
  /// A place, given back at its end. Falsy: there was none.
  class Place {
  public:
    Place(InFlight *owner, std::string handle) : owner_(owner), handle_(std::move(handle)) {}
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;
    ~Place() {
      if (owner_ != nullptr) owner_->leave(handle_);
    }
    explicit operator bool() const noexcept { return owner_ != nullptr; }

  private:
    InFlight *owner_;
    std::string handle_;
  };

  Place enter(std::string_view handle, std::size_t maxInAll, std::size_t maxPerHandle) {
    const std::lock_guard lock(mutex_);
    std::string name(handle);
    const auto found = perHandle_.find(name);
    if (inAll_ >= maxInAll || (found != perHandle_.end() && found->second >= maxPerHandle)) return {nullptr, {}};
    ++inAll_;
    ++perHandle_[name];
    return {this, std::move(name)};
  }
  std::size_t inAll() const {
    const std::lock_guard lock(mutex_);
    return inAll_;
  }

private:
  void leave(const std::string &handle) noexcept {
    const std::lock_guard lock(mutex_);
    --inAll_;
    const auto found = perHandle_.find(handle);
    if (--found->second == 0) perHandle_.erase(found);
  }

  mutable std::mutex mutex_;
  std::size_t inAll_ = 0;
  std::map<std::string, std::size_t> perHandle_;
};

} // namespace matrixos::social
