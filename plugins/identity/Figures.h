#pragma once

#include "EdgePolicy.h"
#include "Sessions.h"
#include "SignIn.h"

#include <matrixos/host.hpp>

#include <array>

namespace matrixos::identity {

/// The plugin's metrics.
class Figures {
public:
  explicit Figures(const mos_host_v1 *host);

  /// What came together since the last time; on one thread at a time.
  void report(const Sessions &sessions, const SignIn &signIn, const EdgePolicy &policy);

private:
  /// A counter of ours as a series.
  struct Counter {
    Series series;
    std::uint64_t told = 0;

    void tell(std::uint64_t now) {
      if (now != told) series.add(static_cast<double>(now - told));
      told = now;
    }
  };

  Series sessions_;
  std::array<Counter, SignIn::kEndNames.size()> signIns_;
  std::array<Counter, EdgePolicy::kRefusalNames.size()> refusals_;
};

} // namespace matrixos::identity
