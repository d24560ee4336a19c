/// matrixos/host/services.hpp: services of other plugins and the plugin's own, abi/host.h mos_host_services_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/call.hpp>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// Services of other plugins, and the plugin's own.
class Services {
public:
  explicit Services(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_services_v1>(host, MOS_HOST_SERVICES_1)) {}

  void provide(std::string_view service, std::string_view instance, const void *table) const {
    check([&](mos_error *e) { return table_->provide(table_->self, toAbi(service), toAbi(instance), table, e); });
  }
  /// The same with the service's functions by their numbers. Throws Error(Unimplemented) with a host of minor 0.
  void provideForwarder(std::string_view service, std::string_view instance, mos_forwarder_v1 *forwarder,
                        std::uint32_t minor) const {
    if (!MOS_HAS(table_, mos_host_services_v1, provide_forwarder))
      throw Error(Status::Unimplemented, "this host takes no forwarders", "UNIMPLEMENTED");
    check([&](mos_error *e) {
      return table_->provide_forwarder(table_->self, toAbi(service), toAbi(instance), forwarder, minor, e);
    });
  }
  /// False when calls are still inside after 5 s, or when the plugin does not provide it.
  bool withdraw(std::string_view service, std::string_view instance) const noexcept {
    return table_->withdraw(table_->self, toAbi(service), toAbi(instance), nullptr) == MOS_OK;
  }
  /// The table, a proxy of the host. Throws Error(Unavailable) when nobody offers it now.
  template <typename Table>
  const Table *acquire(std::string_view service, std::string_view instance = {}) const {
    const void *out = nullptr;
    check([&](mos_error *e) { return table_->acquire(table_->self, toAbi(service), toAbi(instance), &out, e); });
    return static_cast<const Table *>(out);
  }
  /// The instances of a service that enabled plugins have in their descriptors, whether or not they run.
  std::vector<std::string> declared(std::string_view service) const {
    std::vector<std::string> instances;
    if (!MOS_HAS(table_, mos_host_services_v1, declared)) return instances;
    SinkOf sink([&](std::string_view instance) {
      instances.emplace_back(instance);
      return true;
    });
    check([&](mos_error *e) { return table_->declared(table_->self, toAbi(service), sink.abi(), e); });
    return instances;
  }
  /// The table is called no more, and what it watches ends; nothing with null.
  void release(const void *table) const noexcept {
    if (table != nullptr) table_->release(table_->self, table, nullptr);
  }
  /// acquire() for as long as the pointer lives. Throws as it does.
  template <typename Table>
  std::shared_ptr<const Table> lease(std::string_view service, std::string_view instance = {}) const {
    return {acquire<Table>(service, instance),
            [services = *this](const Table *table) noexcept { services.release(table); }};
  }

private:
  const mos_host_services_v1 *table_;
};

} // namespace v1
} // namespace matrixos
