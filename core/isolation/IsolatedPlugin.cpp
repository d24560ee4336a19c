#include "isolation/IsolatedPlugin.h"

#include "common/CallContext.h"
#include "isolation/RuntimeTable.h"

#include <matrixos/host.hpp>
#include <matrixos/status.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::isolation {

namespace {

/// Stands in the daemon for a plugin that runs elsewhere.
class IsolatedPlugin {
public:
  IsolatedPlugin(const ProcessSettings &settings, std::vector<std::string> instances, const mos_host_v1 *host)
      : services_(host), startTimeout_(settings.startTimeout), offers_(instances.size()),
        supervisor_(std::make_shared<Supervisor>(
            settings, host, [this](std::uint16_t slot, std::uint32_t minor) { onProvided(slot, minor); })) {
    for (std::size_t slot = 0; slot < instances.size(); ++slot)
      offers_[slot].instance = std::move(instances[slot]);
  }

  void start() {
    supervisor_->start();
    try {
      for (Offer &offer : startedOffers())
        services_.provide(MOS_RUNTIME_1, offer.instance, offer.table->table());
    } catch (...) {
      supervisor_->stop();
      throw;
    }
  }

  void stop() { supervisor_->stop(); }

  void reconfigure() {
    const common::CallContext context(startTimeout_);
    check([&](mos_error *e) { return supervisor_->calls().run({Function::Reconfigure}, context.abi(), e); });
  }

private:
  struct Offer {
    std::string instance;
    std::shared_ptr<RuntimeTable> table; ///< null until the plugin provides it
  };

  std::vector<Offer> startedOffers() {
    const std::lock_guard lock(mutex_);
    started_ = true;
    std::vector<Offer> given;
    for (const Offer &offer : offers_) {
      if (offer.table) given.push_back(offer);
    }
    return given;
  }

  /// Each process says it anew; the host hears it once, so that consumers notice nothing of a restart.
  void onProvided(std::uint16_t slot, std::uint32_t minor) {
    Offer late;
    {
      const std::lock_guard lock(mutex_);
      Offer &offer = offers_.at(slot);
      if (offer.table) return;
      offer.table = std::make_shared<RuntimeTable>(supervisor_->calls(), slot, minor);
      if (!started_) return;
      late = offer;
    }
    services_.provide(MOS_RUNTIME_1, late.instance, late.table->table());
  }

  const Services services_;
  const std::chrono::milliseconds startTimeout_;
  std::mutex mutex_;
  bool started_ = false;
  std::vector<Offer> offers_; ///< by slot
  const std::shared_ptr<Supervisor> supervisor_;
};

IsolatedPlugin &of(void *self) {
  return *static_cast<IsolatedPlugin *>(self);
}

} // namespace

std::string whyNotIsolated(const mos_descriptor_v1 &descriptor) {
  if (descriptor.provides_count == 0) return "it provides no runtime";
  for (std::uint32_t i = 0; i < descriptor.provides_count; ++i) {
    if (std::string_view(descriptor.provides[i].service) != MOS_RUNTIME_1) {
      return std::string("it provides ") + descriptor.provides[i].service +
             ", and only " MOS_RUNTIME_1 " can be isolated";
    }
  }
  if (descriptor.needs_count != 0) {
    return std::string("it needs ") + descriptor.needs[0].service + ", which it could not reach from there";
  }
  return {};
}

CreateFunction isolated(ProcessSettings settings, const mos_descriptor_v1 &descriptor) {
  settings.id = descriptor.id;
  settings.slots = static_cast<std::uint16_t>(descriptor.provides_count);
  std::vector<std::string> instances;
  for (std::uint32_t i = 0; i < descriptor.provides_count; ++i) {
    const char *instance = descriptor.provides[i].instance;
    instances.emplace_back(instance != nullptr ? instance : "");
  }
  return [settings = std::move(settings), instances = std::move(instances)](const mos_host_v1 *host,
                                                                            mos_plugin_v1 *plugin, mos_error *error) {
    return guarded(error, [&] {
      auto made = std::make_unique<IsolatedPlugin>(settings, instances, host);
      plugin->start = [](void *self, mos_error *e) { return guarded(e, [&] { of(self).start(); }); };
      plugin->stop = [](void *self, mos_error *e) { return guarded(e, [&] { of(self).stop(); }); };
      plugin->reconfigure = [](void *self, mos_error *e) { return guarded(e, [&] { of(self).reconfigure(); }); };
      plugin->destroy = [](void *self) { delete &of(self); };
      plugin->self = made.release();
    });
  };
}

} // namespace matrixos::isolation
