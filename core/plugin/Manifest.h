#pragma once

#include <matrixos/abi/plugin.h>

#include <cstdint>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// What a descriptor says, validated and copied: the host does not read the plugin's memory again.
struct Manifest {
  struct Provide {
    std::string service, instance;
    std::uint32_t minor = 0;
  };
  struct Need {
    std::string service;
    std::uint32_t minMinor = 0;
    bool optional = false;
  };

  std::string id, name, version, vendor, license, description;
  std::uint32_t abiMajor = 0, minHostMinor = 0;
  std::vector<Provide> provides;
  std::vector<Need> needs;
  /// Borrowed from the plugin, whose code stays mapped.
  std::vector<mos_config_key> configKeys;
  mos_status (*create)(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error) = nullptr;

  bool providesService(const std::string &service, const std::string &instance) const;
  bool needsService(const std::string &service) const;

  /// Throws Error(FailedPrecondition) with the first thing that is wrong: magic, versions, sizes, texts, counts, an
  /// id other than `fileId`.
  static Manifest read(const mos_descriptor_v1 *descriptor, const std::string &fileId);
};

/// True for [a-z][a-z0-9-]*, at most 48 characters.
bool isPluginId(const std::string &text) noexcept;

} // namespace matrixos::plugin
