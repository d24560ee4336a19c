#include "CaseProcess.h"

#include "CallTrace.h"
#include "Child.h"
#include "HostCases.h"
#include "LoadedPlugin.h"
#include "RestartCases.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace matrixos::conformance {

namespace {

/// Sends what happens to the supervisor.
CaseObserver reporting() {
  CaseObserver progress;
  progress.begins = [](const Case &one) {
    CallTrace::clear();
    sendLine(Child::kSocket, nlohmann::json{{"begin", one.id}}.dump());
  };
  progress.ends = [](const CaseResult &result) {
    sendLine(Child::kSocket, "{\"result\": " + encode(result) + "}");
    // Its thread is still inside the plugin, which nothing more can be asked of in this process.
    if (result.abandoned) ::_exit(kAgain);
  };
  return progress;
}

std::vector<Case> chosen(const std::vector<Case> &all, const std::vector<std::string> &ids) {
  std::vector<Case> list;
  std::copy_if(all.begin(), all.end(), std::back_inserter(list),
               [&](const Case &one) { return std::find(ids.begin(), ids.end(), one.id) != ids.end(); });
  return list;
}

/// A table for cases that bring their own.
const mos_runtime_v1 *noTable() {
  static const mos_runtime_v1 none{};
  return &none;
}

void runInProcess(const Settings &settings, const LoadedPlugin &plugin, HostWork &work,
                  const std::vector<Case> &selected) {
  if (selected.empty()) return;
  PluginLife life(plugin, work, settings.config, settings.facts());
  life.create();
  life.start();
  run(life.runtime(settings.instance), settings.options, selected, reporting());
}

} // namespace

std::vector<Case> allCases(const Settings &settings) {
  std::vector<Case> all = hostCases(settings, nullptr, nullptr);
  for (const Case &one : cases())
    all.push_back(one);
  for (const Case &one : restartCases(settings, nullptr))
    all.push_back(one);
  return all;
}

int runCases(const Settings &settings) {
  std::vector<std::string> ids;
  std::string buffer;
  for (auto line = receiveLine(Child::kSocket, buffer); line && !line->empty();
       line = receiveLine(Child::kSocket, buffer))
    ids.push_back(*line);
  try {
    CallTrace::open(settings.traceFile());
    HostWork work;
    const LoadedPlugin plugin(settings.plugin);
    run(noTable(), settings.options, chosen(hostCases(settings, &plugin, &work), ids), reporting());
    runInProcess(settings, plugin, work, chosen(cases(), ids));
    runRestartCases(settings, chosen(restartCases(settings, nullptr), ids), reporting());
  } catch (const std::exception &e) {
    sendLine(Child::kSocket, nlohmann::json{{"broken", e.what()}}.dump());
    return 1;
  }
  return 0;
}

} // namespace matrixos::conformance
