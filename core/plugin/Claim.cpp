#include "plugin/Claim.h"

#include "plugin/EventSchema.h"
#include "plugin/Manifest.h"

#include <matrixos/names.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace matrixos::plugin {

namespace {

constexpr std::size_t kLongestPattern = 128;

[[noreturn]] void refuse(const Claim &claim, const std::string &why) {
  throw Error(Status::FailedPrecondition,
              "the descriptor claims the " + claim.kind + " \"" + claim.pattern + "\": " + why, "PLUGIN_DESCRIPTOR");
}

bool consistsOf(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

bool beginsWith(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// A pattern in parts: all names, or paths, that begin so, or that name alone.
struct Extent {
  std::string stem;
  bool open = false;

  bool covers(const Extent &other) const {
    return open ? beginsWith(other.stem, stem) : !other.open && stem == other.stem;
  }
};

Extent extentOf(const Claim &claim) {
  // A path includes what is below it: "/hooks/" is where both end. Names of tables have no case.
  if (claim.kind == MOS_CLAIM_PATH) return {claim.pattern.back() == '/' ? claim.pattern : claim.pattern + "/", true};
  Extent extent{claim.kind == MOS_CLAIM_TABLE ? lower(claim.pattern) : claim.pattern, false};
  extent.open = extent.stem.back() == '*';
  if (extent.open) extent.stem.pop_back();
  return extent;
}

bool isLeft(const Claim &claim) {
  return claim.kind == MOS_CLAIM_PATH && claim.pattern.rfind('!', 0) == 0;
}

/// Whether the name is among those that the list leaves to others.
bool leaves(const std::vector<Claim> &list, const Claim &name) {
  return std::any_of(list.begin(), list.end(), [&](const Claim &claim) {
    return isLeft(claim) && !isLeft(name) && Claim{claim.kind, claim.pattern.substr(1), {}, {}}.covers(name);
  });
}

void checkName(const Claim &claim, std::string_view extra) {
  std::string_view stem = claim.pattern;
  if (!stem.empty() && stem.back() == '*') stem.remove_suffix(1);
  if (stem.empty()) refuse(claim, "it takes in the names of all");
  if (!consistsOf(stem, extra)) refuse(claim, "it has characters that such a name cannot have");
}

void checkTable(const Claim &claim) {
  checkName(claim, "_");
  const std::string key = lower(claim.pattern);
  if (beginsWith(key, "sqlite_") || beginsWith(key, "matrixos_") || beginsWith(key, "schema_migrations"))
    refuse(claim, "names that begin so belong to the platform");
}

void checkTopic(const Claim &claim) {
  checkName(claim, "._-");
  if (claim.schema.empty()) return;
  try {
    EventSchema::parse(claim.schema);
  } catch (const Error &e) {
    refuse(claim, std::string("its schema cannot be checked: ") + e.what());
  }
}

void checkPath(const Claim &claim) {
  const std::string path = isLeft(claim) ? claim.pattern.substr(1) : claim.pattern;
  if (path.rfind("//", 0) == 0) {
    if (!isHostLabel(path.substr(2)) || path == "//api") refuse(claim, "a site is //NAME, with the name of a host");
    return;
  }
  if (path.size() < 2 || path.front() != '/') refuse(claim, "a path begins with / and has a segment");
  if (!consistsOf(path, "/_.~:-") || path.find("//") != std::string::npos || path.find("/.") != std::string::npos)
    refuse(claim, "it is no path of plain segments");
  if (isHostPath(path)) refuse(claim, "paths that begin so belong to the platform");
}

void checkMetric(const Claim &claim) {
  checkName(claim, "_:");
  if (!beginsWith(claim.pattern, "matrixos_") || claim.pattern == "matrixos_*")
    refuse(claim, "metrics are called matrixos_…, and all of those are not one plugin's");
}

} // namespace

void Claim::check() const {
  if (pattern.size() > kLongestPattern) refuse(*this, "it is longer than 128 bytes");
  if (!schema.empty() && kind != MOS_CLAIM_TOPIC) refuse(*this, "only topics have a schema");
  if (kind == MOS_CLAIM_TABLE) return checkTable(*this);
  if (kind == MOS_CLAIM_TOPIC) return checkTopic(*this);
  if (kind == MOS_CLAIM_PATH) return checkPath(*this);
  if (kind == MOS_CLAIM_METRIC) return checkMetric(*this);
  refuse(*this, "there are no claims of that kind");
}

bool Claim::covers(const Claim &other) const {
  return kind == other.kind && extentOf(*this).covers(extentOf(other));
}

bool Claim::overlaps(const Claim &other) const {
  if (isLeft(*this) || isLeft(other)) return false;
  return covers(other) || other.covers(*this);
}

std::vector<Claim> claimsOf(const std::string &plugin, const std::vector<Claim> &all, const std::string &kind) {
  std::vector<Claim> own;
  std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const Claim &claim) { return claim.kind == kind; });
  if (!own.empty()) return own;
  if (kind == MOS_CLAIM_PATH) return {{kind, "/" + plugin, {}, {}}};
  if (kind == MOS_CLAIM_TOPIC) return {{kind, plugin + ".*", {}, {}}};
  std::string id = plugin;
  std::replace(id.begin(), id.end(), '-', '_');
  return {{kind, "matrixos_" + id + "_*", {}, {}}};
}

bool isHostPath(const std::string &path) {
  constexpr std::array<std::string_view, 8> kFirst{"config", "health", "metrics", "plugins",
                                                   "ready",  "reload", "routes",  "status"};
  const std::string_view first = std::string_view(path).substr(1, path.find('/', 1) - 1);
  return std::find(kFirst.begin(), kFirst.end(), first) != kFirst.end();
}

bool isClaimed(const std::vector<Claim> &list, const Claim &name) {
  return !leaves(list, name) &&
         std::any_of(list.begin(), list.end(), [&](const Claim &claim) { return claim.overlaps(name); });
}

std::map<std::string, std::string> claimConflicts(const std::vector<const Manifest *> &plugins) {
  std::map<std::string, std::string> conflicts;
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    for (std::size_t before = 0; before < i && conflicts.count(plugins[i]->id) == 0; ++before) {
      if (conflicts.count(plugins[before]->id) != 0) continue; // it does not run, and has nothing
      for (const Claim &mine : plugins[i]->claims) {
        const auto &others = plugins[before]->claims;
        const auto taken = std::find_if(others.begin(), others.end(), [&](const Claim &c) {
          return c.overlaps(mine) && !leaves(others, mine) && !leaves(plugins[i]->claims, c);
        });
        if (taken == others.end()) continue;
        conflicts.emplace(plugins[i]->id, "it claims the " + mine.kind + " " + mine.pattern + ", and " +
                                              plugins[before]->id + " has " + taken->pattern + "; enable one of them");
      }
    }
  }
  return conflicts;
}

} // namespace matrixos::plugin
