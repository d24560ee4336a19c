/// matrixos/plugin.hpp: a plugin in C++, whole:
///
///     #include <matrixos/plugin.hpp>
///
///     class Hello : public matrixos::Plugin {
///     public:
///       explicit Hello(const mos_host_v1 *host) : log_(host), routes_(host) {}
///       void start() override {
///         routes_.add("GET", "/hello", "public", "Says hello",
///                     [](matrixos::Exchange &exchange) { exchange.json(200, R"({"hello":"world"})"); });
///         routes_.publish();
///         log_.info("ready to greet");
///       }
///       void stop() override {}
///
///     private:
///       matrixos::Log log_;
///       matrixos::Routes routes_;
///     };
///
///     MATRIXOS_PLUGIN(Hello, matrixos::Descriptor("hello", "Hello", "1.0.0")
///                                .vendor("Example").license("MIT").description("Greets whoever asks."))
///
/// It is compiled into the plugin: header-only, C++17, hidden visibility, in a versioned inline namespace. No
/// exception leaves it.
#pragma once

#include <matrixos/abi/plugin.h>
#include <matrixos/command.hpp>
#include <matrixos/host.hpp>
#include <matrixos/status.hpp>

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// Base of a plugin. Construct cheaply, without I/O; begin work in start(); end all of it in stop(). Calls come one at
/// a time on the host's lifecycle thread. What they throw fails the plugin and is shown to the operator.
class Plugin {
public:
  virtual ~Plugin() = default;
  virtual void start() = 0;
  virtual void stop() = 0;
  /// The configuration was reloaded; re-read the live keys.
  virtual void reconfigure() {}
};

/// Takes what a plugin's check() finds wrong with its section. A plugin that has
///
///     static void check(const matrixos::Config &config, matrixos::Problems &problems);
///
/// among its public members is asked before its configuration counts, see mos_descriptor_v1.check.
class Problems {
public:
  explicit Problems(mos_problems to) noexcept : to_(to) {}

  /// `key` may be empty; `text` ends the sentence that begins with it: "has no query; write one like …".
  void add(std::string_view key, std::string_view text) { to_.problem(to_.ctx, toAbi(key), toAbi(text)); }
  /// The same for what stops nothing: --check tells it.
  void warn(std::string_view key, std::string_view text) { add(key, "warning: " + std::string(text)); }

private:
  mos_problems to_;
};

/// Fluent maker of the ABI's descriptor. Everything given to it has to be static.
class Descriptor {
public:
  constexpr Descriptor(const char *id, const char *name, const char *version) {
    value_.struct_size = sizeof value_;
    value_.magic = MOS_MAGIC;
    value_.abi_major = MOS_ABI_MAJOR;
    value_.min_host_minor = 0;
    value_.id = id;
    value_.name = name;
    value_.version = version;
    value_.vendor = "";
    value_.license = "";
    value_.description = "";
  }
  constexpr Descriptor &vendor(const char *text) { return value_.vendor = text, *this; }
  constexpr Descriptor &license(const char *spdx) { return value_.license = spdx, *this; }
  constexpr Descriptor &description(const char *text) { return value_.description = text, *this; }
  template <std::uint32_t Count>
  constexpr Descriptor &provides(const mos_provide (&list)[Count]) {
    return set(value_.provides, value_.provides_count, list);
  }
  template <std::uint32_t Count>
  constexpr Descriptor &needs(const mos_need (&list)[Count]) {
    return set(value_.needs, value_.needs_count, list);
  }
  template <std::uint32_t Count>
  constexpr Descriptor &configKeys(const mos_config_key (&list)[Count]) {
    return set(value_.config_keys, value_.config_keys_count, list);
  }
  /// Services that the SDK does not know, described (abi/service.h).
  template <std::uint32_t Count>
  constexpr Descriptor &services(const mos_service_v1 *const (&list)[Count]) {
    return set(value_.services, value_.services_count, list);
  }
  /// Commands of matrixosctl (command.hpp).
  template <std::uint32_t Count>
  constexpr Descriptor &commands(const mos_command (&list)[Count]) {
    return set(value_.commands, value_.commands_count, list);
  }
  /// Names that are the plugin's own (abi/plugin.h).
  template <std::uint32_t Count>
  constexpr Descriptor &claims(const mos_claim (&list)[Count]) {
    return set(value_.claims, value_.claims_count, list);
  }
  constexpr Descriptor &check(mos_status (*function)(const mos_host_config_v1 *, mos_problems, mos_error *)) {
    return value_.check = function, *this;
  }
  constexpr Descriptor &create(mos_status (*function)(const mos_host_v1 *, mos_plugin_v1 *, mos_error *)) {
    return value_.create = function, *this;
  }
  constexpr const mos_descriptor_v1 &abi() const { return value_; }

private:
  template <typename Item, std::uint32_t Count>
  constexpr Descriptor &set(const Item *&items, std::uint32_t &count, const Item (&list)[Count]) {
    items = list;
    count = Count;
    return *this;
  }

  mos_descriptor_v1 value_{};
};

namespace detail {

/// create() of the ABI for a class derived from Plugin and constructible from `const mos_host_v1 *`.
template <typename Class>
mos_status createPlugin(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) noexcept {
  return guarded(error, [&] {
    auto made = std::make_unique<Class>(host);
    plugin->start = [](void *self, mos_error *e) { return guarded(e, [&] { static_cast<Class *>(self)->start(); }); };
    plugin->stop = [](void *self, mos_error *e) { return guarded(e, [&] { static_cast<Class *>(self)->stop(); }); };
    plugin->destroy = [](void *self) { delete static_cast<Class *>(self); };
    plugin->reconfigure = [](void *self, mos_error *e) {
      return guarded(e, [&] { static_cast<Class *>(self)->reconfigure(); });
    };
    plugin->self = made.release();
  });
}

template <typename Class, typename = void>
struct Check {
  static constexpr mos_status (*kFunction)(const mos_host_config_v1 *, mos_problems, mos_error *) = nullptr;
};
template <typename Class>
struct Check<Class, std::void_t<decltype(Class::check(std::declval<const Config &>(), std::declval<Problems &>()))>> {
  static mos_status kFunction(const mos_host_config_v1 *config, mos_problems problems, mos_error *error) noexcept {
    return guarded(error, [&] {
      Problems found(problems);
      Class::check(Config(config), found);
    });
  }
};

} // namespace detail
} // namespace v1
} // namespace matrixos

/// Exports the entry function of the plugin `Class`, described by a matrixos::Descriptor expression.
#define MATRIXOS_PLUGIN(Class, ...)                                                                                    \
  extern "C" MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {                                           \
    static const mos_descriptor_v1 descriptor = matrixos::Descriptor(__VA_ARGS__)                                      \
                                                    .create(&matrixos::detail::createPlugin<Class>)                    \
                                                    .check(matrixos::detail::Check<Class>::kFunction)                  \
                                                    .abi();                                                            \
    return &descriptor;                                                                                                \
  }
