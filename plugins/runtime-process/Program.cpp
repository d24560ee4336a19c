#include "Program.h"

#include <cctype>

namespace matrixos::processes {

namespace {

/// "gateway" → "PORT", "shell" → "SHELL_PORT", "my-metrics" → "MY_METRICS_PORT".
std::string portVariable(const std::string &name) {
  if (name == "gateway") return "PORT";
  std::string variable;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    variable += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return variable + "_PORT";
}

/// "http://proxy:8080/x" → "http://127.0.0.1:8080/x". There is no hosts file of the instance's own to do it.
void resolveAlias(std::string &value, const std::string &alias) {
  const std::string authority = "://" + alias;
  for (std::size_t at = value.find(authority); at != std::string::npos; at = value.find(authority, at + 3)) {
    const std::size_t end = at + authority.size();
    if (end == value.size() || value[end] == ':' || value[end] == '/') value.replace(at + 3, alias.size(), "127.0.0.1");
  }
}

} // namespace

std::string homeOf(const InstanceSpec &spec) {
  return spec.volumes.empty() ? "/" : spec.volumes.front().volume;
}

std::map<std::string, std::string> environmentOf(const InstanceSpec &spec) {
  std::map<std::string, std::string> env = spec.env;
  for (auto &[key, value] : env) {
    for (const std::string &alias : spec.hostAliases)
      resolveAlias(value, alias);
  }
  env["HOME"] = env["MATRIXOS_HOME"] = homeOf(spec);
  env["BIND"] = "127.0.0.1";
  for (const InstanceSpec::Port &port : spec.ports) {
    if (port.hostPort == 0) continue;
    env[portVariable(port.name)] = std::to_string(port.hostPort);
    env["BIND"] = port.hostAddress;
  }
  env.emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  env.emplace("LANG", "C.UTF-8");
  return env;
}

std::vector<std::string> commandOf(const InstanceSpec &spec, const Settings &settings) {
  if (spec.command.empty()) return {"/bin/sh", "-c", settings.command};
  if (settings.allowSpecCommand) return spec.command;
  throw Error(Status::PermissionDenied,
              "the spec of " + spec.name +
                  " brings a command of its own, which [runtime-process] allow_spec_command "
                  "forbids",
              "COMMAND_DENIED");
}

std::string firstProgram(const std::string &command) {
  std::string text = command;
  if (text.rfind("exec ", 0) == 0) text.erase(0, 5);
  const bool quoted = !text.empty() && (text.front() == '"' || text.front() == '\'');
  const std::string word = quoted ? text.substr(1, text.find(text.front(), 1) - 1) : text.substr(0, text.find(' '));
  for (const char c : word) {
    if (quoted && c == ' ') continue;
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '-' || c == '_';
    if (!plain) return {};
  }
  return word;
}

} // namespace matrixos::processes
