#include "HostVolumes.h"

#include "DirectoryCopy.h"
#include "FileDescriptor.h"
#include "Text.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>

namespace matrixos::docker {

namespace {

constexpr std::string_view kTrash = ".trash";
constexpr std::string_view kSnapshots = ".snapshots";
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
/// More leftovers under one name than this mean that something repeats forever.
constexpr int kMaxSameName = 100;

/// Places where a volume would hand a tenant the machine.
constexpr std::array<std::string_view, 16> kSystem{
    "/bin",     "/boot",     "/dev",  "/etc", "/lib", "/lib32",          "/lib64",
    "/proc",    "/run",      "/sbin", "/sys", "/usr", "/var/lib/docker", "/var/lib/containers",
    "/var/run", "/var/spool"};

Error badVolume(const std::string &path, const std::string &why) {
  return Error(Status::InvalidArgument, "\"" + tidy(path, 160) + "\" may be no volume: " + why, "BAD_VOLUME");
}

Error osError(const std::string &what, int code) {
  Status status = Status::FailedPrecondition;
  if (code == EACCES || code == EPERM || code == EROFS) status = Status::PermissionDenied;
  if (code == ENOSPC || code == EDQUOT || code == EMFILE || code == ENFILE) status = Status::ResourceExhausted;
  return Error(status, what + ": " + std::generic_category().message(code), "VOLUME_IO");
}

bool isBelow(std::string_view path, std::string_view root) {
  while (root.size() > 1 && root.back() == '/')
    root.remove_suffix(1);
  return path.substr(0, root.size()) == root && (path.size() == root.size() || path[root.size()] == '/');
}

/// Opens the directory `name` in `parent`; makes it when `create`. Sets `made`.
FileDescriptor openDirectory(int parent, const std::string &name, bool create, bool &made, const std::string &path) {
  made = create && ::mkdirat(parent, name.c_str(), 0700) == 0;
  if (create && !made && errno != EEXIST) throw osError("the directory " + path + " cannot be made", errno);
  FileDescriptor fd(::openat(parent, name.c_str(), kOpenDirectory));
  if (fd || (errno == ENOENT && !create)) return fd;
  if (errno == ELOOP || errno == ENOTDIR) {
    throw Error(Status::FailedPrecondition, path + " is a link or a file where a volume's directory has to be",
                "BAD_VOLUME");
  }
  throw osError("the directory " + path + " cannot be opened", errno);
}

void checkAs(const std::string &as) {
  if (!isEngineName(as)) {
    throw Error(Status::InvalidArgument, "\"" + tidy(as, 60) + "\" is no name for a copy of a volume", "BAD_VOLUME");
  }
}

bool exists(int parent, const std::string &name) {
  struct stat info {};
  return ::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

/// Power loss must not bring back the old name.
void sync(int fd, const std::string &path) {
  if (::fsync(fd) != 0) throw osError(path + " cannot be synced to disk", errno);
}

} // namespace

bool isPlainPath(std::string_view path) noexcept {
  if (path.empty() || path.front() != '/' || path.size() > 1024) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == ':' || c == '\\') return false;
  }
  if (path == "/") return true;
  path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

/// The parts of a volume's path.
struct HostVolumes::Place {
  std::string users; ///< "/data/users"
  std::string user;  ///< "alice"
  std::string name;  ///< "matrixos"

  std::string userPath() const { return users + "/" + user; }

