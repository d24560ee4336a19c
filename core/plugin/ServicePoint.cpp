#include "plugin/ServicePoint.h"

namespace matrixos::plugin {

std::string pluginOf(const std::string &life) {
  return life.substr(0, life.find('#'));
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
