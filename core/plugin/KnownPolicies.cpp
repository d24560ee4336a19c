#include "plugin/KnownPolicies.h"

#include "common/AtomicFile.h"
#include "common/Ownership.h"
#include "log/Log.h"

#include <matrixos/abi/policy.h>

#include <algorithm>
#include <system_error>

namespace matrixos::plugin {

namespace fs = std::filesystem;

namespace {

/// Ours, which is one also where it never ran here.
constexpr const char *kIdentity = "identity";

} // namespace

bool KnownPolicies::isOne(const Manifest &manifest) noexcept {
  return std::any_of(manifest.provides.begin(), manifest.provides.end(),
                     [](const auto &provide) { return provide.service == MOS_POLICY_1; });
}

void KnownPolicies::note(const std::string &id, bool isPolicy) const noexcept {
  try {
    const fs::path file = folder_ / id;
    if (isPolicy == fs::exists(file)) return;
    if (!isPolicy) {
      fs::remove(file);
      return;
    }
    common::makeOwnFolder(folder_, 0700, "the folder of known policies");
    common::writeFileAtomically(file, "");
  } catch (const std::exception &e) {
    static const log::Log log("core.plugin");
    log.error("whether the plugin " + id + " is a policy was not noted: " + e.what(), {{"plugin", id}});
  }
}

bool KnownPolicies::has(const std::string &id) const noexcept {
  if (!isPluginId(id)) return false; // and no name of a file
  std::error_code error;
  return id == kIdentity || fs::exists(folder_ / id, error) || error;
}

} // namespace matrixos::plugin
