#include "support/NodePackages.h"

#include "support/DaemonProcess.h"
#include "support/Process.h"

#include <matrixos/file_descriptor.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>

namespace matrixos::test {

namespace {

namespace fs = std::filesystem;

bool install(const fs::path &source, const fs::path &to) {
  fs::create_directories(to);
  const FileDescriptor lock(::open((to / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) throw std::system_error(errno, std::generic_category(), "lock");
  for (const auto &file : fs::directory_iterator(source)) {
    const std::string extension = file.path().extension();
    if (extension == ".mjs" || extension == ".json")
      fs::copy_file(file, to / file.path().filename(), fs::copy_options::overwrite_existing);
  }
  const std::string wanted = readFile(source / "package-lock.json");
  const fs::path done = to / "installed";
  if (fs::exists(done) && readFile(done) == wanted) return true;
  const Finished npm = run({"npm", "ci", "--prefix", to.string(), "--ignore-scripts", "--no-fund", "--no-audit"}, {},
                           std::chrono::minutes{3});
  if (npm.status == 0)
    writeFile(done, wanted);
  else
    MESSAGE("npm cannot install what " << source << " asks for: " << npm.out);
  return npm.status == 0;
}

} // namespace

bool isHere(bool found, const std::string &what) {
  if (found) return true;
  const char *ci = std::getenv("CI");
  CHECK_MESSAGE((ci == nullptr || std::string(ci) != "true"), "no " << what << ", and CI=true makes that a failure");
  MESSAGE("skipped: there is no " << what);
  return false;
}

std::optional<fs::path> nodePackages(const fs::path &source, const char *name) {
  if (!isHere(run({"node", "--version"}).status == 0, "Node.js")) return {};
  const fs::path to = buildDir() / "tests/node" / name;
  if (!isHere(install(source, to), "set of its npm packages")) return {};
  return to;
}

} // namespace matrixos::test
