#include "isolation/host/PluginLibrary.h"

#include <matrixos/status.hpp>

#include <dlfcn.h>
#include <link.h>

#include <string_view>

namespace matrixos::isolation::host {

const mos_descriptor_v1 *loadPlugin(const std::string &file) {
  void *library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char *why = ::dlerror();
    throw Error(Status::FailedPrecondition,
                file + " cannot be loaded: " + (why != nullptr ? why : "the loader does not say why"), "PLUGIN_LOAD");
  }
  void *symbol = ::dlsym(library, MOS_ENTRY_NAME);
  // The loader also finds the function in a library that the file links.
  Dl_info info{};
  link_map *from = nullptr;
  const bool own = symbol != nullptr &&
                   ::dladdr1(symbol, &info, reinterpret_cast<void **>(&from), RTLD_DL_LINKMAP) != 0 &&
                   from == static_cast<link_map *>(library);
  if (!own) {
    throw Error(Status::FailedPrecondition, file + " is no plugin: it does not export " MOS_ENTRY_NAME " (ABI major 1)",
                "PLUGIN_ENTRY");
  }
  return reinterpret_cast<mos_plugin_entry_fn>(symbol)();
}

void checkDescriptor(const mos_descriptor_v1 *descriptor, const std::string &id) {
  const bool fits = descriptor != nullptr && descriptor->magic == MOS_MAGIC && descriptor->abi_major == MOS_ABI_MAJOR &&
                    descriptor->struct_size >= MOS_DESCRIPTOR_LEAST_SIZE &&
                    descriptor->min_host_minor <= MOS_HOST_MINOR && descriptor->id != nullptr &&
                    std::string_view(descriptor->id) == id && descriptor->create != nullptr;
  if (fits) return;
  throw Error(Status::FailedPrecondition, "the plugin's file was exchanged for one that is not " + id, "PLUGIN_FILE");
}

} // namespace matrixos::isolation::host
