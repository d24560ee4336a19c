#include "plugin/PluginFile.h"

#include <matrixos/status.hpp>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/library_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <dlfcn.h>
#include <elf.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace matrixos::plugin {

namespace fs = std::filesystem;

namespace {

std::string ownerName(uid_t uid) {
  std::array<char, 1024> buffer{};
  passwd entry{};
  passwd *found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return "uid " + std::to_string(uid);
}

std::string octal(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777U));
  return text.data();
}

/// Whoever may write the file or its folder runs code as the daemon.
void checkOwnership(const fs::path &path, const char *what) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    throw Error(Status::NotFound, std::string(what) + " " + path.string() + " cannot be read: " + std::strerror(errno),
                "PLUGIN_FILE");
  }
  const bool foreign = info.st_uid != 0 && info.st_uid != ::geteuid();
  // A sticky folder such as /tmp still lets others add files.
  const bool writable = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (!foreign && !writable) return;
  throw Error(Status::PermissionDenied,
              std::string(what) + " " + path.string() + " is owned by " + ownerName(info.st_uid) + " with mode " +
                  octal(info.st_mode) + "; it has to be owned by root or " + ownerName(::geteuid()) +
                  " and writable by its owner alone (chown root, chmod go-w)",
              "PLUGIN_FILE");
}

/// The ELF tables, before the loader trusts them: a file that was cut short loads well and crashes with SIGBUS at the
/// first touch of a page that is not there.
void checkElf(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char *>(&header), sizeof header);
  const bool elf = file.gcount() == static_cast<std::streamsize>(sizeof header) &&
                   std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
                   header.e_type == ET_DYN && header.e_phentsize == sizeof(Elf64_Phdr);
  if (!elf) {
    throw Error(Status::FailedPrecondition, path.string() + " is not a 64-bit shared object", "PLUGIN_FILE");
  }
  const std::uint64_t size = fs::file_size(path);
  const auto inside = [size](std::uint64_t offset, std::uint64_t length) {
    return offset <= size && length <= size - offset;
  };
  bool whole = inside(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize) &&
               inside(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr));
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (unsigned i = 0; whole && i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    file.read(reinterpret_cast<char *>(&segment), sizeof segment);
    whole = file.good() && (segment.p_type != PT_LOAD || inside(segment.p_offset, segment.p_filesz));
  }
  if (!whole) {
    throw Error(Status::FailedPrecondition, path.string() + " is damaged: it ends before its content; install it again",
                "PLUGIN_FILE");
  }
}

/// Asked before any of the file's code runs, since loading a library that is no plugin is not harmless: a second copy
/// of one that the daemon uses shares the first one's objects, and the exit destroys them twice.
void checkExports(const fs::path &path) {
  const std::vector<std::string> symbols = boost::dll::library_info(path).symbols();
  if (std::find(symbols.begin(), symbols.end(), MOS_ENTRY_NAME) != symbols.end()) return;
  throw Error(Status::FailedPrecondition,
              path.string() + " is no plugin: it does not export " MOS_ENTRY_NAME " (ABI major 1)", "PLUGIN_ENTRY");
}

fs::path resolve(const fs::path &folder, const std::string &id) {
  const fs::path path = folder / (id + ".so");
  std::error_code error;
  if (!fs::exists(path, error)) {
    std::string there;
    for (const std::string &other : PluginFile::idsIn(folder))
      there += (there.empty() ? "" : ", ") + other;
    throw Error(Status::NotFound,
                "there is no plugin \"" + id + "\" in " + folder.string() +
                    " (there are: " + (there.empty() ? "none" : there) + "); check [plugins] path and enabled",
                "PLUGIN_FILE");
  }
  const fs::path real = fs::canonical(path, error);
  const fs::path home = error ? fs::path() : fs::canonical(folder, error);
  if (error || real.parent_path() != home) {
    throw Error(Status::PermissionDenied, path.string() + " is a link out of its folder, to " + real.string(),
                "PLUGIN_FILE");
  }
  return real;
}

} // namespace

std::vector<std::string> PluginFile::idsIn(const fs::path &folder) {
  std::vector<std::string> ids;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".so") ids.push_back(entry.path().stem().string());
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

PluginFile PluginFile::load(const fs::path &folder, const std::string &id) {
  const fs::path path = resolve(folder, id);
  checkOwnership(path.parent_path(), "the plugin folder");
  checkOwnership(path, "the plugin file");
  checkElf(path);

  using boost::dll::load_mode::type;
  // Lazy binding (the default of Boost.DLL) would turn a missing symbol into a crash at its first use.
  const auto mode = static_cast<type>(RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  try {
    checkExports(path);
    const boost::dll::shared_library library(path, mode);
    auto &entry = library.get<const mos_descriptor_v1 *(void)>(MOS_ENTRY_NAME);
    return PluginFile(path, entry());
  } catch (const Error &) {
    throw;
  } catch (const std::exception &e) {
    throw Error(Status::FailedPrecondition, path.string() + " cannot be loaded: " + e.what(), "PLUGIN_LOAD");
  }
}

} // namespace matrixos::plugin
