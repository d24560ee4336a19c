#pragma once

#include <matrixos/abi/plugin.h>
#include <matrixos/abi/service.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::common {

/// One function of a described service; see mos_function_v1.
struct ServiceFunction {
  // What each call reads stands together.
  std::uint32_t flags = 0;
  std::uint32_t minor = 0;
  mos_any_function entry = nullptr; ///< null for one that was described in another process, as is
  mos_status (*invoke)(mos_any_function function, void *self, void *const *args) = nullptr;
  std::string call;       ///< "create()", for messages
  std::string parameters; ///< their letters
  std::string name;       ///< "create"

  bool has(std::uint32_t flag) const noexcept { return (flags & flag) != 0; }
  /// Where the parameter with that letter stands; npos when there is none.
  std::size_t find(char letter) const noexcept { return parameters.find(letter); }
};

/// What is known of a service: its functions in the order of the table. Immutable, and never freed, since its texts
/// stand in metrics and crash notes.
struct ServiceDescription {
  std::string id;
  std::uint32_t minor = 0;
  std::vector<ServiceFunction> functions;

  /// Of a table that holds the functions of minor 0.
  std::uint32_t leastTableSize() const noexcept;
  /// Null when there is none of that name.
  const ServiceFunction *find(std::string_view name) const noexcept;
  /// Can run in a process of its own: all functions block, and so may wait for it.
  bool isIsolatable() const noexcept;
  /// The first function that cannot be called from another process, because only its types say what it is given, or
  /// because it keeps functions of its caller; null when there is none.
  const ServiceFunction *firstLocal() const noexcept;
  /// Was described by a plugin in this process, or by the SDK.
  bool isCallable() const noexcept { return functions.front().entry != nullptr; }

  /// Copies what a plugin says. Throws Error(FailedPrecondition) with the first thing that is wrong.
  static ServiceDescription read(const mos_service_v1 &service);
  /// The same of all that a descriptor describes; one of ABI 1.0 describes none.
  static std::vector<ServiceDescription> readAll(const mos_descriptor_v1 &descriptor);
};

/// One argument of a call, as its letter says.
union ServiceValue {
  const mos_call *call;
  mos_str text;
  std::int64_t integer;
  std::uint64_t number;
  std::uint32_t small;
  mos_sink sink;
  mos_buf *buffer;
};

/// One of the arguments that mos_forwarder_v1.call is given.
template <typename Type>
Type argumentAt(void *const *args, std::size_t at) noexcept {
  return *static_cast<const Type *>(args[at]);
}

/// The services that this process has heard of: those of the SDK, and what plugins describe. Thread-safe.
class ServiceCatalogue {
public:
  /// The one of the process; what it gave is valid for good.
  static ServiceCatalogue &instance();

  /// Null for a service that nobody described.
  const ServiceDescription *find(std::string_view id) const;
  /// Every process knows that one.
  bool isOfSdk(std::string_view id) const noexcept;
  /// Keeps it, unless one that says as much is there already. Throws Error(FailedPrecondition) when it says something
  /// else of a function that both know.
  void add(ServiceDescription description);

private:
  ServiceCatalogue();

  mutable std::mutex mutex_;
  std::deque<ServiceDescription> all_;
  std::map<std::string, const ServiceDescription *, std::less<>> best_;
};

/// struct_size, minor and self.
constexpr std::size_t kTableHead = 16;

/// A table of the service, as its user gets it, whose functions all call the forwarder; that has to outlive it.
std::vector<std::uint64_t> proxyTable(const ServiceDescription &service, mos_forwarder_v1 *forwarder);

/// The function of a table with that number; null when the table ends before it, or leaves it empty.
inline mos_any_function functionOf(const void *table, std::size_t number) noexcept {
  std::uint32_t size = 0;
  std::memcpy(&size, table, sizeof size); // struct_size comes first in every table
  const std::size_t at = kTableHead + number * sizeof(void *);
  if (size < at + sizeof(void *)) return nullptr;
  mos_any_function function = nullptr;
  std::memcpy(&function, static_cast<const char *>(table) + at, sizeof function);
  return function;
}

/// Which is the first of every function's arguments.
inline void *selfOf(const void *table) noexcept {
  void *self = nullptr;
  std::memcpy(&self, static_cast<const char *>(table) + 8, sizeof self);
  return self;
}

} // namespace matrixos::common
