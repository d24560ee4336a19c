#pragma once

#include <matrixos/call.hpp>

#include <systemd/sd-daemon.h>

#include <string>

namespace matrixos::daemon {

/// What systemd is told through its notification socket (sd_notify(3)); nothing happens without one.
class ServiceManager {
public:
  static void ready(const std::string &status) { ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
  static void status(const std::string &status) { ::sd_notify(0, ("STATUS=" + status).c_str()); }
  /// Not ready yet, for good reason: systemd's patience with the start begins anew.
  static void waiting(const std::string &what) {
    ::sd_notify(0, ("STATUS=waiting: " + what + "\nEXTEND_TIMEOUT_USEC=60000000").c_str());
  }
  static void reloading() {
    // Type=notify-reload wants the moment on CLOCK_MONOTONIC beside the word.
    ::sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonicNanos() / 1000)).c_str());
  }
  static void stopping() { ::sd_notify(0, "STOPPING=1"); }
  /// Sockets that were passed to us go no further, to no child (sd_listen_fds(3)). Before anything is started.
  static void claimSockets() { ::sd_listen_fds(0); }
};

} // namespace matrixos::daemon
