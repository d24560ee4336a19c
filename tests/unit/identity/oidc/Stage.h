#pragma once

#include <identity/oidc/World.h>
#include <support/Errors.h>
#include <support/MockIssuer.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

namespace matrixos::test {

/// A world with one issuer in it, and a clock that goes as the test says. An issuer that is down answers nobody.
class Stage {
public:
  explicit Stage(SigningKey key = SigningKey()) : issuer("https://issuer.example", std::move(key)) {}

  identity::World world() {
    return {[this](const FetchRequest &request) {
              if (down) throw Error(Status::Unavailable, "no route to 10.0.0.7", "UNREACHABLE");
              return issuer.answer(request);
            },
            [this](std::string_view text) {
              const std::lock_guard lock(mutex_);
              notes_ += std::string(text) + "\n";
            },
            [this] { return issuer.now * 1000; },
            [this] { return std::chrono::steady_clock::time_point(std::chrono::hours{1000}) + passed.load(); }};
  }
  std::string notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
  }

  MockIssuer issuer;
  std::atomic<bool> down{false};
  std::atomic<std::chrono::seconds> passed{std::chrono::seconds{0}};

private:
  mutable std::mutex mutex_;
  std::string notes_;
};

} // namespace matrixos::test
