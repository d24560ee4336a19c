#include "plugin/ServicePoint.h"

#include "common/SystemError.h"

#include <sys/eventfd.h>

#include <cerrno>

namespace matrixos::plugin {

std::string pluginOf(const std::string &life) {
  return life.substr(0, life.find('#'));
}

ServiceProvider::ServiceProvider() : leavingFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!leavingFd) common::throwErrno(errno, "making an eventfd");
}

void ServiceProvider::leave() noexcept {
  gate.close();
  ::eventfd_write(leavingFd.get(), 1);
}

std::shared_ptr<ServiceProvider> ServicePoint::provider() const {
  const std::lock_guard lock(mutex_);
  return provider_;
}

void ServicePoint::set(std::shared_ptr<ServiceProvider> provider) {
  const std::lock_guard lock(mutex_);
  provider_.swap(provider);
}

} // namespace matrixos::plugin
