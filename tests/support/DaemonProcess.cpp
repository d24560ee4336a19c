#include "support/DaemonProcess.h"

#include "support/Wait.h"

#include <matrixos/json.hpp>
#include <matrixos/ulid.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>
#include <stdexcept>

namespace matrixos::test {

namespace fs = std::filesystem;

fs::path buildDir() {
  return fs::read_symlink("/proc/self/exe").parent_path().parent_path();
}

Poco::JSON::Object::Ptr parseObject(const std::string &text) {
  return json::parseObject(text);
}

std::string member(const std::string &text, const std::string &key) {
  const Poco::JSON::Object::Ptr object = json::parseObject(text);
  const Poco::Dynamic::Var value = object->get(key);
  return value.isEmpty() ? "" : value.convert<std::string>();
}

bool engineAnswers() {
  static const bool answers = run({"docker", "version", "--format", "{{.Server.Version}}"}).status == 0;
  const char *ci = std::getenv("CI");
  if (!answers && ci != nullptr && std::string(ci) == "true") {
    throw std::runtime_error("no Docker engine answers, and CI=true makes that a failure");
  }
  return answers;
}

std::string uniqueHandle(const std::string &prefix) {
  std::string ulid = makeUlid().substr(18);
  std::transform(ulid.begin(), ulid.end(), ulid.begin(), [](unsigned char c) { return std::tolower(c); });
  return prefix + ulid;
}

namespace {

bool hasSanitizerReport(const std::string &log) {
  const auto says = [&log](const char *words) { return log.find(words) != std::string::npos; };
  return says("ERROR: AddressSanitizer") || says("ERROR: LeakSanitizer") || says("WARNING: ThreadSanitizer") ||
         says(": runtime error: ");
}

} // namespace

DaemonProcess::DaemonProcess(Values values) : proxyPort_(freePort()) {
  values_ = {{"platform.data_dir", (dir_ / "data").string()},
             {"api.auth", "none"},
             {"log.format", "text"},
             {"plugins.path", (buildDir() / "plugins").string()},
             {"plugins.enabled", "runtime-docker, orchestrator, lifecycle, social, proxy"},
             {"orchestrator.image", "matrixos-demo:latest"},
             {"orchestrator.users_dir", usersDir().string()},
             {"orchestrator.network", "matrixos-test"},
             {"proxy.listen", "127.0.0.1:" + std::to_string(proxyPort_)}};
  rewriteConfig(values);
}

DaemonProcess::~DaemonProcess() {
  if (running()) stop();
  // Leaks are known only once the daemon has ended, when no test case looks at its exit code any more.
  if (process_ && hasSanitizerReport(log())) {
    std::cerr << "A sanitizer reports on the daemon:\n" << log() << std::endl;
    std::abort();
  }
}

void DaemonProcess::rewriteConfig(const Values &changes) {
  for (const auto &[key, value] : changes)
    values_[key] = value;
  const std::string &enabled = values_["plugins.enabled"];
  std::string text, section;
  for (const auto &[key, value] : values_) {
    const std::size_t dot = key.find('.');
    const std::string name = key.substr(0, dot);
    const bool core = name == "platform" || name == "api" || name == "log" || name == "plugins" || name == "storage" ||
                      name == "metrics";
    if (!core && enabled.find(name) == std::string::npos) continue;
    if (name != section) text += "[" + name + "]\n";
    section = name;
    text += key.substr(dot + 1) + " = " + value + "\n";
  }
  writeFile(configFile(), text);
}

void DaemonProcess::launch(std::vector<std::string> under) {
  under.push_back((buildDir() / "bin/matrixosd").string());
  under.push_back("--config=" + configFile().string());
  process_ = std::make_unique<Process>(under, dir_ / "log");
}

bool DaemonProcess::waitUntilServing(std::chrono::milliseconds limit) {
  return eventually(
             [this] {
               if (!running()) return true;
               try {
                 return request(adminSocket(), "GET", "/health").status == 200;
               } catch (const std::exception &) {
                 return false;
               }
             },
             limit) &&
         running();
}

void DaemonProcess::start() {
  launch();
  if (!waitUntilServing()) throw std::runtime_error("the daemon does not serve; its log:\n" + log());
}

int DaemonProcess::stop() {
  process_->signal(SIGTERM);
  const auto status = process_->wait(std::chrono::seconds{90});
  if (!status) throw std::runtime_error("the daemon does not stop; its log:\n" + log());
  return *status;
}

void DaemonProcess::kill() {
  process_->signal(SIGKILL);
  process_->wait(std::chrono::seconds{10});
}

Response DaemonProcess::api(const std::string &method, const std::string &target, const std::string &body) const {
  return request(adminSocket(), method, target, {{"Content-Type", "application/json"}}, body);
}

Response DaemonProcess::web(const std::string &host, const std::string &target, const Headers &headers) const {
  Headers all{{"Host", host}};
  all.insert(all.end(), headers.begin(), headers.end());
  return request(proxyPort_, "GET", target, all);
}

Finished DaemonProcess::check() const {
  return run({(buildDir() / "bin/matrixosd").string(), "--config=" + configFile().string(), "--check"});
}

Finished DaemonProcess::ctl(std::vector<std::string> arguments) const {
  std::vector<std::string> command{(buildDir() / "bin/matrixosctl").string(), "--config=" + configFile().string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command);
}

} // namespace matrixos::test
