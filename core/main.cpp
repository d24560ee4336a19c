#include "common/CoreDumps.h"
#include "daemon/MatrixosDaemon.h"
#include "daemon/ServiceManager.h"
#include "daemon/SignalThread.h"

#include <Poco/Util/OptionException.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace {

/// --daemon leaves the current directory before options are read, so files named on the command line are made absolute.
std::vector<std::string> withAbsolutePaths(int argc, char **argv) {
  std::vector<std::string> arguments;
  for (int i = 0; i < argc; ++i) {
    std::string argument = argv[i];
    const std::string pidFile = "--pidfile=";
    if (argument.rfind(pidFile, 0) == 0) {
      argument = pidFile + std::filesystem::absolute(argument.substr(pidFile.size())).string();
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

} // namespace

int main(int argc, char **argv) {
  matrixos::daemon::SignalThread::blockAll();
  matrixos::daemon::ServiceManager::claimSockets();
  matrixos::common::forbidCoreDumps();
  // Whatever the daemon and its plugins make, nobody else may write to it unless they say so.
  ::umask(::umask(0) | S_IWGRP | S_IWOTH);
  try {
    std::vector<std::string> arguments = withAbsolutePaths(argc, argv);
    std::vector<char *> pointers;
    for (std::string &argument : arguments)
      pointers.push_back(argument.data());
    matrixos::daemon::MatrixosDaemon daemon(std::filesystem::current_path());
    daemon.checkOptions({arguments.begin() + 1, arguments.end()});
    return daemon.run(static_cast<int>(pointers.size()), pointers.data());
  } catch (const Poco::Util::OptionException &e) {
    std::cerr << "matrixosd: " << e.displayText() << "; see matrixosd --help\n";
    return EX_USAGE;
  } catch (const std::exception &e) {
    std::cerr << "matrixosd: " << e.what() << '\n';
    return EX_SOFTWARE;
  }
}
