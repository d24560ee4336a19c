#include "ctl/PluginCommands.h"

#include "ctl/DaemonClient.h"
#include "ctl/Output.h"
#include "ctl/PluginDoctor.h"
#include "ctl/Table.h"

#include <matrixos/text/time.hpp>

#include <unistd.h>

#include <iostream>

namespace matrixos::ctl {

namespace {

/// "label  text", with the texts of one label below each other.
class Sheet {
public:
  void add(const std::string &label, const std::string &line) {
    rows_.emplace_back(rows_.empty() || label != last_ ? label : "", line);
    last_ = label;
  }
  void print() const {
    for (const auto &[label, line] : rows_)
      std::cout << label << std::string(label.size() < kWidth ? kWidth - label.size() : 1, ' ') << printable(line)
                << '\n';
  }

private:
  static constexpr std::size_t kWidth = 13;
  std::vector<std::pair<std::string, std::string>> rows_;
  std::string last_;
};

std::string timeOf(const json::Object &object, const char *key) {
  const auto ms = object.optValue<Poco::Int64>(key, 0);
  if (ms == 0) return "never";
  const std::string time = formatTimeSeconds(ms);
  return time + " (" + ago(time) + ")";
}

std::string words(const json::Object &object, const char *key) {
  std::string all;
  const auto list = json::findArray(object, key);
  for (unsigned i = 0; list && i < list->size(); ++i)
    all += (i == 0 ? "" : ", ") + list->getElement<std::string>(i);
  return all;
}

void addServices(Sheet &sheet, const json::Object &plugin) {
  for (const auto &provide : objects(plugin.get("provides"))) {
    const std::string instance = text(*provide, "instance");
    sheet.add("provides", text(*provide, "service") + (instance.empty() ? "" : " \"" + instance + "\"") + ", minor " +
                              text(*provide, "minor"));
  }
  for (const auto &need : objects(plugin.get("needs"))) {
    const std::string providers = words(*need, "providedBy");
    const bool optional = need->optValue<bool>("optional", false);
    sheet.add("needs", text(*need, "service") + ", minor " + text(*need, "minMinor") + " or later" +
                           (optional ? ", optional" : "") + ": " +
                           (providers.empty() ? "nobody provides it" : "from " + providers));
  }
}

void addFile(Sheet &sheet, const json::Object &plugin) {
  const auto file = json::findObject(plugin, "file");
  if (!file) return;
  sheet.add("file", text(*file, "path"));
  if (text(*file, "sha256").empty()) return;
  sheet.add("file", "owner " + text(*file, "owner") + ", mode " + text(*file, "mode") + ", " + text(*file, "size") +
                        " bytes, modified " + timeOf(*file, "modifiedMs"));
  sheet.add("file", "sha256 " + text(*file, "sha256"));
  if (file->optValue<bool>("changedOnDisk", false)) {
    sheet.add("file", "has changed since it was loaded; matrixosctl plugins reload " + text(plugin, "id"));
  }
  sheet.add("runs from", text(*file, "copy"));
}

void addKeys(Sheet &sheet, const json::Object &plugin) {
  for (const auto &key : objects(plugin.get("configKeys"))) {
    const std::string fallback = text(*key, "default"), range = text(*key, "range");
    std::string line = text(*key, "key") + ": " + text(*key, "type") + (range.empty() ? "" : " " + range);
    line += key->optValue<bool>("required", false) ? ", must be set"
                                                   : ", default " + (fallback.empty() ? "empty" : fallback);
    if (key->optValue<bool>("live", false)) line += ", takes effect on reload";
    if (key->optValue<bool>("create", false)) line += " for new containers";
    sheet.add("config keys", line);
  }
}

void addCommands(Sheet &sheet, const json::Object &plugin) {
  const auto commands = json::findArray(plugin, "commands");
  for (unsigned i = 0; commands && i < commands->size(); ++i)
    sheet.add("commands", text(*commands->getObject(i), "words") + ": " + text(*commands->getObject(i), "help"));
}

/// By verdict; the second for terminals.
constexpr const char *kMarks[][2] = {{"ok     ", "✓"}, {"FAILED ", "✗"}, {"unknown", "–"}};

void print(const Diagnosis &diagnosis, bool terminal) {
  std::cout << printable(diagnosis.id) << " (" << printable(diagnosis.path) << ")\n";
  for (const Finding &finding : diagnosis.findings) {
    std::cout << "  " << kMarks[static_cast<std::size_t>(finding.verdict)][terminal ? 1 : 0] << ' ' << finding.check
              << std::string(finding.check.size() < 12 ? 12 - finding.check.size() : 1, ' ') << printable(finding.text);
    if (!finding.remedy.empty()) std::cout << (terminal ? " → " : " -> ") << printable(finding.remedy);
    std::cout << '\n';
  }
}

json::Object::Ptr toJson(const Diagnosis &diagnosis) {
  json::Array::Ptr checks = new json::Array;
  for (const Finding &finding : diagnosis.findings) {
    json::Object::Ptr check = json::object({{"check", finding.check},
                                            {"result", std::string(finding.verdict == Verdict::Good  ? "good"
                                                                   : finding.verdict == Verdict::Bad ? "bad"
                                                                                                     : "unknown")},
                                            {"text", finding.text}});
    if (!finding.remedy.empty()) check->set("remedy", finding.remedy);
    checks->add(check);
  }
  return json::object(
      {{"id", diagnosis.id}, {"path", diagnosis.path}, {"healthy", diagnosis.healthy()}, {"checks", checks}});
}

} // namespace

int pluginsList(const Invocation &invocation) {
  const std::string body = DaemonClient(invocation).call("GET", "/plugins");
  if (printedJson(invocation, body)) return 0;
  const auto list = objects(json::parse(body));
  if (invocation.has("quiet")) {
    for (const auto &plugin : list)
      std::cout << text(*plugin, "id") << '\n';
    return 0;
  }
  Table table({"PLUGIN", "STATE", "VERSION", "WHY"});
  for (const auto &plugin : list) {
    table.add({text(*plugin, "id"), text(*plugin, "state"), text(*plugin, "version"), text(*plugin, "reason")});
  }
  table.print(std::cout);
  return 0;
}

int pluginsInfo(const Invocation &invocation) {
  const std::string body =
      DaemonClient(invocation).call("GET", "/plugins/" + http::percentEncode(invocation.arguments[0]));
  if (printedJson(invocation, body)) return 0;
  const json::Object::Ptr plugin = json::parseObject(body);
  Sheet sheet;
  sheet.add("plugin", text(*plugin, "id") + " " + text(*plugin, "version"));
  if (const std::string name = text(*plugin, "name"); !name.empty()) {
    const std::string vendor = text(*plugin, "vendor"), license = text(*plugin, "license");
    sheet.add("name", name + (vendor.empty() ? "" : ", by " + vendor) + (license.empty() ? "" : ", " + license));
    sheet.add("about", text(*plugin, "description"));
  }
  sheet.add("state", text(*plugin, "state") + " since " + timeOf(*plugin, "sinceMs") + ", generation " +
                         text(*plugin, "generation"));
  if (const std::string why = text(*plugin, "reason"); !why.empty()) sheet.add("why", why);
  sheet.add("enabled", std::string(plugin->optValue<bool>("enabled", false) ? "yes" : "no") +
                           (plugin->optValue<bool>("required", false) ? ", and required" : ""));
  if (text(*plugin, "abiMajor") != "0") {
    sheet.add("ABI", "major " + text(*plugin, "abiMajor") + ", host minor " + text(*plugin, "minHostMinor") +
                         " or later; this daemon's host minor is " + text(*plugin, "hostMinor"));
  }
  addServices(sheet, *plugin);
  addCommands(sheet, *plugin);
  addFile(sheet, *plugin);
  addKeys(sheet, *plugin);
  sheet.print();
  return 0;
}

int pluginsSwitch(const Invocation &invocation, const std::string &verb, const std::string &done) {
  const std::string &id = invocation.arguments[0];
  const std::string body = DaemonClient(invocation).call("POST", "/plugins/" + http::percentEncode(id) + "/" + verb);
  const json::Object::Ptr now = json::parseObject(body);
  const std::string state = text(*now, "state"), why = text(*now, "reason");
  const bool well = state == "disabled" || state == "running" || state == "degraded";
  if (!printedJson(invocation, body)) {
    std::cout << id << ' ' << (well ? done : printable(state)) << (why.empty() ? "" : ": " + printable(why)) << '\n';
  }
  return well ? 0 : 1;
}

int pluginsReload(const Invocation &invocation) {
  const std::string &id = invocation.arguments[0];
  // Stopping and starting have their own limits, each up to plugins.stop_timeout and start_timeout.
  const std::string body =
      DaemonClient(invocation)
          .call("POST", "/plugins/" + http::percentEncode(id) + "/reload", {}, std::chrono::milliseconds{0});
  if (printedJson(invocation, body)) return 0;
  const json::Object::Ptr now = json::parseObject(body);
  const json::Object::Ptr before = json::findObject(*now, "previous");
  const std::string from = text(*before, "version"), to = text(*now, "version");
  const bool sameFile = text(*before, "sha256") == text(*json::findObject(*now, "file"), "sha256");
  std::cout << id << " reloaded: " << (from.empty() ? "" : printable(from) + " → ") << printable(to) << " (generation "
            << text(*before, "generation") << " → " << text(*now, "generation") << (sameFile ? ", the same file" : "")
            << "), " << text(*now, "state") << '\n';
  const auto changes = json::findArray(*now, "configChanges");
  for (unsigned i = 0; changes && i < changes->size(); ++i)
    std::cout << "applied: " << printable(changes->getElement<std::string>(i)) << '\n';
  if (const std::string left = text(*before, "leftBehind"); !left.empty()) {
    std::cout << "warning: the old generation did not end as it should and keeps its threads: " << printable(left)
              << '\n';
  }
  return 0;
}

int pluginsDoctor(const Invocation &invocation) {
  const std::vector<Diagnosis> diagnoses = diagnosePlugins(invocation, invocation.arguments);
  std::size_t sick = 0;
  for (const Diagnosis &diagnosis : diagnoses)
    sick += diagnosis.healthy() ? 0 : 1;
  const int code = sick > 0 ? 1 : 0;
  if (invocation.has("json")) {
    json::Array list;
    for (const Diagnosis &diagnosis : diagnoses)
      list.add(toJson(diagnosis));
    std::cout << json::dump(list) << '\n';
    return code;
  }
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  for (const Diagnosis &diagnosis : diagnoses)
    print(diagnosis, terminal);
  if (diagnoses.empty())
    std::cout << "no plugin is enabled\n";
  else if (sick == 0)
    std::cout << "all is well\n";
  else
    std::cout << sick << " of " << diagnoses.size() << (diagnoses.size() == 1 ? " plugin" : " plugins")
              << (sick == 1 ? " needs" : " need") << " attention\n";
  return code;
}

} // namespace matrixos::ctl
