#pragma once

#include "ConsoleHost.h"
#include "DeviceFlow.h"
#include "Diary.h"
#include "Sessions.h"

#include <matrixos/host.hpp>

#include <string>

namespace matrixos::identity {

/// POST /auth/device and /auth/device/token for programs, on the API's hosts and the console's, and on the latter the
/// page on which people let them in (RFC 8628).
class DeviceRoutes {
public:
  DeviceRoutes(const ConsoleHost &console, Sessions &sessions, DeviceFlow &flow, const Diary &diary)
      : console_(console), sessions_(sessions), flow_(flow), diary_(diary) {}

  void addTo(Routes &routes);

private:
  void begin(Exchange &exchange) const;
  void token(Exchange &exchange) const;
  std::string tokenFor(const std::string &deviceCode, const Digest &signIn) const;
  void give(Exchange &exchange, const std::string &deviceCode, const DeviceFlow::Polled &polled) const;
  void ask(Exchange &exchange) const;
  void decide(Exchange &exchange) const;

  const ConsoleHost &console_;
  Sessions &sessions_;
  DeviceFlow &flow_;
  const Diary &diary_;
};

} // namespace matrixos::identity
