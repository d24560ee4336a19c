#include "plugin/PluginFile.h"

#include "common/Ownership.h"
#include "common/SystemError.h"
#include "plugin/CodeRanges.h"
#include "plugin/PluginFiles.h"

#include <matrixos/status.hpp>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace matrixos::plugin {

namespace fs = std::filesystem;

namespace {

constexpr int kMaxLinks = 8;

/// Whoever may write the file or its folder runs code as the daemon.
void checkOwnership(const struct stat &info, const fs::path &path, const char *what) {
  const std::string problem = common::ownershipProblem(info, path, what, ::geteuid());
  if (!problem.empty()) throw Error(Status::PermissionDenied, problem, "PLUGIN_FILE");
}

[[noreturn]] void throwAbsent(const fs::path &folder, const std::string &id) {
  std::string there;
  for (const std::string &other : PluginFile::idsIn(folder))
    there += (there.empty() ? "" : ", ") + other;
  throw Error(Status::NotFound,
              "there is no plugin \"" + id + "\" in " + folder.string() +
                  " (there are: " + (there.empty() ? "none" : there) + "); check [plugins] path and enabled",
              "PLUGIN_FILE");
}

/// The name that the link `name` in the folder leads to, which has to lie in the same folder.
std::string linkTarget(int folderFd, const fs::path &home, const std::string &name) {
  std::array<char, 4096> text{};
  const ssize_t length = ::readlinkat(folderFd, name.c_str(), text.data(), text.size() - 1);
  const fs::path target = length > 0 ? text.data() : "";
  const bool bare = !target.empty() && !target.has_parent_path();
  if (bare || (target.is_absolute() && target.parent_path() == home)) return target.filename();
  throw Error(Status::PermissionDenied, (home / name).string() + " is a link out of its folder, to " + target.string(),
              "PLUGIN_FILE");
}

/// Links are followed by hand, so that none leads out of the folder.
OpenPluginFile openPlugin(const fs::path &folder, const std::string &id) {
  std::error_code error;
  const fs::path home = fs::canonical(folder, error);
  if (error) throwAbsent(folder, id);
  const FileDescriptor folderFd(::open(home.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!folderFd || ::fstat(folderFd.get(), &info) != 0) common::throwErrno(errno, "opening " + home.string());
  checkOwnership(info, home, "the plugin folder");
  OpenPluginFile file;
  std::string name = id + ".so";
  // Not blocking: a FIFO in the folder must not hold the daemon up.
  for (int links = 0; !file.fd && links <= kMaxLinks; ++links) {
    file.path = home / name;
    file.fd.reset(::openat(folderFd.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (file.fd) break;
    if (errno == ENOENT) throwAbsent(folder, id);
    if (errno != ELOOP) common::throwErrno(errno, "opening the plugin file " + file.path.string());
    name = linkTarget(folderFd.get(), home, name);
  }
  if (!file.fd) throw Error(Status::FailedPrecondition, file.path.string() + " is a link to itself", "PLUGIN_FILE");
  if (::fstat(file.fd.get(), &file.info) != 0) common::throwErrno(errno, "reading " + file.path.string());
  if (!S_ISREG(file.info.st_mode)) {
    throw Error(Status::FailedPrecondition, file.path.string() + " is not a 64-bit shared object", "PLUGIN_FILE");
  }
  checkOwnership(file.info, file.path, "the plugin file");
  return file;
}

bool sameContent(const struct stat &a, const struct stat &b) {
  const auto same = [](const timespec &x, const timespec &y) { return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec; };
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && same(a.st_mtim, b.st_mtim) &&
         same(a.st_ctim, b.st_ctim);
}

/// A copy of a file that is just being written is neither the old nor the new one.
void checkUnchanged(const OpenPluginFile &file) {
  struct stat now {};
  if (::fstat(file.fd.get(), &now) == 0 && sameContent(now, file.info)) return;
  throw Error(Status::Unavailable, file.path.string() + " is being written; try again when it is complete",
              "PLUGIN_CHANGING");
}

FileFacts factsOf(const OpenPluginFile &file) {
  FileFacts facts;
  facts.path = file.path;
  facts.owner = common::userName(file.info.st_uid);
  facts.mode = file.info.st_mode & 07777U;
  facts.size = static_cast<std::uint64_t>(file.info.st_size);
  facts.modifiedMs = std::int64_t{file.info.st_mtim.tv_sec} * 1000 + file.info.st_mtim.tv_nsec / 1'000'000;
  facts.identity = file.info;
  return facts;
}

/// dlsym looks into what the library needs, too.
void checkEntry(const void *entry, const FileFacts &facts) {
  Dl_info info{};
  if (::dladdr(entry, &info) != 0 && info.dli_fname != nullptr && facts.copy == info.dli_fname) return;
  throw Error(Status::FailedPrecondition,
              facts.path.string() + " is no plugin: its " MOS_ENTRY_NAME " comes from another file, " +
                  (info.dli_fname != nullptr ? info.dli_fname : "which is unknown"),
              "PLUGIN_ENTRY");
}

/// The loader's own sentence, out of the words that Boost.DLL puts around it. It names the copy, which means nothing to
/// the operator.
std::string loaderSentence(std::string text, const FileFacts &facts) {
  constexpr std::string_view kBefore = "dlerror system message: ";
  const std::size_t from = text.find(kBefore), to = text.rfind("):");
  if (from != std::string::npos && to != std::string::npos && to > from) {
    text = text.substr(from + kBefore.size(), to - from - kBefore.size());
  }
  const std::string copy = facts.copy.string();
  if (text.rfind(copy + ": ", 0) == 0) return text.substr(copy.size() + 2);
  for (std::size_t at = text.find(copy); at != std::string::npos; at = text.find(copy, at))
    text.replace(at, copy.size(), facts.path.string());
  return text;
}

} // namespace

FileFacts copyPluginFile(const OpenPluginFile &file, const std::string &id, PluginFiles &files, ElfFile &elf) {
  FileFacts facts = factsOf(file);
  const PluginFiles::Copy copy = files.copy(file.fd.get(), id);
  facts.copy = copy.path;
  facts.sha256 = copy.sha256;
  try {
    checkUnchanged(file);
    const FileDescriptor fd(::open(facts.copy.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) common::throwErrno(errno, "opening " + facts.copy.string());
    elf = ElfFile::read(fd.get(), facts.path.string());
    // Asked before any of the file's code runs, since loading a library that is no plugin is not harmless: a second
    // copy of one that the daemon uses shares the first one's objects, and the exit destroys them twice.
    if (elf.exportsSymbol(MOS_ENTRY_NAME)) return facts;
    throw Error(Status::FailedPrecondition,
                facts.path.string() + " is no plugin: it does not export " MOS_ENTRY_NAME " (ABI major 1)",
                "PLUGIN_ENTRY");
  } catch (...) {
    ::unlink(facts.copy.c_str());
    throw;
  }
}

const mos_descriptor_v1 *loadPluginCopy(const FileFacts &facts, const ElfFile &elf) {
  using boost::dll::load_mode::type;
  // Lazy binding (the default of Boost.DLL) would turn a missing symbol into a crash at its first use.
  const auto mode = static_cast<type>(RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  try {
    const boost::dll::shared_library library(facts.copy, mode);
    auto &entry = library.get<const mos_descriptor_v1 *(void)>(MOS_ENTRY_NAME);
    checkEntry(reinterpret_cast<const void *>(&entry), facts);
    CodeRanges::add(PluginScope::tagOf(facts.path.stem().string()), reinterpret_cast<const void *>(&entry));
    return entry();
  } catch (const Error &) {
    throw;
  } catch (const std::exception &e) {
    const bool relative = elf.runPath.find("$ORIGIN") != std::string::npos;
    throw Error(Status::FailedPrecondition,
                facts.path.string() + " cannot be loaded: " + loaderSentence(e.what(), facts) +
                    (relative ? "; it looks for libraries beside itself ($ORIGIN), but what runs is a copy in another "
                                "folder: give it an absolute RUNPATH"
                              : ""),
                "PLUGIN_LOAD");
  }
}

bool FileFacts::changedOnDisk() const {
  struct stat now {};
  return ::stat(path.c_str(), &now) != 0 || !sameContent(now, identity);
}

std::vector<std::string> PluginFile::idsIn(const fs::path &folder) {
  std::vector<std::string> ids;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".so") ids.push_back(entry.path().stem().string());
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

FileFacts PluginFile::prepare(const fs::path &folder, const std::string &id, PluginFiles &files) {
  ElfFile elf;
  return copyPluginFile(openPlugin(folder, id), id, files, elf);
}

PluginFile PluginFile::load(const fs::path &folder, const std::string &id, PluginFiles &files) {
  ElfFile elf;
  FileFacts facts = copyPluginFile(openPlugin(folder, id), id, files, elf);
  try {
    files.probe(facts);
    const mos_descriptor_v1 *descriptor = loadPluginCopy(facts, elf);
    return PluginFile(std::move(facts), descriptor);
  } catch (...) {
    // A copy that was mapped and then refused stays mapped; only its name goes.
    ::unlink(facts.copy.c_str());
    throw;
  }
}

} // namespace matrixos::plugin
