#include "plugin/ServicePoint.h"

#include "common/SystemError.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace matrixos::plugin {

std::string pluginOf(const std::string &life) {
  return life.substr(0, life.find('#'));
}

/// The providers that are in use, and those that can be used again.
class ProviderPool {
public:
  static ProviderPool &instance() {
    static auto *pool = new ProviderPool; // calls that never return outlive everything
    return *pool;
  }

  std::shared_ptr<ServiceProvider> take() {
    FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) common::throwErrno(errno, "making an eventfd");
    const std::lock_guard lock(mutex_);
    const auto at =
        std::find_if(free_.begin(), free_.end(), [](const auto *provider) { return provider->gate.inside() == 0; });
    ServiceProvider *provider = nullptr;
    if (at == free_.end()) {
      free_.reserve(++made_); // to be given back without fail
      provider = new ServiceProvider;
      provider->gate.close();
    } else {
      provider = *at;
      free_.erase(at);
      clear(*provider);
    }
    provider->leavingFd = std::move(fd);
    return {provider, [](ServiceProvider *unused) { instance().give(unused); }};
  }

private:
  /// One that a call is still inside of stays as it is until it is used again.
  void give(ServiceProvider *provider) noexcept {
    provider->gate.close();
    const std::lock_guard lock(mutex_);
    if (provider->gate.inside() == 0) clear(*provider);
    free_.push_back(provider);
  }

  static void clear(ServiceProvider &provider) noexcept {
    provider.plugin.clear();
    provider.table = nullptr;
    provider.forwarder = nullptr;
    provider.minor = 0;
    provider.tag = nullptr;
    provider.abandoned.reset();
    provider.leavingFd.reset();
    provider.givenUp = false;
  }

  std::mutex mutex_;
  std::vector<ServiceProvider *> free_;
  std::size_t made_ = 0;
};

std::shared_ptr<ServiceProvider> ServiceProvider::make() {
  return ProviderPool::instance().take();
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
  if (provider_) provider_->gate.open();
  now_ = provider_.get();
}

} // namespace matrixos::plugin