  /// Null when it does not exist and `create` is not set.
  FileDescriptor openUsers(bool create) const {
    if (create) {
      std::error_code failure;
      std::filesystem::create_directories(users, failure);
      if (failure) throw osError("the directory " + users + " cannot be made", failure.value());
    }
    FileDescriptor fd(::open(users.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && (create || errno != ENOENT)) throw osError("the directory " + users + " cannot be opened", errno);
    return fd;
  }
};

HostVolumes::Place HostVolumes::placeOf(const std::string &path) const {
  if (!isPlainPath(path)) throw badVolume(path, "it has to be an absolute path in normal form without colons");
  const std::filesystem::path parts(path);
  Place place;
  place.name = parts.filename();
  place.user = parts.parent_path().filename();
  place.users = parts.parent_path().parent_path();
  if (place.user.empty() || place.users == "/" || place.users.empty()) {
    throw badVolume(path, "it has to look like <users_dir>/<handle>/<name>");
  }
  if (place.user.front() == '.' || place.name.front() == '.')
    throw badVolume(path, "hidden names are the runtime's own");
  bool allowed = settings_.volumeRoots.empty();
  for (const std::string &root : settings_.volumeRoots)
    allowed = allowed || isBelow(place.users, root);
  if (!allowed) throw badVolume(path, "it lies outside [runtime-docker] volume_roots");
  if (settings_.volumeRoots.empty()) {
    for (const std::string_view root : kSystem) {
      if (isBelow(path, root)) throw badVolume(path, "it lies in " + std::string(root) + ", which is the system's");
    }
  }
  return place;
}

bool HostVolumes::ensure(const std::string &path) const {
  const Place place = placeOf(path);
  const FileDescriptor users = place.openUsers(true);
  bool made = false;
  const FileDescriptor user = openDirectory(users.get(), place.user, true, made, place.userPath());
  if (made) sync(users.get(), place.users);
  const FileDescriptor volume = openDirectory(user.get(), place.name, true, made, path);
  if (!made) return false;
  if (settings_.volumeOwner &&
      ::fchown(volume.get(), settings_.volumeOwner->first, settings_.volumeOwner->second) != 0) {
    const int code = errno;
    ::unlinkat(user.get(), place.name.c_str(), AT_REMOVEDIR);
    throw osError("the directory " + path + " cannot be given to volume_owner", code);
  }
  sync(user.get(), place.userPath());
  return true;
}

void HostVolumes::check(const std::string &path) const {
  const Place place = placeOf(path);
  bool made = false;
  const FileDescriptor users = place.openUsers(false);
  FileDescriptor volume;
  if (users) {
    const FileDescriptor user = openDirectory(users.get(), place.user, false, made, place.userPath());
    if (user) volume = openDirectory(user.get(), place.name, false, made, path);
  }
  if (!volume) throw Error(Status::NotFound, "there is no volume " + path + ": ensure it first", "VOLUME_NOT_FOUND");
}

void HostVolumes::trash(const std::string &path, const std::string &as) const {
  checkAs(as);
  const Place place = placeOf(path);
  const FileDescriptor users = place.openUsers(false);
  if (!users || !exists(users.get(), place.user)) return;
  bool made = false;
  const std::string trashPath = place.users + "/" + std::string(kTrash);
  const FileDescriptor bin = openDirectory(users.get(), std::string(kTrash), true, made, trashPath);
  for (int attempt = 1; attempt <= kMaxSameName; ++attempt) {
    const std::string name = attempt == 1 ? as : as + "." + std::to_string(attempt);
    if (::renameat2(users.get(), place.user.c_str(), bin.get(), name.c_str(), RENAME_NOREPLACE) == 0) {
      sync(bin.get(), trashPath);
      sync(users.get(), place.users);
      return;
    }
    if (errno == ENOENT) return;
    if (errno == EXDEV || errno == EBUSY) {
      throw Error(Status::FailedPrecondition,
                  place.userPath() + " is a mount point: unmount it or move its data by hand", "VOLUME_IO");
    }
    if (errno != EEXIST && errno != ENOTEMPTY) throw osError(place.userPath() + " cannot be moved to the trash", errno);
  }
  throw Error(Status::AlreadyExists, trashPath + " is full of data named " + as, "VOLUME_IO");
}

void HostVolumes::snapshot(const Call &call, const std::string &path, const std::string &as) const {
  checkAs(as);
  const Place place = placeOf(path);
  const FileDescriptor users = place.openUsers(false);
  bool made = false;
  FileDescriptor user;
  if (users) user = openDirectory(users.get(), place.user, false, made, place.userPath());
  if (!user) throw Error(Status::NotFound, "there is no volume " + path + " to copy", "VOLUME_NOT_FOUND");
  const std::string rootPath = place.users + "/" + std::string(kSnapshots);
  const FileDescriptor root = openDirectory(users.get(), std::string(kSnapshots), true, made, rootPath);
  if (exists(root.get(), as)) return;
  // A name that no finished copy can have; what a crash left under it is thrown away.
  const std::string partial = "." + as + ".partial";
  removeTree(root.get(), partial);
  const FileDescriptor copy = openDirectory(root.get(), partial, true, made, rootPath + "/" + partial);
  try {
    copyTree(call, user.get(), copy.get());
    if (::renameat2(root.get(), partial.c_str(), root.get(), as.c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
      throw osError("the snapshot " + rootPath + "/" + as + " cannot be named", errno);
    }
  } catch (...) {
    removeTree(root.get(), partial);
    throw;
  }
  sync(root.get(), rootPath);
}

} // namespace matrixos::docker
