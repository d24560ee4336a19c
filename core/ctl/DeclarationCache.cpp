#include "ctl/DeclarationCache.h"

#include "common/AtomicFile.h"
#include "common/Ownership.h"
#include "ctl/UserFolders.h"
#include "ctl/Version.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/text/time.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

/// One that hangs is not asked with each command, one whose library was missing is asked again.
constexpr std::int64_t kFailureMs = 60'000;
constexpr const char *kFolder = "the cache folder";
constexpr std::size_t kMostEntries = 512, kMostBytes = std::size_t{8} << 20U;

fs::path cacheFile() {
  const fs::path base = userFolder("XDG_CACHE_HOME", ".cache");
  return base.empty() ? base : base / "matrixos/commands.json";
}

std::string identityOf(const struct stat &info) {
  const auto time = [](const timespec &t) { return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec); };
  return std::to_string(info.st_dev) + " " + std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " +
         time(info.st_mtim) + " " + time(info.st_ctim);
}

/// Empty unless it is a plain file of ours that nobody else can write.
std::string readOwn(const fs::path &path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  if (!common::ownershipProblem(info, path, "the cache", ::geteuid()).empty()) return {};
  return common::readFile("/proc/self/fd/" + std::to_string(fd.get()), kMostBytes);
}

} // namespace

DeclarationCache::DeclarationCache() : path_(cacheFile()) {
  try {
    if (!path_.empty()) read();
  } catch (const std::exception &) {
    // A cache that is damaged, not safe or not there is none.
    entries_.clear();
  }
}

DeclarationCache::~DeclarationCache() {
  if (!changed_ || path_.empty()) return;
  try {
    write();
  } catch (const std::exception &) { // NOLINT(bugprone-empty-catch): the disk is full; the next one asks again
  }
}

void DeclarationCache::read() {
  common::checkOwnFolder(path_.parent_path(), kFolder);
  const std::string text = readOwn(path_);
  if (text.empty()) return;
  const json::Object::Ptr root = json::parseObject(text);
  if (json::getString(*root, "version") != kVersion) return;
  const json::Object::Ptr files = json::findObject(*root, "files");
  for (const std::string &name : files->getNames()) {
    const json::Object::Ptr entry = files->getObject(name);
    json::getString(*entry, "identity"); // or it throws
    entries_[name] = entry;
  }
}

void DeclarationCache::write() const {
  json::Object::Ptr files = json::object({});
  for (const auto &[name, entry] : entries_) {
    struct stat info {};
    const bool current = ::stat(name.c_str(), &info) == 0 && json::getString(*entry, "identity") == identityOf(info);
    if (current && files->size() < kMostEntries) files->set(name, entry);
  }
  const fs::path folder = path_.parent_path();
  for (const fs::path &made : {folder.parent_path(), folder})
    common::makeOwnFolder(made, 0700, kFolder);
  common::writeFileAtomically(path_, json::dump(*json::object({{"version", std::string(kVersion)}, {"files", files}})));
}

std::optional<std::vector<common::CommandDescription>> DeclarationCache::find(const fs::path &file,
                                                                              const struct stat &info) const {
  const auto at = entries_.find(file.string());
  if (at == entries_.end()) return std::nullopt;
  try {
    const json::Object &entry = *at->second;
    if (json::getString(entry, "identity") != identityOf(info)) return std::nullopt;
    const std::int64_t age = wallClockMs() - json::getInt(entry, "failedMs", wallClockMs());
    if (age < 0 || age > kFailureMs) return std::nullopt;
    const json::Array::Ptr commands = json::findArray(entry, "commands");
    return commands ? common::CommandDescription::readAll(*commands) : std::vector<common::CommandDescription>{};
  } catch (const std::exception &) {
    return std::nullopt;
  }
}

void DeclarationCache::keep(const fs::path &file, const struct stat &info,
                            const std::optional<std::vector<common::CommandDescription>> &commands) {
  json::Object::Ptr entry = json::object({{"identity", identityOf(info)}});
  if (commands) {
    json::Array::Ptr list = new json::Array;
    for (const common::CommandDescription &command : *commands)
      list->add(command.toJson());
    entry->set("commands", list);
  } else {
    entry->set("failedMs", wallClockMs());
  }
  entries_[file.string()] = entry;
  changed_ = true;
}

} // namespace matrixos::ctl
