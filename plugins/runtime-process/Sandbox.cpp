#include "Sandbox.h"

#include "Program.h"

#include <matrixos/process.hpp>

#include <filesystem>

namespace matrixos::processes {

namespace {

constexpr const char *kBubblewrap = "bwrap";
constexpr const char *kPath = "/usr/local/bin:/usr/bin:/bin";
constexpr std::chrono::seconds kTryTime{10};

void append(std::vector<std::string> &to, std::initializer_list<std::string> words) {
  to.insert(to.end(), words);
}

} // namespace

Sandbox::Sandbox(const Settings &settings) : settings_(settings) {
  if (settings.sandbox == "none") {
    problem_ = "[runtime-process] sandbox=none";
    return;
  }
  try {
    program_ = process::findProgram(kBubblewrap, kPath);
    problem_ = tryOut();
  } catch (const Error &e) {
    problem_ =
        e.status() == Status::FailedPrecondition ? "bubblewrap is not installed (apt install bubblewrap)" : e.what();
  }
  if (problem_.empty()) return;
  program_.clear();
  if (settings.sandbox != "bubblewrap") return;
  throw Error(Status::FailedPrecondition, "[runtime-process] sandbox=bubblewrap, but " + problem_, "NO_SANDBOX");
}

std::string Sandbox::tryOut() const {
  std::vector<std::string> command = arguments();
  append(command, {"--", "/bin/sh", "-c", "exit 42"});
  SpawnOptions options{command, {}};
  options.user = settings_.user;
  const ProcessId id = spawnProcess(options);
  const bool ended = process::waitForEnd(Call(nullptr), id, kTryTime);
  endProcess(Call(nullptr), id, std::chrono::milliseconds{0});
  if (reapProcess(id) == 42 && ended) return {};
  return "bubblewrap cannot make a sandbox here: user namespaces may be off, or this is a container";
}

std::vector<std::string> Sandbox::arguments() const {
  std::vector<std::string> words{
      program_, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL"};
  append(words, {"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"});
  for (const char *own : {"/tmp", "/var/tmp", "/run"}) {
    if (std::filesystem::is_directory(own)) append(words, {"--tmpfs", own});
  }
  for (const std::string &secret : {settings_.dataDir, std::string("/etc/matrixos")}) {
    if (!secret.empty() && std::filesystem::is_directory(secret)) append(words, {"--tmpfs", secret});
  }
  return words;
}

std::vector<std::string> Sandbox::wrap(const InstanceSpec &spec, std::vector<std::string> command,
                                       const std::string &program) const {
  if (!works()) return command;
  std::vector<std::string> words = arguments();
  // The homes of all lie side by side: none is seen but the instance's own.
  for (const InstanceSpec::Volume &volume : spec.volumes)
    append(words, {"--tmpfs", std::filesystem::path(volume.volume).parent_path().parent_path()});
  const std::string folder = std::filesystem::path(program).parent_path();
  for (const char *hidden : {"/tmp/", "/var/tmp/", "/run/"}) {
    if (program.rfind(hidden, 0) == 0) append(words, {"--ro-bind", folder, folder});
  }
  for (const InstanceSpec::Volume &volume : spec.volumes)
    append(words, {volume.readOnly ? "--ro-bind" : "--bind", volume.volume, volume.volume});
  append(words, {"--hostname", spec.name.substr(0, 63), "--chdir", homeOf(spec), "--"});
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

} // namespace matrixos::processes
