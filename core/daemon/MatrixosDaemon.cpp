#include "daemon/MatrixosDaemon.h"

#include "config/Loader.h"
#include "daemon/Background.h"
#include "daemon/ConfigService.h"
#include "daemon/Daemon.h"
#include "daemon/PidFile.h"
#include "daemon/SignalThread.h"
#include "daemon/StartCheck.h"
#include "daemon/Version.h"
#include "log/Log.h"

#include <Poco/Util/HelpFormatter.h>
#include <Poco/Util/OptionException.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <charconv>
#include <iostream>

namespace matrixos::daemon {

namespace {

constexpr const char *kDefaultConfig = "/etc/matrixos/matrixosd.ini";

/// The exit code that belongs to a failure to start.
int exitCodeOf(const Error &error) {
  switch (error.status()) {
  case Status::InvalidArgument:
  case Status::NotFound:
  case Status::FailedPrecondition:
    return EX_CONFIG;
  case Status::PermissionDenied:
    return EX_NOPERM;
  case Status::Unavailable:
  case Status::AlreadyExists:
  case Status::ResourceExhausted:
  case Status::DeadlineExceeded:
    return EX_UNAVAILABLE;
  default:
    return EX_SOFTWARE;
  }
}

mode_t parseMask(const std::string &text) {
  unsigned mask = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), mask, 8);
  if (read.ec == std::errc{} && read.ptr == text.data() + text.size() && mask <= 0777) return mask;
  throw Poco::Util::InvalidArgumentException("--umask takes octal digits like 027");
}

std::filesystem::path binaryDir() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

} // namespace

MatrixosDaemon::MatrixosDaemon(std::string startDirectory) : startDirectory_(std::move(startDirectory)) {
  setUnixOptions(true);
}

int MatrixosDaemon::runWith(int argc, char **argv) {
  init(argc, argv);
  return run();
}

void MatrixosDaemon::initialize(Poco::Util::Application &) {
  // Poco would load matrixosd.properties and start its logging subsystem here; we have our own of both.
}

void MatrixosDaemon::defineOptions(Poco::Util::OptionSet &options) {
  using Poco::Util::Option;
  // Not Poco's: it forks before it reads anything, and its file of the process id is anybody's.
  options.addOption(Option("daemon", "", "serve in the background; returns once it serves, or says why it does not"));
  options.addOption(Option("pidfile", "", "keep the process id in a file while the daemon runs").argument("FILE"));
  options.addOption(Option("umask", "", "file mode mask, octal (default with --daemon: 027)").argument("MASK"));
  options.addOption(Option("config", "c", "configuration, INI or XML (default " + std::string(kDefaultConfig) + ")")
                        .argument("FILE"));
  options.addOption(
      Option("set", "s", "override one value; may be repeated").repeatable(true).argument("SECTION.KEY=VALUE"));
  options.addOption(Option("check", "", "validate the configuration and exit"));
  options.addOption(
      Option("restore-tables", "",
             "put the tables of one plugin back to what they are in its backup, and exit; the daemon must "
             "not run")
          .argument("BACKUP"));
  options.addOption(Option("version", "V", "print the version and exit"));
  options.addOption(Option("help", "h", "print this help and exit"));
}

void MatrixosDaemon::handleOption(const std::string &name, const std::string &value) {
  ServerApplication::handleOption(name, value);
  if (name == "daemon")
    inBackground_ = true;
  else if (name == "pidfile")
    pidFile_ = (std::filesystem::path(startDirectory_) / value).lexically_normal().string();
  else if (name == "umask")
    umask_ = parseMask(value);
  else if (name == "config")
    configFile_ = value;
  else if (name == "set")
    sets_.push_back(value);
  else if (name == "check")
    check_ = true;
  else if (name == "restore-tables")
    restoreFrom_ = (std::filesystem::path(startDirectory_) / value).lexically_normal().string();
  else if (name == "version") {
    std::cout << "matrixosd " << kVersion << '\n';
    done_ = true;
    stopOptionsProcessing();
  } else if (name == "help") {
    printHelp();
    done_ = true;
    stopOptionsProcessing();
  }
}

