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

/// Where the page looks how the start goes: 503 and the page as it would be now, 204 once the instance answers. Never
/// passed on to an instance.
inline constexpr std::string_view kWaitingPath = "/.matrixos/waiting";

/// 503 with Retry-After and a page that opens the instance by itself. Its script looks at `base` + kWaitingPath and
/// shows what has changed; without scripts it loads itself again after that time.
http::LocalResponse waitingPage(std::string_view handle, std::string_view base, const WakeProgress &progress,
                                int reloadSeconds);

} // namespace matrixos::proxy
