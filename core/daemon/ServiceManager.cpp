#include "daemon/ServiceManager.h"

#include <systemd/sd-daemon.h>

#include <ctime>

namespace matrixos::daemon {

void ServiceManager::ready(const std::string &status) {
  ::sd_notify(0, ("READY=1\nSTATUS=" + status).c_str());
}

void ServiceManager::status(const std::string &status) {
  ::sd_notify(0, ("STATUS=" + status).c_str());
}

void ServiceManager::reloading() {
  // Type=notify-reload wants the moment on CLOCK_MONOTONIC beside the word.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto micros = static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  ::sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(micros)).c_str());
}

void ServiceManager::claimSockets() {
  ::sd_listen_fds(0);
}

void ServiceManager::stopping() {
  ::sd_notify(0, "STOPPING=1");
}

} // namespace matrixos::daemon
