#include "ctl/Credentials.h"

#include "common/AtomicFile.h"
#include "common/Ownership.h"
#include "common/SystemError.h"
#include "ctl/DaemonClient.h"
#include "ctl/UserFolders.h"

#include <matrixos/file_descriptor.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

constexpr const char *kFolder = "the folder of credentials";
constexpr std::size_t kMostBytes = std::size_t{1} << 20U;

Failure cannotKeep(const std::string &why) {
  return Failure(EX_CANTCREAT, "no sign-in can be kept: " + why);
}

} // namespace

Credentials::Credentials() {
  const fs::path base = userFolder("XDG_CONFIG_HOME", ".config");
  if (!base.empty()) file_ = base / "matrixos/credentials";
}

Credentials::Tokens Credentials::read() const {
  const FileDescriptor fd(::open(file_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return {};
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0)
    throw Failure(EX_NOPERM, file_.string() + " cannot be read: " + common::errnoText(errno));
  const std::string problem = common::secretFileProblem(info, file_, ::geteuid());
  if (!problem.empty()) throw Failure(EX_NOPERM, file_.string() + " " + problem);
  try {
    Tokens tokens;
    const json::Object::Ptr root =
        json::parseObject(common::readFile("/proc/self/fd/" + std::to_string(fd.get()), kMostBytes));
    const json::Object::Ptr entries = json::findObject(*root, "tokens");
    for (const std::string &url : entries ? entries->getNames() : std::vector<std::string>{})
      tokens[url] = json::getString(*entries, url);
    return tokens;
  } catch (const Error &error) {
    throw Failure(EX_CONFIG, file_.string() + " is damaged (" + error.what() + "); remove it, and sign in again");
  }
}

std::string Credentials::tokenFor(const std::string &url) const {
  const Tokens tokens = read();
  const auto found = tokens.find(url);
  return found == tokens.end() ? std::string() : found->second;
}

std::vector<std::string> Credentials::urls() const {
  std::vector<std::string> out;
  for (const auto &[url, token] : read())
    out.push_back(url);
  return out;
}

void Credentials::prepare() const {
  if (file_.empty()) throw cannotKeep("there is no home folder");
  const fs::path folder = file_.parent_path();
  try {
    for (const fs::path &made : {folder.parent_path(), folder})
      common::makeOwnFolder(made, 0700, kFolder);
    if (::chmod(folder.c_str(), 0700) != 0) common::throwErrno(errno, "closing " + folder.string() + " to others");
  } catch (const Error &error) {
    throw cannotKeep(error.what());
  }
}

/// One at a time, so that of two sign-ins none is lost.
template <typename Change>
bool Credentials::change(Change &&change) const {
  prepare();
  try {
    const FileDescriptor folder(::open(file_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::flock(folder.get(), LOCK_EX) != 0)
      common::throwErrno(errno, "locking " + file_.parent_path().string());
    Tokens tokens = read();
    if (!change(tokens)) return false;
    json::Object::Ptr entries = json::object({});
    for (const auto &[url, token] : tokens)
      entries->set(url, token);
    common::writeFileAtomically(file_, json::dump(*json::object({{"tokens", entries}})) + "\n");
    return true;
  } catch (const Error &error) {
    throw cannotKeep(error.what());
  }
}

void Credentials::put(const std::string &url, const std::string &token) const {
  change([&](Tokens &tokens) {
    tokens[url] = token;
    return true;
  });
}

bool Credentials::remove(const std::string &url) const {
  return change([&](Tokens &tokens) { return tokens.erase(url) != 0; });
}

} // namespace matrixos::ctl
