#include "support/PluginUnderTest.h"

#include <matrixos/status.hpp>

#include <dlfcn.h>

#include <stdexcept>

namespace matrixos::test {

const mos_descriptor_v1 &loadPlugin(const std::string &file) {
  void *library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  const auto entry = reinterpret_cast<mos_plugin_entry_fn>(::dlsym(library, MOS_ENTRY_NAME));
  if (entry == nullptr) throw std::runtime_error(file + " has no " MOS_ENTRY_NAME);
  return *entry();
}

PluginUnderTest::PluginUnderTest(const mos_descriptor_v1 &plugin, const FakeHost &host) {
  plugin_.struct_size = sizeof plugin_;
  check([&](mos_error *error) { return plugin.create(host.abi(), &plugin_, error); });
}

} // namespace matrixos::test