void MatrixosDaemon::printHelp() const {
  Poco::Util::HelpFormatter help(options());
  help.setUnixStyle(true);
  help.setCommand("matrixosd");
  help.setUsage(
      "[--config=FILE] [--set SECTION.KEY=VALUE …] [--check | --restore-tables=BACKUP] [--daemon --pidfile=FILE]");
  help.setHeader("Gives every user an instance of their own: provisions it, routes requests to it, puts it to sleep "
                 "when idle and wakes it on the next request.");
  help.setFooter("Signals: SIGTERM or SIGINT stops, SIGHUP reloads the configuration. Exit codes: 0 stopped, 64 wrong "
                 "arguments, 78 wrong configuration, 69 something needed is not there or taken (port, data directory), "
                 "77 not permitted (a port below 1024, a data directory of others), 70 internal. Control a running "
                 "daemon with matrixosctl.");
  help.setWidth(100);
  help.setIndent(28);
  help.format(std::cout);
}

int MatrixosDaemon::main(const std::vector<std::string> &arguments) {
  if (done_) return EX_OK;
  if (!arguments.empty()) {
    log::tell(log::Level::Error, "matrixosd: unexpected argument \"" + arguments.front() + "\"; see matrixosd --help");
    return EX_USAGE;
  }
  if (configFile_.empty() && std::filesystem::exists(kDefaultConfig)) configFile_ = kDefaultConfig;
  try {
    if (!restoreFrom_.empty()) return restoreTables();
    return check_ ? check() : serve();
  } catch (const config::ConfigError &e) {
    for (const std::string &problem : e.problems())
      log::tell(log::Level::Error, problem);
    log::tell(log::Level::Error, "matrixosd: the configuration has " + std::to_string(e.problems().size()) +
                                     (e.problems().size() == 1 ? " problem" : " problems") + "; nothing was started");
    return EX_CONFIG;
  } catch (const Error &e) {
    log::Log("core").error(std::string("cannot run: ") + e.what());
    return exitCodeOf(e);
  } catch (const std::exception &e) {
    log::Log("core").error(std::string("cannot run: ") + e.what());
    return EX_SOFTWARE;
  }
}

int MatrixosDaemon::check() {
  ConfigService configs({configFile_, sets_, config::processEnvironment(), startDirectory_}, binaryDir(),
                        ConfigService::Purpose::Check);
  const ConfigService::Loaded loaded = configs.load();
  if (auto problems = checkStart(*loaded.config, loaded.plugins); !problems.empty())
    throw config::ConfigError(std::move(problems));
  for (const auto &warnings : {loaded.config->warnings(), loaded.warnings}) {
    for (const std::string &warning : warnings)
      log::tell(log::Level::Warning, "warning: " + warning);
  }
  std::cout << "configuration OK";
  for (const std::string &file : loaded.config->files())
    std::cout << ' ' << file;
  std::cout << '\n';
  return EX_OK;
}

int MatrixosDaemon::restoreTables() {
  ConfigService configs({configFile_, sets_, config::processEnvironment(), startDirectory_}, binaryDir(),
                        ConfigService::Purpose::Check);
  const config::ConfigPtr config = configs.load().config;
  const storage::DataDirectory held(config->getString("platform", "data_dir"));
  storage::DatabaseOptions options;
  options.file = config->getString("storage", "path");
  const std::filesystem::path before = storage::Database(options).restoreTables(restoreFrom_);
  std::cout << "the tables are what they are in " << restoreFrom_ << "; the database as it was is kept in "
            << before.string() << '\n';
  return EX_OK;
}

int MatrixosDaemon::serve() {
  std::optional<Background> background;
  if (inBackground_) background = Background::enter();
  if (umask_ || inBackground_) ::umask(umask_.value_or(027));
  ConfigService configs({configFile_, sets_, config::processEnvironment(), startDirectory_}, binaryDir(),
                        ConfigService::Purpose::Serve);
  ConfigService::Loaded loaded = configs.load();
  // The data directory is held by now: a second daemon on it has not come this far.
  std::optional<PidFile> pidFile;
  if (!pidFile_.empty()) pidFile.emplace(pidFile_);
  Daemon daemon(configs, std::move(loaded));
  const SignalThread signals([&daemon](int) { daemon.requestStop(); }, [&daemon] { daemon.requestReload(); });
  daemon.run([&background] {
    if (background) background->ready();
  });
  configs.crashes().survived();
  return EX_OK;
}

} // namespace matrixos::daemon
