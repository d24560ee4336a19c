#include "daemon/PluginFinder.h"

#include "isolation/IsolatedPlugin.h"
#include "isolation/PluginDescription.h"

#include <matrixos/status.hpp>

namespace matrixos::daemon {

namespace {

/// What the process has of the time that the host gives a plugin, so that the process is given up first, with a better
/// reason.
std::chrono::milliseconds partOf(std::chrono::milliseconds time) {
  return time * 9 / 10;
}

} // namespace

PluginFinder::PluginFinder(plugin::PluginFiles &files, std::filesystem::path program)
    : files_(files), program_(std::move(program)) {}

plugin::DiscoveredPlugin PluginFinder::find(const std::filesystem::path &folder, const std::string &id,
                                            const Options &options, bool anew) {
  if (options.isolated.count(id) == 0) {
    files_.probeWith({});
    if (options.probe) {
      files_.probeWith([this, patience = partOf(options.timeouts.start)](const plugin::FileFacts &copy) {
        isolation::PluginDescription::ask(program_, copy.copy, copy.path.string(), patience);
      });
    }
    return plugin::discoverPlugin(folder, id, files_, anew);
  }
  const auto there = isolated_.find(folder / id);
  if (!anew && there != isolated_.end() && !there->second.facts.changedOnDisk()) return there->second;
  plugin::DiscoveredPlugin found = findIsolated(folder, id, options.timeouts);
  if (found.manifest) isolated_.insert_or_assign(folder / id, found);
  return found;
}

plugin::DiscoveredPlugin PluginFinder::findIsolated(const std::filesystem::path &folder, const std::string &id,
                                                    const plugin::PluginTimeouts &timeouts) {
  plugin::DiscoveredPlugin found;
  found.id = id;
  found.path = folder / (id + ".so");
  try {
    found.facts = plugin::PluginFile::prepare(folder, id, files_);
    found.path = found.facts.path;
    isolation::ProcessSettings settings;
    settings.program = program_;
    settings.file = found.facts.copy;
    settings.startTimeout = partOf(timeouts.start);
    settings.stopTimeout = partOf(timeouts.stop);
    const auto description =
        isolation::PluginDescription::ask(program_, settings.file, found.path.string(), settings.startTimeout);
    plugin::Manifest manifest = plugin::Manifest::read(description->descriptor(), id);
    found.policy = plugin::KnownPolicies::isOne(manifest);
    const std::string whyNot = isolation::whyNotIsolated(*description->descriptor());
    if (!whyNot.empty()) {
      throw Error(Status::FailedPrecondition,
                  "[" + id + "] isolation=process is not possible: " + whyNot + "; take the key out",
                  "PLUGIN_ISOLATION");
    }
    manifest.isolated = true;
    manifest.create = isolation::isolated(settings, *description->descriptor());
    found.manifest = std::move(manifest);
  } catch (const Error &e) {
    found.error = e.what();
    found.starved = e.status() == Status::ResourceExhausted;
  }
  return found;
}

} // namespace matrixos::daemon
