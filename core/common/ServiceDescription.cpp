#include "common/ServiceDescription.h"

#include <matrixos/abi/audit.h>
#include <matrixos/abi/identity.h>
#include <matrixos/abi/lifecycle.h>
#include <matrixos/abi/orchestrator.h>
#include <matrixos/abi/policy.h>
#include <matrixos/abi/runtime.h>
#include <matrixos/status.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace matrixos::common {

namespace {

MOS_DESCRIBE_SERVICE(runtime, MOS_RUNTIME_1, MOS_RUNTIME_1_MINOR, MOS_FUNCTIONS_OF_RUNTIME_1)
MOS_DESCRIBE_SERVICE(orchestrator, MOS_ORCHESTRATOR_1, MOS_ORCHESTRATOR_1_MINOR, MOS_FUNCTIONS_OF_ORCHESTRATOR_1)
MOS_DESCRIBE_SERVICE(identity, MOS_IDENTITY_1, MOS_IDENTITY_1_MINOR, MOS_FUNCTIONS_OF_IDENTITY_1)
MOS_DESCRIBE_SERVICE(audit, MOS_AUDIT_1, MOS_AUDIT_1_MINOR, MOS_FUNCTIONS_OF_AUDIT_1)
MOS_DESCRIBE_SERVICE(policy, MOS_POLICY_1, MOS_POLICY_1_MINOR, MOS_FUNCTIONS_OF_POLICY_1)
MOS_DESCRIBE_SERVICE(lifecycle, MOS_LIFECYCLE_1, MOS_LIFECYCLE_1_MINOR, MOS_FUNCTIONS_OF_LIFECYCLE_1)

constexpr const mos_service_v1 *kOfSdk[] = {&runtime, &orchestrator, &lifecycle, &policy, &identity, &audit};

constexpr std::size_t kMostFunctions = 64;
constexpr std::size_t kMostText = 128;
constexpr std::string_view kLetters = "csjiuUkdbtwWpr";
constexpr std::string_view kLettersOfBlocking = "csjiuUkb";
constexpr std::string_view kLettersOfWatches = "sjiuUtwW"; // what can be kept and given to the next provider
constexpr std::string_view kOnce = "ckdbtwWp";             // at most one of each

[[noreturn]] void refuse(const std::string &service, const std::string &what) {
  throw Error(Status::FailedPrecondition, "the description of " + service + ": " + what, "PLUGIN_DESCRIPTOR");
}

std::string text(const char *value) {
  return value == nullptr ? std::string() : std::string(value, ::strnlen(value, kMostText));
}

void check(const std::string &service, const ServiceFunction &function) {
  const auto refuseIt = [&](const std::string &what) { refuse(service, function.call + " " + what); };
  if (function.name.empty()) refuse(service, "a function has no name");
  if ((function.entry == nullptr) != (function.invoke == nullptr)) refuseIt("has no entry, or no invoke");
  if (function.parameters.size() > MOS_MOST_PARAMETERS) refuseIt("has too many parameters");
  const auto checkLetters = [&](std::string_view allowed, const char *which) {
    const std::size_t other = function.parameters.find_first_not_of(allowed);
    if (other == std::string::npos) return;
    refuseIt(std::string("has a parameter '") + function.parameters[other] + "', and " + which + std::string(allowed));
  };
  checkLetters(kLetters, "there are ");
  if (function.has(MOS_FUNCTION_BLOCKS)) checkLetters(kLettersOfBlocking, "those of a function that blocks are of ");
  if (function.has(MOS_FUNCTION_WATCH)) checkLetters(kLettersOfWatches, "those of a watch are of ");
  for (const char letter : kOnce) {
    if (std::count(function.parameters.begin(), function.parameters.end(), letter) > 1)
      refuseIt(std::string("has more than one parameter '") + letter + "'");
  }
  const bool watcher = function.parameters.find_first_of("wW") != std::string::npos;
  if (watcher != function.has(MOS_FUNCTION_WATCH) || (watcher && function.find('t') == std::string::npos))
    refuseIt("has to be a WATCH with a watcher and a number t, or none of them");
  if (function.has(MOS_FUNCTION_UNWATCH) && function.parameters != "U")
    refuseIt("ends a watch, and has to have one parameter, U");
}

/// What both say of the functions that both have.
bool agree(const ServiceDescription &one, const ServiceDescription &other) {
  const std::size_t both = std::min(one.functions.size(), other.functions.size());
  return std::equal(one.functions.begin(), one.functions.begin() + static_cast<std::ptrdiff_t>(both),
                    other.functions.begin(), [](const ServiceFunction &a, const ServiceFunction &b) {
                      return a.name == b.name && a.parameters == b.parameters && a.flags == b.flags;
                    });
}

} // namespace

