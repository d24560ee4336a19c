#include "ctl/OwnCommands.h"

#include "common/SystemError.h"
#include "config/IniReader.h"
#include "ctl/Commands.h"
#include "ctl/Completion.h"
#include "ctl/DaemonClient.h"
#include "ctl/ManPage.h"
#include "ctl/NewPlugin.h"
#include "ctl/Output.h"
#include "ctl/PluginCommands.h"
#include "ctl/SignInCommands.h"
#include "ctl/Table.h"
#include "ctl/Version.h"

#include <matrixos/file_descriptor.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>

namespace matrixos::ctl {

namespace {

int status(const Invocation &invocation) {
  const std::string body = DaemonClient(invocation).call("GET", "/status");
  const json::Object::Ptr object = json::parseObject(body);
  const bool ready = text(*object, "status") == "ready";
  if (printedJson(invocation, body)) return ready ? 0 : 1;
  const json::Object::Ptr platform = json::findObject(*object, "platform");
  std::cout << "matrixosd " << text(*object, "version") << ", pid " << text(*object, "pid") << ": "
            << text(*object, "status") << '\n';
  std::cout << "domain " << text(*platform, "domain") << ", data in " << text(*platform, "dataDir") << "\n\n";
  Table table({"PLUGIN", "STATE", "WHY"});
  const json::Object::Ptr plugins = json::findObject(*object, "plugins");
  for (const std::string &id : plugins->getNames()) {
    const json::Object::Ptr plugin = plugins->getObject(id);
    table.add({id, text(*plugin, "state"), text(*plugin, "reason")});
  }
  table.print(std::cout);
  const json::Array::Ptr others = json::findArray(*object, "notInEffect");
  for (unsigned i = 0; others && i < others->size(); ++i)
    std::cout << (i == 0 ? "\n" : "") << "not in effect: " << printable(others->getElement<std::string>(i)) << '\n';
  return ready ? 0 : 1;
}

/// What a program writes, on both outputs, and its exit code.
std::pair<std::string, int> captured(const std::vector<std::string> &words) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) common::throwErrno(errno, "making a pipe");
  const FileDescriptor from(ends[0]);
  FileDescriptor to(ends[1]);
  std::vector<char *> argv;
  for (const std::string &word : words)
    argv.push_back(const_cast<char *>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, to.get(), STDERR_FILENO);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw Failure(EX_UNAVAILABLE, "cannot run " + words[0] + ": " + common::errnoText(error));
  to.reset();
  std::string text;
  std::array<char, 4096> block{};
  for (ssize_t got = 0; (got = ::read(from.get(), block.data(), block.size())) > 0 || (got < 0 && errno == EINTR);)
    if (got > 0) text.append(block.data(), static_cast<std::size_t>(got));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return {text, WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE};
}

/// Only the daemon's program knows how to ask plugins for their keys, so it does the checking.
int configCheck(const Invocation &invocation) {
  std::error_code error;
  const auto daemon = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "matrixosd";
  std::string file = invocation.arguments.empty() ? invocation.get("config") : invocation.arguments[0];
  if (file.empty()) file = "/etc/matrixos/matrixosd.ini";
  const std::string argument = "--config=" + file;
  if (!invocation.has("json")) {
    std::cout.flush();
    ::execl(daemon.c_str(), daemon.c_str(), argument.c_str(), "--check", static_cast<char *>(nullptr));
    throw Failure(EX_UNAVAILABLE, "cannot run " + daemon.string() + ": " + common::errnoText(errno));
  }
  const auto [text, code] = captured({daemon.string(), argument, "--check"});
  json::Array::Ptr lines = new json::Array;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);)
    lines->add(line);
  std::cout << json::dump(json::object({{"valid", code == 0}, {"output", lines}})) << '\n';
  return code;
}

int configShow(const Invocation &invocation) {
  const std::string ini = DaemonClient(invocation).call("GET", "/config");
  if (!invocation.has("json")) {
    std::cout << ini;
    return 0;
  }
  config::RawConfig raw;
  config::readIni(ini, "the daemon's configuration", raw);
  json::Object::Ptr all = json::object({});
  for (const config::RawValue &value : raw.values) {
    if (!all->has(value.section)) all->set(value.section, json::object({}));
    all->getObject(value.section)->set(value.key, value.text);
  }
  std::cout << json::dump(*all) << '\n';
  return 0;
}

/// Of what has no JSON.
void refuseJson(const Invocation &invocation, const char *what) {
  if (invocation.has("json")) throw UsageError(std::string("--json does not go with ") + what);
}

int metrics(const Invocation &invocation) {
  refuseJson(invocation, "metrics, which are in Prometheus' text format");
  std::cout << DaemonClient(invocation).call("GET", "/metrics");
  return 0;
}

