#include "../CheckedRuntime.h"
#include "CaseProcess.h"
#include "Child.h"
#include "LoadedPlugin.h"
#include "RestartCases.h"

#include <nlohmann/json.hpp>

#include <iostream>

namespace {

using namespace matrixos::conformance;

int identify(const Settings &settings) {
  try {
    const LoadedPlugin plugin(settings.plugin);
    const mos_descriptor_v1 &d = plugin.descriptor();
    sendLine(Child::kSocket, Json{{"id", d.id}, {"version", d.version == nullptr ? "" : d.version}}.dump());
  } catch (const std::exception &e) {
    sendLine(Child::kSocket, Json{{"broken", e.what()}}.dump());
  }
  return 0;
}

/// Removes what cases of this run left, such as those that were killed for hanging.
int clean(const Settings &settings) {
  HostWork work;
  const LoadedPlugin plugin(settings.plugin);
  PluginLife life(plugin, work, settings.config, settings.facts());
  life.create();
  life.start();
  CheckedRuntime runtime(life.runtime(settings.instance));
  const Answer left = runtime.list(Json{{"matrixos.conformance", settings.options.runId}}.dump(), {});
  for (const Json &item : left.items)
    runtime.remove(item.value("ref", ""), MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    Settings settings = readSettings(argc, argv);
    settings.options.usersDirectory = settings.workDirectory + "/users";
    if (settings.role == "cases") return runCases(settings);
    if (settings.role == "serve") return serve(settings);
    if (settings.role == "identify") return identify(settings);
    if (settings.role == "clean") return clean(settings);
    return supervise(std::move(settings));
  } catch (const matrixos::Error &e) { // wrong usage: nothing else throws it as far as here
    std::cerr << "matrixos-runtime-conformance: " << e.what() << "\nTry --help.\n";
    return 64;
  } catch (const std::exception &e) {
    std::cerr << "matrixos-runtime-conformance: " << e.what() << "\n";
    return 1;
  }
}