std::uint32_t ServiceDescription::leastTableSize() const noexcept {
  const auto first =
      std::find_if(functions.begin(), functions.end(), [](const ServiceFunction &f) { return f.minor != 0; });
  return static_cast<std::uint32_t>(kTableHead + sizeof(void *) * static_cast<std::size_t>(first - functions.begin()));
}

const ServiceFunction *ServiceDescription::find(std::string_view name) const noexcept {
  const auto at =
      std::find_if(functions.begin(), functions.end(), [&](const ServiceFunction &f) { return f.name == name; });
  return at == functions.end() ? nullptr : &*at;
}

bool ServiceDescription::isIsolatable() const noexcept {
  return std::all_of(functions.begin(), functions.end(),
                     [](const ServiceFunction &f) { return f.has(MOS_FUNCTION_BLOCKS); });
}

const ServiceFunction *ServiceDescription::firstLocal() const noexcept {
  const auto at = std::find_if(functions.begin(), functions.end(), [](const ServiceFunction &f) {
    return f.parameters.find_first_of("wWpr") != std::string::npos || f.has(MOS_FUNCTION_UNWATCH);
  });
  return at == functions.end() ? nullptr : &*at;
}

ServiceDescription ServiceDescription::read(const mos_service_v1 &service) {
  ServiceDescription read;
  read.id = text(service.id);
  if (service.struct_size < offsetof(mos_service_v1, reserved)) refuse(read.id, "it is too small");
  if (read.id.empty()) refuse("a service", "it has no id");
  if (service.functions_count == 0 || service.functions_count > kMostFunctions || service.functions == nullptr)
    refuse(read.id, "a service has 1 to " + std::to_string(kMostFunctions) + " functions");
  read.minor = service.minor;
  std::uint32_t minor = 0;
  for (std::uint32_t i = 0; i < service.functions_count; ++i) {
    const mos_function_v1 &from = service.functions[i];
    const std::string name = text(from.name);
    ServiceFunction function{from.flags, from.minor, from.entry, from.invoke, name + "()", text(from.parameters), name};
    check(read.id, function);
    if (function.minor < minor || function.minor > read.minor) refuse(read.id, function.call + " is of a wrong minor");
    minor = function.minor;
    if (read.find(function.name) != nullptr) refuse(read.id, function.call + " comes twice");
    read.functions.push_back(std::move(function));
  }
  return read;
}

std::vector<ServiceDescription> ServiceDescription::readAll(const mos_descriptor_v1 &descriptor) {
  constexpr std::uint32_t kMost = 256;
  std::vector<ServiceDescription> all;
  if (!MOS_HAS(&descriptor, mos_descriptor_v1, services_count)) return all;
  if (descriptor.services == nullptr || descriptor.services_count > kMost)
    refuse("its services", "they are null, or more than " + std::to_string(kMost));
  for (std::uint32_t i = 0; i < descriptor.services_count; ++i) {
    if (descriptor.services[i] == nullptr) refuse("its services", "one of them is null");
    all.push_back(read(*descriptor.services[i]));
  }
  return all;
}

ServiceCatalogue::ServiceCatalogue() {
  for (const mos_service_v1 *service : kOfSdk)
    add(ServiceDescription::read(*service));
}

ServiceCatalogue &ServiceCatalogue::instance() {
  static auto *catalogue = new ServiceCatalogue;
  return *catalogue;
}

const ServiceDescription *ServiceCatalogue::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto at = best_.find(id);
  return at == best_.end() ? nullptr : at->second;
}

bool ServiceCatalogue::isOfSdk(std::string_view id) const noexcept {
  return std::any_of(std::begin(kOfSdk), std::end(kOfSdk), [&](const mos_service_v1 *s) { return id == s->id; });
}

void ServiceCatalogue::add(ServiceDescription description) {
  const std::lock_guard lock(mutex_);
  const auto at = best_.find(description.id);
  if (at != best_.end() && !agree(*at->second, description)) {
    refuse(description.id, "it differs from the one that another plugin brought; a change is a new major");
  }
  const auto worth = [](const ServiceDescription &d) { return std::pair(d.isCallable(), d.functions.size()); };
  if (at != best_.end() && worth(*at->second) >= worth(description)) return;
  const ServiceDescription &kept = all_.emplace_back(std::move(description));
  best_[kept.id] = &kept;
}

std::vector<std::uint64_t> proxyTable(const ServiceDescription &service, mos_forwarder_v1 *forwarder) {
  const std::size_t size = kTableHead + service.functions.size() * sizeof(void *);
  std::vector<std::uint64_t> table{size | std::uint64_t{service.minor} << 32U, // little endian: struct_size, then minor
                                   reinterpret_cast<std::uint64_t>(forwarder)};
  for (const ServiceFunction &function : service.functions)
    table.push_back(reinterpret_cast<std::uint64_t>(function.entry));
  return table;
}

} // namespace matrixos::common