int reload(const Invocation &invocation) {
  const std::string body = DaemonClient(invocation).call("POST", "/reload");
  const json::Object::Ptr report = json::parseObject(body);
  const auto refused = json::findArray(*report, "refused");
  const int code = refused && refused->size() > 0 ? 1 : 0;
  if (printedJson(invocation, body)) return code;
  bool any = false;
  for (const auto &[key, title] : std::map<std::string, std::string>{
           {"applied", "applied"}, {"needsRestart", "takes a restart"}, {"refused", "refused"}}) {
    const auto list = json::findArray(*report, key);
    for (unsigned i = 0; list && i < list->size(); ++i) {
      std::cout << title << ": " << printable(list->getElement<std::string>(i)) << '\n';
      any = true;
    }
  }
  if (!any) std::cout << "nothing has changed\n";
  return code;
}

int routes(const Invocation &invocation) {
  const std::string body = DaemonClient(invocation).call("GET", "/routes");
  if (printedJson(invocation, body)) return 0;
  Table table({"METHOD", "PATH", "PERMISSION", "WHAT"});
  for (const auto &route : objects(json::parse(body))) {
    table.add({text(*route, "method"), text(*route, "path"), text(*route, "permission"), text(*route, "summary")});
  }
  table.print(std::cout);
  return 0;
}

} // namespace

std::vector<CommandSpec> ownCommands(Commands &all) {
  const OptionSpec quiet{"quiet", "", "print the names alone"};
  return {
      {{"status"}, {}, {}, "The daemon and the state of its plugins", status},
      {{"plugins", "list"}, {}, {quiet}, "All plugins and their state", pluginsList, {}, "ID"},
      {{"plugins", "info"},
       {"ID"},
       {},
       "One plugin: what it provides and needs, its file, its state and why",
       pluginsInfo},
      {{"plugins", "show"}, {"ID"}, {}, "The same as plugins info", pluginsInfo},
      {{"plugins", "doctor"},
       {"[ID|FILE…]"},
       {{"load", "", "also run its first code, confined, for what it says of itself, its needs and its keys"}},
       "Examines plugins, also before they are installed; without arguments all that are enabled",
       pluginsDoctor},
      {{"plugins", "enable"},
       {"ID"},
       {},
       "Starts a plugin, until the next restart of the daemon",
       [](const Invocation &invocation) { return pluginsSwitch(invocation, "enable", "enabled"); }},
      {{"plugins", "disable"},
       {"ID"},
       {},
       "Stops a plugin, until the next restart of the daemon",
       [](const Invocation &invocation) { return pluginsSwitch(invocation, "disable", "disabled"); }},
      {{"plugins", "reload"},
       {"ID"},
       {},
       "Replaces a running plugin by what its file is now, or restarts it",
       pluginsReload},
      {{"plugins", "new"},
       {"NAME"},
       {{"kind", "KIND", "what it is: " + pluginKindNames() + " (default runtime)"},
        {"dir", "DIR", "the folder to make (default NAME, or runtime-NAME)"}},
       "Starts a plugin of your own from one of the SDK's templates",
       pluginsNew},
      {{"config", "check"}, {"[FILE]"}, {}, "Validates a configuration, without a daemon", configCheck},
      {{"config", "show"}, {}, {}, "The effective configuration and where each value comes from", configShow},
      {{"reload"}, {}, {}, "Makes the daemon read its configuration again", reload},
      {{"routes"}, {}, {}, "The API's routes", routes},
      {{"metrics"}, {}, {}, "Prometheus metrics", metrics},
      {{"login"},
       {},
       {},
       "Signs you in at --url through a browser; later commands with that --url act as you. The sign-in is kept in "
       "~/.config/matrixos/credentials",
       login,
       {},
       {},
       "url"},
      {{"logout"}, {}, {}, "Signs you out at --url, or where you are signed in if that is one place", logout},
      {{"whoami"},
       {},
       {},
       "Shows as whom you are signed in, your roles and your instances; with --url, at that platform",
       whoami},
      {{"completion"},
       {"SHELL"},
       {},
       "A script for tab completion in bash, zsh or fish",
       [&all](const Invocation &invocation) {
         refuseJson(invocation, "a script");
         std::cout << completion(all.all(), invocation.arguments[0]);
         return 0;
       }},
      {{"help"},
       {"[COMMAND…]"},
       {{"man", "", "print the manual page instead, for man -l -"}},
       "Explains the program, a group of commands or one of them",
       [&all](const Invocation &invocation) {
         refuseJson(invocation, "a text");
         std::cout << (invocation.has("man") ? manPage(all.all(), kVersion) : all.help(invocation.arguments));
         return 0;
       }},
  };
}

} // namespace matrixos::ctl
