#pragma once

#include <string>

namespace matrixos::daemon {

/// What systemd is told through its notification socket (sd_notify(3)); nothing happens without one.
class ServiceManager {
public:
  static void ready(const std::string &status);
  static void status(const std::string &status);
  static void reloading();
  static void stopping();
};

} // namespace matrixos::daemon
