/// Regulars.h: the clients who only want their answers, while others misbehave.
#pragma once

#include "Crowd.h"

#include <algorithm>
#include <string>
#include <vector>

namespace matrixos::test {

/// Clients of one instance that ask again as soon as they are answered; every second of them with a connection for each
/// request. goOn() belongs into the condition of Crowd::until().
class Regulars {
public:
  Regulars(Crowd &crowd, std::string handle, std::size_t count) : crowd_(crowd), handle_(std::move(handle)) {
    for (std::size_t i = 0; i < count; ++i)
      all_.push_back({&crowd_.add(getRequest(handle_, "0")), 0, i % 2 == 1});
  }

  void goOn() {
    for (One &one : all_) {
      const auto answer = one.client->takeResponse();
      if (!answer && !one.client->ended()) continue;
      if (!answer || answer->status != 200 ||
          answer->body != std::to_string(one.answers) + " for " + handle_ + ".localhost")
        ++failures_;
      const std::string next = getRequest(handle_, std::to_string(++one.answers));
      if (!one.fresh && answer) {
        crowd_.send(*one.client, next);
      } else {
        crowd_.leave(*one.client);
        one.client = &crowd_.add(next);
      }
    }
  }
  /// Counted from the first request on.
  bool eachGot(std::size_t answers) const {
    return std::all_of(all_.begin(), all_.end(), [&](const One &one) { return one.answers >= answers; });
  }
  /// Until each got that many more answers; false when that takes too long or one of them failed.
  bool areServed(std::size_t more) {
    std::vector<std::size_t> goals;
    for (const One &one : all_)
      goals.push_back(one.answers + more);
    return crowd_.until([&] {
      goOn();
      for (std::size_t i = 0; i < all_.size(); ++i) {
        if (all_[i].answers < goals[i]) return false;
      }
      return true;
    }) && failures_ == 0;
  }
  std::size_t failures() const noexcept { return failures_; }

private:
  struct One {
    CrowdClient *client;
    std::size_t answers;
    bool fresh;
  };
  Crowd &crowd_;
  const std::string handle_;
  std::vector<One> all_;
  std::size_t failures_ = 0;
};

} // namespace matrixos::test
