#include "daemon/ServiceManager.h"

#include <matrixos/call.hpp>

#include <systemd/sd-daemon.h>

#include <string>

namespace matrixos::daemon {

void ServiceManager::ready(const std::string &status) {
  ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void ServiceManager::status(const std::string &status) {
  ::sd_notify(0, ("STATUS=" + status).c_str());
}

void ServiceManager::reloading() {
  // Type=notify-reload wants the moment on CLOCK_MONOTONIC beside the word.
  ::sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonicNanos() / 1000)).c_str());
}

void ServiceManager::claimSockets() {
  ::sd_listen_fds(0);
}

void ServiceManager::stopping() {
  ::sd_notify(0, "STOPPING=1");
}

} // namespace matrixos::daemon
