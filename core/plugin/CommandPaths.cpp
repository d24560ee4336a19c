#include "plugin/CommandPaths.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <string_view>
#include <utility>

namespace matrixos::plugin {

namespace {

using common::CommandDescription;

/// The paths that a command calls, as claims, each with its method.
std::vector<std::pair<std::string, Claim>> callsOf(const CommandDescription &command) {
  const auto path = [](const std::string &target) {
    return Claim{MOS_CLAIM_PATH, target.substr(0, target.find('?')), {}, {}};
  };
  std::vector<std::pair<std::string, Claim>> calls{{command.method, path(command.pathWith(false))}};
  if (command.hasBrackets()) calls.emplace_back(command.method, path(command.pathWith(true)));
  if (!command.progress.empty()) calls.emplace_back("GET", path(command.progress));
  return calls;
}

/// "/hooks/{ID}" as a route has it: "/hooks/:id".
Claim asRoute(Claim path) {
  bool inside = false;
  for (char &c : path.pattern) {
    if (c == '{' || c == '}') inside = c == '{';
    if (c == '{') c = ':';
    if (inside && c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  path.pattern.erase(std::remove(path.pattern.begin(), path.pattern.end(), '}'), path.pattern.end());
  return path;
}

bool owns(const Manifest &plugin, const Claim &path) {
  const auto claims = claimsOf(plugin.id, plugin.claims, MOS_CLAIM_PATH);
  return !isHostPath(path.pattern) &&
         std::any_of(claims.begin(), claims.end(), [&](const Claim &claim) { return claim.covers(asRoute(path)); });
}

/// Those that are neither the plugin's nor the platform's and only read.
std::vector<std::string> foreignPaths(const Manifest &plugin, const CommandDescription &command) {
  std::vector<std::string> foreign;
  for (const auto &[method, path] : callsOf(command)) {
    const bool reads = method == "GET" && isHostPath(path.pattern);
    if (!reads && !owns(plugin, path)) foreign.push_back(path.pattern);
  }
  return foreign;
}

std::string sentence(const CommandDescription &command, const std::string &path, const std::string &why) {
  return "command \"" + command.words + "\" calls " + path + ", which is " + why;
}

bool needs(const Manifest &plugin, const Manifest &other) {
  return std::any_of(plugin.needs.begin(), plugin.needs.end(),
                     [&](const Manifest::Need &need) { return other.meets(need); });
}

/// It can do without a plugin that is not among these.
bool mayMiss(const Manifest &plugin, const std::vector<const Manifest *> &plugins) {
  return std::any_of(plugin.needs.begin(), plugin.needs.end(), [&](const Manifest::Need &need) {
    return need.optional &&
           std::none_of(plugins.begin(), plugins.end(), [&](const Manifest *other) { return other->meets(need); });
  });
}

/// It begins with what the caller fills in, or with letters in disguise: nobody can tell whose it is.
bool isVeiled(const std::string &path) {
  return std::string_view(path).substr(0, path.find('/', 1)).find_first_of("{}%") != std::string_view::npos;
}

/// What is wrong with the path, as the end of a sentence; empty when nothing is.
std::string judge(const Manifest &plugin, const std::string &path, const std::vector<const Manifest *> &plugins) {
  if (isHostPath(path)) return "the platform's";
  const Claim claim{MOS_CLAIM_PATH, path, {}, {}};
  const auto owner = std::find_if(plugins.begin(), plugins.end(), [&](const Manifest *p) { return owns(*p, claim); });
  if (owner == plugins.end() && mayMiss(plugin, plugins) && !isVeiled(path)) return {};
  if (owner == plugins.end()) return "no path of its own, nor of a plugin that it needs";
  return needs(plugin, **owner) ? "" : "the plugin " + (*owner)->id + "'s, which it does not need";
}

} // namespace

void markForeignCommands(Manifest &manifest) {
  for (CommandDescription &command : manifest.commands) {
    const std::vector<std::string> paths = foreignPaths(manifest, command);
    command.foreign = !paths.empty();
    if (!command.foreign || !manifest.needs.empty()) continue;
    const bool claims = !manifest.claimed(MOS_CLAIM_PATH).empty();
    throw Error(Status::FailedPrecondition,
                "the " + sentence(command, paths.front(),
                                  isHostPath(paths.front()) ? "the platform's and can only be read"
                                  : claims                  ? "not among the paths that the plugin claims"
                                           : "not below /" + manifest.id + " nor claimed by the plugin"),
                "PLUGIN_DESCRIPTOR");
  }
}

std::map<std::string, std::string> commandConflicts(const std::vector<const Manifest *> &plugins) {
  std::map<std::string, std::string> conflicts;
  for (const Manifest *plugin : plugins) {
    for (const CommandDescription &command : plugin->commands) {
      if (!command.foreign) continue;
      for (const std::string &path : foreignPaths(*plugin, command)) {
        const std::string why = judge(*plugin, path, plugins);
        if (!why.empty()) conflicts.emplace(plugin->id, "its " + sentence(command, path, why));
      }
    }
  }
  return conflicts;
}

} // namespace matrixos::plugin
