/// http/engine/AresResolver.h: names by the hosts file and DNS, with c-ares.
#pragma once

#include "Resolver.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>

namespace matrixos::http {

struct AresOptions {
  std::string servers{};                    ///< "127.0.0.1:5353,…" in place of those of the system
  std::chrono::milliseconds timeout{1'000}; ///< for the first try at each server; it doubles
  int tries = 3;
};

/// Asks the name servers of /etc/resolv.conf, which is read anew for each burst of questions. One thread of its own for
/// any number of questions.
class AresResolver final : public Resolver {
public:
  /// Throws std::system_error.
  explicit AresResolver(AresOptions options = {});
  /// Open questions fail.
  ~AresResolver() override;
  AresResolver(const AresResolver &) = delete;
  AresResolver &operator=(const AresResolver &) = delete;

  void resolve(const std::string &name, Done done) override;

private:
  class Worker;
  std::shared_ptr<Worker> worker_; // also the thread's, which may outlive us
  std::thread thread_;
};

} // namespace matrixos::http
