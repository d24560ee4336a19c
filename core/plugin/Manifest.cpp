#include "plugin/Manifest.h"

#include "common/ServiceDescription.h"
#include "config/CoreSchema.h"
#include "plugin/CommandPaths.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <cstring>

namespace matrixos::plugin {

namespace {

constexpr std::size_t kMaxText = 512;
constexpr std::size_t kMaxSchema = std::size_t{64} << 10U;
constexpr std::uint32_t kMaxEntries = 256;

[[noreturn]] void refuse(const std::string &what) {
  throw Error(Status::FailedPrecondition, what, "PLUGIN_DESCRIPTOR");
}

std::string text(const char *value, const char *field, bool required, std::size_t most = kMaxText) {
  if (value == nullptr) {
    if (required) refuse(std::string("the descriptor has no ") + field);
    return {};
  }
  const std::size_t length = ::strnlen(value, most + 1);
  if (length > most)
    refuse(std::string("the descriptor's ") + field + " is longer than " + std::to_string(most) + " bytes");
  if (required && length == 0) refuse(std::string("the descriptor's ") + field + " is empty");
  return std::string(value, length);
}

template <typename Item>
void checkList(const Item *list, std::uint32_t count, const char *field) {
  if (count > kMaxEntries) refuse(std::string("the descriptor's ") + field + " has more than 256 entries");
  if (count > 0 && list == nullptr) refuse(std::string("the descriptor's ") + field + " is null but counts entries");
}

void checkVersions(const mos_descriptor_v1 &d) {
  if (d.magic != MOS_MAGIC) refuse("the descriptor's magic is wrong: this is no plugin, or it was built wrong");
  if (d.abi_major != MOS_ABI_MAJOR) {
    refuse("it was built for ABI major " + std::to_string(d.abi_major) + ", this daemon has " +
           std::to_string(MOS_ABI_MAJOR));
  }
  if (d.struct_size < MOS_DESCRIPTOR_LEAST_SIZE) {
    refuse("the descriptor is too small: " + std::to_string(d.struct_size) + " bytes where ABI 1 starts with " +
           std::to_string(MOS_DESCRIPTOR_LEAST_SIZE));
  }
  if (d.min_host_minor > MOS_HOST_MINOR) {
    refuse("it needs host minor " + std::to_string(d.min_host_minor) + ", this daemon has " +
           std::to_string(MOS_HOST_MINOR) + "; upgrade the daemon");
  }
}

std::vector<Claim> readClaims(const mos_descriptor_v1 &d) {
  std::vector<Claim> claims;
  if (!MOS_HAS(&d, mos_descriptor_v1, claims_count)) return claims;
  checkList(d.claims, d.claims_count, "claims");
  for (std::uint32_t i = 0; i < d.claims_count; ++i) {
    const mos_claim &claim = d.claims[i];
    claims.push_back({text(claim.kind, "claim's kind", true), text(claim.pattern, "claim's pattern", true),
                      text(claim.schema, "claim's schema", false, kMaxSchema),
                      text(claim.help, "claim's help", false)});
    claims.back().check();
  }
  return claims;
}

} // namespace

bool isPluginId(const std::string &id) noexcept {
  return !id.empty() && id.size() <= 48 && id[0] >= 'a' && id[0] <= 'z' &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::vector<mos_config_key> Manifest::allConfigKeys() const {
  std::vector<mos_config_key> keys = abiConfigKeys();
  const auto isIsolatable = [](const Provide &p) {
    const auto *service = common::ServiceCatalogue::instance().find(p.service);
    return service != nullptr && service->isIsolatable();
  };
  const auto isReachable = [](const Need &n) {
    const auto *service = common::ServiceCatalogue::instance().find(n.service);
    return service != nullptr && service->firstLocal() == nullptr;
  };
  const bool usesOnly = provides.empty() && !needs.empty() && std::all_of(needs.begin(), needs.end(), isReachable);
  if (usesOnly || std::any_of(provides.begin(), provides.end(), isIsolatable)) keys.push_back(config::isolationKey());
  return keys;
}

const Manifest::Provide *Manifest::findProvide(const std::string &service, const std::string &declared) const {
  const auto at = std::find_if(provides.begin(), provides.end(),
                               [&](const Provide &p) { return p.service == service && p.declared == declared; });
  return at == provides.end() ? nullptr : &*at;
}

bool Manifest::needsService(const std::string &service, const std::string &instance) const {
  return std::any_of(needs.begin(), needs.end(), [&](const Need &need) { return need.isMetBy(service, instance); });
}

bool Manifest::meets(const Need &need) const {
  return std::any_of(provides.begin(), provides.end(),
                     [&](const Provide &provide) { return need.isMetBy(provide.service, provide.instance); });
}

std::vector<std::string> Manifest::claimed(const std::string &kind) const {
  std::vector<std::string> patterns;
  for (const Claim &claim : claims) {
    if (claim.kind == kind) patterns.push_back(claim.pattern);
  }
  return patterns;
}

std::vector<mos_config_key> Manifest::abiConfigKeys() const {
  std::vector<mos_config_key> keys;
  keys.reserve(configKeys.size());
  for (const ConfigKey &k : configKeys) {
    keys.push_back(
        {k.key.c_str(), k.type.c_str(), k.defaultValue.c_str(), k.range.c_str(), k.help.c_str(), k.flags, 0});
  }
  return keys;
}

Manifest Manifest::read(const mos_descriptor_v1 *descriptor, const std::string &fileId) {
  if (descriptor == nullptr) refuse("the entry function returned no descriptor");
  const mos_descriptor_v1 &d = *descriptor;
  checkVersions(d);
  Manifest m;
  m.abiMajor = d.abi_major;
  m.minHostMinor = d.min_host_minor;
  m.id = text(d.id, "id", true);
  if (!isPluginId(m.id)) refuse("the descriptor's id \"" + m.id + "\" is not [a-z][a-z0-9-]*");
  if (m.id != fileId) refuse("the file is named " + fileId + ".so but the plugin calls itself \"" + m.id + "\"");
  m.name = text(d.name, "name", true);
  m.version = text(d.version, "version", true);
  m.vendor = text(d.vendor, "vendor", false);
  m.license = text(d.license, "license", false);
  m.description = text(d.description, "description", false);
  checkList(d.provides, d.provides_count, "provides");
  for (std::uint32_t i = 0; i < d.provides_count; ++i) {
    const std::string instance = text(d.provides[i].instance, "provides.instance", false);
    m.provides.push_back(
        {text(d.provides[i].service, "provides.service", true), instance, d.provides[i].minor, instance});
  }
  checkList(d.needs, d.needs_count, "needs");
  for (std::uint32_t i = 0; i < d.needs_count; ++i) {
    const std::string need = text(d.needs[i].service, "needs.service", true);
    const std::size_t colon = need.find(':');
    m.needs.push_back({need.substr(0, colon), d.needs[i].min_minor, (d.needs[i].flags & MOS_NEED_OPTIONAL) != 0,
                       colon == std::string::npos ? "" : need.substr(colon + 1)});
  }
  checkList(d.config_keys, d.config_keys_count, "config_keys");
  for (std::uint32_t i = 0; i < d.config_keys_count; ++i) {
    const mos_config_key &key = d.config_keys[i];
    m.configKeys.push_back({text(key.key, "config key", true), text(key.type, "config key's type", true),
                            text(key.default_value, "config key's default", false),
                            text(key.range, "config key's range", false), text(key.help, "config key's help", false),
                            key.flags});
  }
  m.claims = readClaims(d);
  m.checksConfig = MOS_HAS(&d, mos_descriptor_v1, check);
  for (common::ServiceDescription &service : common::ServiceDescription::readAll(d))
    common::ServiceCatalogue::instance().add(std::move(service));
  m.commands = common::CommandDescription::readAll(d);
  markForeignCommands(m);
  if (d.create == nullptr) refuse("the descriptor has no create function");
  m.create = d.create;
  return m;
}

} // namespace matrixos::plugin
