#pragma once

#include "isolation/IsolatedPlugin.h"
#include "support/FakeHost.h"

#include <matrixos/call.hpp>
#include <matrixos/json.hpp>
#include <matrixos/runtime.hpp>

#include <chrono>
#include <filesystem>
#include <string>

namespace matrixos::test {

inline std::filesystem::path buildFolder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

inline isolation::ProcessSettings settingsFor(const std::string &id) {
  isolation::ProcessSettings settings;
  settings.id = id;
  settings.program = buildFolder() / "bin/matrixos-plugin-host";
  settings.file = buildFolder() / "test-plugins" / (id + ".so");
  settings.firstBackoff = std::chrono::milliseconds{20};
  return settings;
}

/// A plugin in its own process that provides the runtime "fake", and the host that it is given.
class Isolated {
public:
  explicit Isolated(const isolation::ProcessSettings &settings) {
    static constexpr mos_provide kProvides[] = {{MOS_RUNTIME_1, "fake", 0, 0}};
    mos_descriptor_v1 descriptor{};
    descriptor.id = settings.id.c_str();
    descriptor.provides = kProvides;
    descriptor.provides_count = 1;
    plugin_.struct_size = sizeof plugin_;
    for (const char *key : {"start", "stop", "word"})
      host.set(key, "");
    const isolation::CreateFunction create = isolation::isolated(settings, descriptor);
    check([&](mos_error *e) { return create(host.abi(), &plugin_, e); });
  }
  ~Isolated() {
    if (running_) plugin_.stop(plugin_.self, nullptr);
    plugin_.destroy(plugin_.self);
  }
  void start() {
    check([&](mos_error *e) { return plugin_.start(plugin_.self, e); });
    running_ = true;
  }
  void stop() {
    running_ = false;
    check([&](mos_error *e) { return plugin_.stop(plugin_.self, e); });
  }
  void reconfigure() {
    check([&](mos_error *e) { return plugin_.reconfigure(plugin_.self, e); });
  }
  RuntimeClient runtime() const { return RuntimeClient(host.provided<mos_runtime_v1>(MOS_RUNTIME_1, "fake")); }
  pid_t pid() const {
    const CallScope call(std::chrono::seconds{30});
    return static_cast<pid_t>(json::getInt(*json::parseObject(runtime().inspect(call.abi(), "x")), "pid", 0));
  }

  FakeHost host;

private:
  mos_plugin_v1 plugin_{};
  bool running_ = false;
};

inline bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace matrixos::test
