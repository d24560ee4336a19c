#pragma once

#include "common/CommandDescription.h"
#include "plugin/Claim.h"

#include <matrixos/abi/plugin.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// What a descriptor says, validated and copied: the host does not read the plugin's memory again, and the plugin need
/// not have been loaded into this process.
struct Manifest {
  struct Provide {
    std::string service, instance;
    std::uint32_t minor = 0;
    std::string declared = {}; ///< the instance in the descriptor; another one where the operator renamed it
  };
  struct Need {
    std::string service;
    std::uint32_t minMinor = 0;
    bool optional = false;
    std::string instance = {}; ///< empty: any

    bool isMetBy(const std::string &provided, const std::string &as) const {
      return provided == service && (instance.empty() || as == instance);
    }
    /// As the descriptor has it: "matrixos.lifecycle/1:base".
    std::string text() const { return instance.empty() ? service : service + ":" + instance; }
  };
  /// See mos_config_key; an absent text is empty.
  struct ConfigKey {
    std::string key, type, defaultValue, range, help;
    std::uint32_t flags = 0;
  };

  std::string id, name, version, vendor, license, description;
  std::uint32_t abiMajor = 0, minHostMinor = 0;
  std::vector<Provide> provides;
  std::vector<Need> needs;
  std::vector<ConfigKey> configKeys;
  std::vector<common::CommandDescription> commands; ///< of matrixosctl
  std::vector<Claim> claims;
  bool checksConfig = false; ///< mos_descriptor_v1.check is there
  bool isolated = false;     ///< create() stands for a plugin in another process
  /// As mos_descriptor_v1.create: the plugin's own, or one that stands for a plugin outside this process.
  std::function<mos_status(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *error)> create;

  /// The config keys in the form of the ABI, borrowed from this manifest.
  std::vector<mos_config_key> abiConfigKeys() const;
  /// The same, and the keys that the host itself adds to the plugin's section.
  std::vector<mos_config_key> allConfigKeys() const;
  /// Null when it does not; `instance` as the descriptor has it.
  const Provide *findProvide(const std::string &service, const std::string &declared) const;
  /// It says that it uses that service, and may have that instance; any when `instance` is empty.
  bool needsService(const std::string &service, const std::string &instance) const;
  /// It provides what the need asks for.
  bool meets(const Need &need) const;
  /// The patterns of this kind that it claims.
  std::vector<std::string> claimed(const std::string &kind) const;

  /// Throws Error(FailedPrecondition) with the first thing that is wrong: magic, versions, sizes, texts, counts, an
  /// id other than `fileId`. The services that it describes are in the common::ServiceCatalogue then.
  static Manifest read(const mos_descriptor_v1 *descriptor, const std::string &fileId);
};

/// True for [a-z][a-z0-9-]*, at most 48 characters.
bool isPluginId(const std::string &text) noexcept;

} // namespace matrixos::plugin
