#pragma once

#include "plugin/ServicePoint.h"

#include <cstdint>
#include <memory>
#include <string>

namespace matrixos::plugin {

/// Who uses a service: the name for messages, and the gate that is entered while its callbacks run.
struct ServiceConsumer {
  std::string plugin;
  std::shared_ptr<CallGate> gate;
  const PluginTag *tag = nullptr; ///< named when one of its callbacks crashes
};

/// A table handed to one consumer, forwarding to whoever provides the service at that moment.
class ServiceProxy {
public:
  virtual ~ServiceProxy() = default;
  virtual const void *table() const noexcept = 0;
  /// Where its calls go.
  virtual const ServicePoint &point() const noexcept = 0;
  /// Somebody provides the service (again): what the consumer has running there is set up anew.
  virtual void providerArrived() {}
  /// The consumer has stopped: what it left running in the provider (watches) ends.
  virtual void sweep() {}
};

/// A proxy for a service of a known interface, or null. Defined in ServiceProxies.cpp.
std::unique_ptr<ServiceProxy> makeServiceProxy(ServicePoint &point, const ServiceConsumer &consumer);
/// Smallest table that a provider of the service may hand over; 0 for services the host does not know.
std::uint32_t knownTableSize(const std::string &service);

} // namespace matrixos::plugin
