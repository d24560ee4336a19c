/// WaitingPage.h: what a person sees while an instance wakes.
#pragma once

#include <http/engine/Session.h>

#include <chrono>
#include <cstddef>
#include <string_view>

namespace matrixos::proxy {

/// How far a wake has come.
struct WakeProgress {
  enum class Phase { Queued, Starting, Ready };
  Phase phase = Phase::Queued;
  std::size_t ahead = 0;             ///< wakes that began before this one and are still under way
  std::chrono::milliseconds since{}; ///< it was asked for
};

/// 503 with Retry-After and a page that asks again by itself after that time, with nothing in it but HTML and CSS.
http::LocalResponse waitingPage(std::string_view handle, const WakeProgress &progress, int reloadSeconds);

} // namespace matrixos::proxy
