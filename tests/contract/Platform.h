#pragma once

#include "support/DaemonProcess.h"

#include <set>
#include <string>

namespace matrixos::test {

/// The whole platform on the real Docker engine: a daemon with ports and a folder of its own, and the demo image. Takes
/// its instances away with itself. Where no engine answers, the test program ends as skipped before anything starts.
class Platform {
public:
  /// Starts the daemon.
  explicit Platform(DaemonProcess::Values values = {});
  ~Platform();

  DaemonProcess &daemon() { return daemon_; }
  /// A handle that no other run has; its container is removed at the end, whatever becomes of the daemon.
  std::string handle(const std::string &prefix);
  /// Provisions through the admin socket; the answer was 201, or the test case ends.
  void provision(const std::string &handle, const std::string &user);
  /// The platform's secret.
  std::string secret() const;
  Headers bearer() const { return {{"Authorization", "Bearer " + secret()}}; }

private:
  DaemonProcess daemon_;
  std::set<std::string> handles_;
};

/// Whether the engine has a container of that name.
bool containerExists(const std::string &handle);
/// Whether the engine has that network.
bool networkExists(const std::string &name);
/// Ends the test program as skipped (77) where no engine answers, and makes the demo image.
void requireEngine();

} // namespace matrixos::test
