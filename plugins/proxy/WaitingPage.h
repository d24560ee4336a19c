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

/// True for a browser that goes to a page: `Sec-Fetch-Mode: navigate`, or a GET that accepts text/html from one that
/// does not say its mode. Scripts that fetch, and forms that send, wait instead.
bool isNavigation(const http::RequestHead &head) noexcept;

/// 503 with Retry-After and a page that asks again by itself after that time, with nothing in it but HTML and CSS.
http::LocalResponse waitingPage(std::string_view handle, const WakeProgress &progress, int reloadSeconds);

} // namespace matrixos::proxy
