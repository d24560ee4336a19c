#include "plugin/NameOwners.h"

#include "plugin/PluginFaults.h"

#include <matrixos/abi/plugin.h>
#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace matrixos::plugin {

namespace {

bool isSite(const Claim &name) {
  return name.kind == MOS_CLAIM_PATH && name.pattern.rfind("//", 0) == 0;
}

bool isHosts(const Claim &name) {
  constexpr std::array<const char *, 3> kTopics{"service.*", "events.*", "platform.*"};
  constexpr std::array<const char *, 9> kMetrics{"matrixos_api_*",      "matrixos_build_*",    "matrixos_config_*",
                                                 "matrixos_data_dir_*", "matrixos_database_*", "matrixos_outbox_*",
                                                 "matrixos_plugin_*",   "matrixos_process_*",  "matrixos_service_*"};
  const auto is = [&](const char *pattern) { return Claim{name.kind, pattern, {}, {}}.overlaps(name); };
  if (name.kind == MOS_CLAIM_TOPIC) return std::any_of(kTopics.begin(), kTopics.end(), is);
  // What is counted of a plugin in a process of its own goes through its own host.
  const bool ofItsProcess = name.pattern == "matrixos_plugin_process_restarts_total" ||
                            name.pattern == "matrixos_plugin_calls_repeated_total";
  return name.kind == MOS_CLAIM_METRIC && !ofItsProcess && std::any_of(kMetrics.begin(), kMetrics.end(), is);
}

} // namespace

bool NameOwners::expect(std::map<std::string, std::vector<Claim>> claims) {
  std::map<std::string, std::vector<Described>> schemas;
  for (const auto &[plugin, names] : claims) {
    for (const Claim &claim : names)
      if (!claim.schema.empty()) schemas[plugin].push_back({claim, EventSchema::parse(claim.schema)});
  }
  const std::lock_guard lock(mutex_);
  claims_.swap(claims);
  schemas_.swap(schemas);
  return claims != claims_;
}

std::vector<std::string> NameOwners::sites() const {
  std::set<std::string> sites;
  const std::lock_guard lock(mutex_);
  for (const auto &[id, claims] : claims_)
    for (const Claim &claim : claims)
      if (isSite(claim)) sites.insert(claim.pattern.substr(2));
  return {sites.begin(), sites.end()};
}

void NameOwners::checkEvent(const std::string &plugin, const std::string &topic, std::string_view json) const {
  std::vector<EventSchema> schemas;
  {
    const std::lock_guard lock(mutex_);
    const auto own = schemas_.find(plugin);
    if (own == schemas_.end()) return;
    for (const Described &described : own->second)
      if (described.topic.overlaps({MOS_CLAIM_TOPIC, topic, {}, {}})) schemas.push_back(described.schema);
  }
  for (const EventSchema &schema : schemas)
    schema.check(json);
}

void NameOwners::check(const std::string &plugin, const std::string &kind, const std::string &name) const {
  if (name.empty()) return; // refused by whoever keeps such names
  const std::string why = whyNot(plugin, {kind, name, {}, {}});
  if (why.empty()) return;
  const std::string what = "the " + kind + " " + name + " " + why;
  PluginFaults::instance().report(plugin, PluginFault::Trespass, "it was refused what is not its own: " + what);
  throw Error(Status::PermissionDenied, what, "NAME_OWNED");
}

std::string NameOwners::whyNot(const std::string &plugin, const Claim &name) const {
  if (isHosts(name)) return "is the host's";
  const std::lock_guard lock(mutex_);
  const auto own = claims_.find(plugin);
  static const std::vector<Claim> kNone;
  const std::vector<Claim> &mine = own == claims_.end() ? kNone : own->second;
  const std::vector<Claim> names = claimsOf(plugin, mine, name.kind);
  const bool covered = std::any_of(names.begin(), names.end(), [&](const Claim &claim) { return claim.covers(name); });
  // What lies above its own is not its own.
  if (covered && isClaimed(names, name)) return {};
  for (const auto &[id, claims] : claims_)
    if (id != plugin && isClaimed(claimsOf(id, claims, name.kind), name)) return "is the plugin " + id + "'s";
  const bool says = std::any_of(mine.begin(), mine.end(), [&](const Claim &claim) { return claim.kind == name.kind; });
  return says || isSite(name) ? "is not among those that the plugin claims" : "";
}

} // namespace matrixos::plugin
