#include "Settings.h"

#include "PluginConfig.h"

#include <matrixos/status.hpp>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>

namespace matrixos::conformance {

namespace {

constexpr const char *kHelp = R"(matrixos-runtime-conformance PLUGIN.so [options]

Loads a runtime plugin as the daemon does and judges it by what the contract (matrixos/abi/runtime.h) promises. Prints a
line per case and, for what fails, what was expected, what came, which rule that breaks, and the calls that led there.
Everything it makes is named mosconf-… and is removed at the end.

  --config FILE      INI; [<plugin's id>] configures the plugin, [conformance] the run (keys below)
  --set S.K=VALUE    one value on top of the configuration; may be repeated
  --case PATTERN     only these cases or groups: --case 'list.*,errors'   (--list shows them)
  --core             only the core part, which every runtime passes, whatever it is made of
  --json FILE        the report as JSON as well; - for standard output, the readable one then goes to standard error
  --image NAME       an image that is there and whose instance runs until stopped       (default matrixos-demo:latest)
  --instance NAME    which service of a plugin that provides several runtimes
  --timeout TIME     how long one case may take, as 60s                                 (default 60s)
  --keep             do not remove what the cases made
  --verbose          show the plugin's log
  --list             print the cases and what each shows, run none
  --help, --version

Keys of [conformance]: image, command, env (K=V, comma-separated), port, exit_command, exit_code, stubborn_command,
pull_image, missing_image, network, real_processes, instances, threads, call_timeout, promptness, case_timeout,
instance, durable (auto, yes, no: whether instances outlive the plugin's process; auto: unless isolation is simulated).
Commands are words separated by blanks.

A container runtime needs an image that runs until it is stopped; a process runtime needs `command`:
  matrixos-runtime-conformance runtime-docker.so --image matrixos-demo:latest
  matrixos-runtime-conformance ./my-runtime.so --set 'conformance.command=/bin/sleep 1000' --core

Exit status: 0 when nothing failed, 1 when something did or the plugin cannot be used, 64 for wrong usage.
)";

bool yes(const std::string &text) {
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  throw std::runtime_error("\"" + text + "\" is neither true nor false");
}

std::map<std::string, std::string> pairsOf(const std::string &text) {
  std::map<std::string, std::string> pairs;
  for (const std::string &word : splitList(text)) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("\"" + word + "\" is not K=V");
    pairs[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return pairs;
}

/// What each key of [conformance] does.
const std::map<std::string, std::function<void(Settings &, const std::string &)>> &keys() {
  using S = Settings;
  using T = const std::string &;
  static const std::map<std::string, std::function<void(S &, T)>> all{
      {"image", [](S &s, T v) { s.options.image = v; }},
      {"command", [](S &s, T v) { s.options.command = splitList(v, ' '); }},
      {"exit_command", [](S &s, T v) { s.options.exitCommand = splitList(v, ' '); }},
      {"stubborn_command", [](S &s, T v) { s.options.stubbornCommand = splitList(v, ' '); }},
      {"exit_code", [](S &s, T v) { s.options.exitCode = std::stoi(v); }},
      {"env", [](S &s, T v) { s.options.env = pairsOf(v); }},
      {"port", [](S &s, T v) { s.options.port = std::stoi(v); }},
      {"network", [](S &s, T v) { s.options.network = v; }},
      {"pull_image", [](S &s, T v) { s.options.pullImage = v; }},
      {"missing_image", [](S &s, T v) { s.options.missingImage = v; }},
      {"real_processes", [](S &s, T v) { s.options.realProcesses = yes(v); }},
      {"instances", [](S &s, T v) { s.options.instances = std::stoi(v); }},
      {"threads", [](S &s, T v) { s.options.threads = std::stoi(v); }},
      {"call_timeout", [](S &s, T v) { s.options.callTimeout = std::chrono::milliseconds{parseDuration(v)}; }},
      {"promptness", [](S &s, T v) { s.options.promptness = std::chrono::milliseconds{parseDuration(v)}; }},
      {"case_timeout", [](S &s, T v) { s.caseTimeout = std::chrono::milliseconds{parseDuration(v)}; }},
      {"instance", [](S &s, T v) { s.instance = v; }},
      {"durable", [](S &s, T v) { s.durable = v; }},
  };
  return all;
}

Error wrongUsage(const std::string &message) {
  return Error(Status::InvalidArgument, message);
}

void applySection(Settings &settings) {
  for (const auto &[key, value] : settings.config.section("conformance")) {
    const auto found = keys().find(key);
    if (found == keys().end()) throw wrongUsage("[conformance] has no key \"" + key + "\"; --help lists them");
    try {
      found->second(settings, value);
    } catch (const std::exception &e) {
      throw wrongUsage("[conformance] " + key + "=" + value + ": " + e.what());
    }
  }
}

/// What each option with a value does.
const std::map<std::string, std::function<void(Settings &, const std::string &)>> &valueOptions() {
  using S = Settings;
  using T = const std::string &;
  static const std::map<std::string, std::function<void(S &, T)>> all{
      {"--config", [](S &s, T v) { s.configFile = v; }},
      {"--set", [](S &s, T v) { s.overrides.push_back(v); }},
      {"--case", [](S &s, T v) { s.pattern = v; }},
      {"--json", [](S &s, T v) { s.jsonFile = v; }},
      {"--image", [](S &s, T v) { s.overrides.push_back("conformance.image=" + v); }},
      {"--instance", [](S &s, T v) { s.overrides.push_back("conformance.instance=" + v); }},
      {"--timeout", [](S &s, T v) { s.overrides.push_back("conformance.case_timeout=" + v); }},
      // From here on: between the processes of one run.
      {"--role", [](S &s, T v) { s.role = v; }},
      {"--run-id", [](S &s, T v) { s.options.runId = v; }},
      {"--work", [](S &s, T v) { s.workDirectory = v; }},
  };
  return all;
}

const std::map<std::string, bool Settings::*> &flags() {
  static const std::map<std::string, bool Settings::*> all{
      {"--core", &Settings::coreOnly}, {"--list", &Settings::listOnly}, {"--verbose", &Settings::verbose}};
  return all;
}

void readArguments(Settings &settings, int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    std::string value;
    const std::size_t equals = word.rfind("--", 0) == 0 ? word.find('=') : std::string::npos;
    const bool attached = equals != std::string::npos;
    if (attached) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    if (word == "--help" || word == "-h") {
      std::cout << kHelp;
      std::exit(0);
    } else if (word == "--version") {
      std::cout << "matrixos-runtime-conformance, judging " MOS_RUNTIME_1 " minor " << MOS_RUNTIME_1_MINOR << "\n";
      std::exit(0);
    } else if (const auto flag = flags().find(word); flag != flags().end()) {
      settings.*(flag->second) = true;
    } else if (word == "--keep") {
      settings.options.keep = true;
    } else if (const auto option = valueOptions().find(word); option != valueOptions().end()) {
      if (!attached && ++i == argc) throw wrongUsage(word + " needs a value");
      option->second(settings, attached ? value : argv[i]);
    } else if (word.rfind('-', 0) == 0) {
      throw wrongUsage("there is no option " + word);
    } else if (settings.plugin.empty()) {
      settings.plugin = word;
    } else {
      throw wrongUsage("one plugin at a time: " + settings.plugin + ", " + word);
    }
  }
}

} // namespace

Settings readSettings(int argc, char **argv) {
  Settings settings;
  readArguments(settings, argc, argv);
  if (settings.plugin.empty() && !settings.listOnly) throw wrongUsage("name a plugin's file");
  try {
    if (!settings.configFile.empty()) settings.config = IniFile::read(settings.configFile);
    for (const std::string &assignment : settings.overrides)
      settings.config.set(assignment);
  } catch (const std::runtime_error &e) {
    throw wrongUsage(e.what());
  }
  applySection(settings);
  if (settings.durable != "auto" && settings.durable != "yes" && settings.durable != "no")
    throw wrongUsage("[conformance] durable=" + settings.durable + ": it is auto, yes or no");
  return settings;
}

std::vector<std::string> argumentsOf(const Settings &settings, const std::string &role) {
  std::vector<std::string> arguments{
      settings.plugin, "--role", role, "--run-id", settings.options.runId, "--work", settings.workDirectory};
  if (!settings.configFile.empty()) arguments.insert(arguments.end(), {"--config", settings.configFile});
  for (const std::string &assignment : settings.overrides)
    arguments.insert(arguments.end(), {"--set", assignment});
  if (settings.verbose) arguments.emplace_back("--verbose");
  if (settings.options.keep) arguments.emplace_back("--keep");
  return arguments;
}

} // namespace matrixos::conformance
