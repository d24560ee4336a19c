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
  /// Sockets that were passed to us go no further, to no child (sd_listen_fds(3)). Before anything is started.
  static void claimSockets();
};

} // namespace matrixos::daemon
