#include "isolation/IsolatedPlugin.h"

#include "common/CallContext.h"
#include "isolation/RemoteService.h"

#include <matrixos/host.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::isolation {

namespace {

/// One of the descriptor's provides.
struct Provided {
  const common::ServiceDescription *service = nullptr;
  std::string instance;
};

/// Stands in the daemon for a plugin that runs elsewhere.
class IsolatedPlugin {
public:
  IsolatedPlugin(const ProcessSettings &settings, const std::vector<Provided> &provides, const mos_host_v1 *host)
      : services_(host), startTimeout_(settings.startTimeout), offers_(provides.size()),
        supervisor_(std::make_shared<Supervisor>(
            settings, host, [this](std::uint16_t slot, std::uint32_t minor) { onProvided(slot, minor); })) {
    for (std::size_t slot = 0; slot < provides.size(); ++slot)
      offers_[slot].what = provides[slot];
  }

  void start() {
    supervisor_->start();
    try {
      for (Offer &offer : startedOffers())
        provide(offer);
    } catch (...) {
      supervisor_->stop();
      throw;
    }
  }

  void stop() { supervisor_->stop(); }

  void reconfigure() {
    const common::CallContext context(startTimeout_);
    check([&](mos_error *e) { return supervisor_->calls().run({kReconfigure}, context.abi(), e); });
  }

private:
  struct Offer {
    Provided what;
    std::shared_ptr<RemoteService> service; ///< null until the plugin provides it
    std::uint32_t minor = 0;
  };

  void provide(const Offer &offer) const {
    services_.provideForwarder(offer.what.service->id, offer.what.instance, offer.service->forwarder(), offer.minor);
  }

  std::vector<Offer> startedOffers() {
    const std::lock_guard lock(mutex_);
    started_ = true;
    std::vector<Offer> given;
    for (const Offer &offer : offers_) {
      if (offer.service) given.push_back(offer);
    }
    return given;
  }

  /// Each process says it anew; the host hears it once, so that consumers notice nothing of a restart.
  void onProvided(std::uint16_t slot, std::uint32_t minor) {
    Offer late;
    {
      const std::lock_guard lock(mutex_);
      Offer &offer = offers_.at(slot);
      if (offer.service) return;
      offer.service = std::make_shared<RemoteService>(supervisor_->calls(), slot, *offer.what.service);
      offer.minor = minor;
      if (!started_) return;
      late = offer;
    }
    provide(late);
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
  if (descriptor.provides_count == 0 && descriptor.needs_count == 0)
    return "it neither provides a service nor needs one";
  const auto described = [all = common::ServiceDescription::readAll(descriptor)](std::string_view id) {
    return common::ServiceCatalogue::instance().isOfSdk(id) ||
           std::any_of(all.begin(), all.end(), [&](const auto &service) { return service.id == id; });
  };
  for (std::uint32_t i = 0; i < descriptor.provides_count; ++i) {
    const std::string id = descriptor.provides[i].service;
    if (!described(id)) return "it provides " + id + ", and does not describe it";
    if (!common::ServiceCatalogue::instance().find(id)->isIsolatable())
      return "it provides " + id + ", and that has functions that must not wait";
  }
  for (std::uint32_t i = 0; i < descriptor.needs_count; ++i) {
    const std::string need = descriptor.needs[i].service, id = need.substr(0, need.find(':'));
    if (!described(id)) {
      return "it needs " + id +
             ", and does not describe it: its descriptor's services have to name the description that belongs to the "
             "service's header (MOS_DESCRIBE_SERVICE)";
    }
    const common::ServiceFunction *local = common::ServiceCatalogue::instance().find(id)->firstLocal();
    if (local != nullptr) {
      return "it needs " + id + ", whose " + local->call + " takes what cannot leave a process (parameters " +
             local->parameters + ")";
    }
  }
  return {};
}

CreateFunction isolated(ProcessSettings settings, const mos_descriptor_v1 &descriptor) {
  settings.id = descriptor.id;
  settings.slots = static_cast<std::uint16_t>(descriptor.provides_count);
  std::vector<Provided> provides;
  for (std::uint32_t i = 0; i < descriptor.provides_count; ++i) {
    const mos_provide &provide = descriptor.provides[i];
    provides.push_back({common::ServiceCatalogue::instance().find(provide.service),
                        provide.instance != nullptr ? provide.instance : ""});
  }
  return [settings = std::move(settings), provides = std::move(provides)](const mos_host_v1 *host,
                                                                          mos_plugin_v1 *plugin, mos_error *error) {
    return guarded(error, [&] {
      auto made = std::make_unique<IsolatedPlugin>(settings, provides, host);
      plugin->start = [](void *self, mos_error *e) { return guarded(e, [&] { of(self).start(); }); };
      plugin->stop = [](void *self, mos_error *e) { return guarded(e, [&] { of(self).stop(); }); };
      plugin->reconfigure = [](void *self, mos_error *e) { return guarded(e, [&] { of(self).reconfigure(); }); };
      plugin->destroy = [](void *self) { delete &of(self); };
      plugin->self = made.release();
    });
  };
}

} // namespace matrixos::isolation
