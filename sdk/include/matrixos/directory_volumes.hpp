/// matrixos/directory_volumes.hpp: volumes as directories of this machine.
#pragma once

#include <matrixos/call.hpp>
#include <matrixos/directory_copy.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/names.hpp>
#include <matrixos/status.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// Volumes as directories of this machine, laid out like the users directory:
///
///     <users_dir>/<handle>/<name>                    the volume; its path is its ref
///     <users_dir>/.matrixos-install                  the id of the installation whose homes these are
///     <users_dir>/.trash/<as>                        what was <users_dir>/<handle>
///     <users_dir>/.snapshots/<as>                    a copy of <users_dir>/<handle>
///
/// so <users_dir> is the volume's grandparent. It belongs to the operator and may be a symlink; below it nothing is
/// followed. It may be a mount point, too, and then what is not mounted must not look like what is empty. Thread-safe.
/// Fails with Error: InvalidArgument/BAD_VOLUME for a path that may be no volume, FailedPrecondition, PermissionDenied
/// or ResourceExhausted with the system's words.
class DirectoryVolumes {
public:
  struct Options {
    std::vector<std::string> roots;                 ///< volumes lie below one of these; empty: not in the system's
    std::optional<std::pair<uid_t, gid_t>> owner{}; ///< of new volumes; none: whoever runs this
    bool ownsFolder = false; ///< the owner gets <handle>, too, and so can reach the volume without root
  };

  /// What somebody knows of a volume before he asks for it.
  struct Known {
    std::string install;               ///< whose volumes these are; empty: nobody looks whose they are
    bool exists = false;               ///< it was made before
    std::vector<std::string> others{}; ///< some that were made before, beside it
  };

  DirectoryVolumes() = default;
  explicit DirectoryVolumes(Options options) : options_(std::move(options)) {}

  /// Makes the directory, mode 0700, if it is missing; true when it made it. One that is known to exist is not made:
  /// NotFound, VOLUME_NOT_FOUND when it alone is missing, USERS_DIR_MISSING when the users directory lacks its marker
  /// and every volume that is known, as it does while its file system is not mounted. The first use of a users
  /// directory writes the marker; FailedPrecondition, FOREIGN_USERS_DIR when it names another installation.
  bool ensure(const std::string &path, const Known &known) const;
  bool ensure(const std::string &path) const { return ensure(path, Known()); }
  /// Throws unless `path` may be a volume and is a directory reached without symlinks below <users_dir>.
  void check(const std::string &path) const;
  /// Moves the user's directory to the trash, in one rename. Absent already is success; a name that is taken gets a
  /// number.
  void trash(const std::string &path, const std::string &as) const;
  /// Removes an empty volume, and the user's directory when it was the last there. Absent already is success;
  /// FailedPrecondition when the volume holds something.
  void removeIfEmpty(const std::string &path) const;
  /// Copies the user's directory. Existing already is success; a copy that was cut short is started anew.
  void snapshot(const Call &call, const std::string &path, const std::string &as) const;

private:
  struct Place;
  Place placeOf(const std::string &path) const;
  bool isThere(const std::string &path) const;
  void claim(const Place &place, const std::string &path, const Known &known) const;

  Options options_;
};

namespace volumes {

inline constexpr std::string_view kTrash = ".trash";
inline constexpr std::string_view kSnapshots = ".snapshots";
inline constexpr const char *kMarker = ".matrixos-install";
inline constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
/// More leftovers under one name than this mean that something repeats forever.
inline constexpr int kMaxSameName = 100;

/// Places where a volume would hand a tenant the machine.
inline constexpr std::array<std::string_view, 16> kSystem{
    "/bin",     "/boot",     "/dev",  "/etc", "/lib", "/lib32",          "/lib64",
    "/proc",    "/run",      "/sbin", "/sys", "/usr", "/var/lib/docker", "/var/lib/containers",
    "/var/run", "/var/spool"};

inline Error badVolume(const std::string &path, const std::string &why) {
  return Error(Status::InvalidArgument, shown(path) + " may be no volume: " + why, "BAD_VOLUME");
}

inline Error osError(const std::string &what, int code) {
  Status status = Status::FailedPrecondition;
  if (code == EACCES || code == EPERM || code == EROFS) status = Status::PermissionDenied;
  if (code == ENOSPC || code == EDQUOT || code == EMFILE || code == ENFILE) status = Status::ResourceExhausted;
  return Error(status, what + ": " + std::generic_category().message(code), "VOLUME_IO");
}

inline bool isBelow(std::string_view path, std::string_view root) {
  while (root.size() > 1 && root.back() == '/')
    root.remove_suffix(1);
  return path.substr(0, root.size()) == root && (path.size() == root.size() || path[root.size()] == '/');
}

/// Opens the directory `name` in `parent`; makes it when `create`. Sets `made`.
inline FileDescriptor openDirectory(int parent, const std::string &name, bool create, bool &made,
                                    const std::string &path) {
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

inline void checkAs(const std::string &as) {
  if (!isEngineName(as)) {
    throw Error(Status::InvalidArgument, shown(as) + " is no name for a copy of a volume", "BAD_VOLUME");
  }
}

inline bool exists(int parent, const std::string &name) {
  struct stat info {};
  return ::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

/// Power loss must not bring back the old name.
inline void sync(int fd, const std::string &path) {
  if (::fsync(fd) != 0) throw osError(path + " cannot be synced to disk", errno);
}

/// Whose volumes lie in the directory; "" when nobody has said so yet.
inline std::string readMarker(int users, const std::string &path) {
  const FileDescriptor fd(::openat(users, kMarker, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  std::array<char, 128> text{};
  const ssize_t size = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (size < 0) throw osError(path + "/" + kMarker + " cannot be read", errno);
  const std::string_view whole(text.data(), static_cast<std::size_t>(size));
  return std::string(whole.substr(0, whole.find('\n')));
}

/// Whoever does the same at this moment writes the same.
inline void writeMarker(int users, const std::string &path, const std::string &install) {
  const std::string line = install + "\n";
  const FileDescriptor fd(::openat(users, kMarker, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd || ::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw osError(path + "/" + kMarker + " cannot be written", errno);
  sync(fd.get(), path);
  sync(users, path);
}

} // namespace volumes

/// The parts of a volume's path.
struct DirectoryVolumes::Place {
  std::string users; ///< "/data/users"
  std::string user;  ///< "alice"
  std::string name;  ///< "matrixos"

  std::string userPath() const { return users + "/" + user; }

  /// Null when it does not exist and `create` is not set.
  FileDescriptor openUsers(bool create) const {
    if (create) {
      std::error_code failure;
      std::filesystem::create_directories(users, failure);
      if (failure) throw volumes::osError("the directory " + users + " cannot be made", failure.value());
    }
    FileDescriptor fd(::open(users.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && (create || errno != ENOENT))
      throw volumes::osError("the directory " + users + " cannot be opened", errno);
    return fd;
  }
};

inline DirectoryVolumes::Place DirectoryVolumes::placeOf(const std::string &path) const {
  if (!isPlainPath(path)) throw volumes::badVolume(path, "it has to be an absolute path in normal form without colons");
  const std::filesystem::path parts(path);
  Place place;
  place.name = parts.filename();
  place.user = parts.parent_path().filename();
  place.users = parts.parent_path().parent_path();
  if (place.user.empty() || place.users == "/" || place.users.empty()) {
    throw volumes::badVolume(path, "it has to look like <users_dir>/<handle>/<name>");
  }
  if (place.user.front() == '.' || place.name.front() == '.')
    throw volumes::badVolume(path, "hidden names are the runtime's own");
  bool allowed = options_.roots.empty();
  for (const std::string &root : options_.roots)
    allowed = allowed || volumes::isBelow(place.users, root);
  if (!allowed) throw volumes::badVolume(path, "it lies outside volume_roots");
  if (options_.roots.empty()) {
    for (const std::string_view root : volumes::kSystem) {
      if (volumes::isBelow(path, root))
        throw volumes::badVolume(path, "it lies in " + std::string(root) + ", which is the system's");
    }
  }
  return place;
}

inline bool DirectoryVolumes::isThere(const std::string &path) const {
  try {
    check(path);
    return true;
  } catch (const Error &e) {
    if (e.status() == Status::NotFound) return false;
    throw;
  }
}

/// Makes sure that the users directory is the installation's own, and there at all.
inline void DirectoryVolumes::claim(const Place &place, const std::string &path, const Known &known) const {
  const bool used = known.exists || !known.others.empty();
  const FileDescriptor users = place.openUsers(!used);
  const std::string install = users ? volumes::readMarker(users.get(), place.users) : std::string();
  if (install == known.install) return;
  if (!install.empty()) {
    throw Error(Status::FailedPrecondition,
                "the homes in " + place.users + " belong to another installation; remove " + place.users + "/" +
                    volumes::kMarker + " if they are to be this one's",
                "FOREIGN_USERS_DIR");
  }
  // Homes from before there was a marker prove that the directory is the right one.
  bool proven = !used || (known.exists && isThere(path));
  for (const std::string &other : known.others)
    proven = proven || isThere(other);
  if (!proven) {
    throw Error(Status::NotFound,
                "the homes in " + place.users + " are missing, and so is " + place.users + "/" + volumes::kMarker +
                    ": is its file system mounted?",
                "USERS_DIR_MISSING");
  }
  volumes::writeMarker(users.get(), place.users, known.install);
}

inline bool DirectoryVolumes::ensure(const std::string &path, const Known &known) const {
  const Place place = placeOf(path);
  if (!known.install.empty()) claim(place, path, known);
  if (known.exists) {
    if (isThere(path)) return false;
    throw Error(Status::NotFound, "the home " + path + " is missing: bring it back, or delete the instance",
                "VOLUME_NOT_FOUND");
  }
  const FileDescriptor users = place.openUsers(true);
  bool made = false;
  const FileDescriptor user = volumes::openDirectory(users.get(), place.user, true, made, place.userPath());
  if (made) volumes::sync(users.get(), place.users);
  if (options_.ownsFolder && options_.owner &&
      ::fchown(user.get(), options_.owner->first, options_.owner->second) != 0) {
    throw volumes::osError("the directory " + place.userPath() + " cannot be given to its owner", errno);
  }
  const FileDescriptor volume = volumes::openDirectory(user.get(), place.name, true, made, path);
  if (!made) return false;
  if (options_.owner && ::fchown(volume.get(), options_.owner->first, options_.owner->second) != 0) {
    const int code = errno;
    ::unlinkat(user.get(), place.name.c_str(), AT_REMOVEDIR);
    throw volumes::osError("the directory " + path + " cannot be given to volume_owner", code);
  }
  volumes::sync(user.get(), place.userPath());
  return true;
}

inline void DirectoryVolumes::check(const std::string &path) const {
  const Place place = placeOf(path);
  bool made = false;
  const FileDescriptor users = place.openUsers(false);
  FileDescriptor volume;
  if (users) {
    const FileDescriptor user = volumes::openDirectory(users.get(), place.user, false, made, place.userPath());
    if (user) volume = volumes::openDirectory(user.get(), place.name, false, made, path);
  }
  if (!volume) throw Error(Status::NotFound, "there is no volume " + path + ": ensure it first", "VOLUME_NOT_FOUND");
}

inline void DirectoryVolumes::trash(const std::string &path, const std::string &as) const {
  volumes::checkAs(as);
  const Place place = placeOf(path);
  const FileDescriptor users = place.openUsers(false);
  if (!users || !volumes::exists(users.get(), place.user)) return;
  bool made = false;
  const std::string trashPath = place.users + "/" + std::string(volumes::kTrash);
  const FileDescriptor bin = volumes::openDirectory(users.get(), std::string(volumes::kTrash), true, made, trashPath);
  for (int attempt = 1; attempt <= volumes::kMaxSameName; ++attempt) {
    const std::string name = attempt == 1 ? as : as + "." + std::to_string(attempt);
    if (::renameat2(users.get(), place.user.c_str(), bin.get(), name.c_str(), RENAME_NOREPLACE) == 0) {
      volumes::sync(bin.get(), trashPath);
      volumes::sync(users.get(), place.users);
      return;
    }
    if (errno == ENOENT) return;
    if (errno == EXDEV || errno == EBUSY) {
      throw Error(Status::FailedPrecondition,
                  place.userPath() + " is a mount point: unmount it or move its data by hand", "VOLUME_IO");
    }
    if (errno != EEXIST && errno != ENOTEMPTY)
      throw volumes::osError(place.userPath() + " cannot be moved to the trash", errno);
  }
  throw Error(Status::AlreadyExists, trashPath + " is full of data named " + as, "VOLUME_IO");
}

inline void DirectoryVolumes::removeIfEmpty(const std::string &path) const {
  const Place place = placeOf(path);
  const FileDescriptor users = place.openUsers(false);
  bool made = false;
  FileDescriptor user;
  if (users) user = volumes::openDirectory(users.get(), place.user, false, made, place.userPath());
  if (!user) return;
  if (::unlinkat(user.get(), place.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw volumes::osError("the volume " + path + " cannot be removed", errno);
  // What else lies there keeps its folder.
  static_cast<void>(::unlinkat(users.get(), place.user.c_str(), AT_REMOVEDIR));
  volumes::sync(users.get(), place.users);
}

inline void DirectoryVolumes::snapshot(const Call &call, const std::string &path, const std::string &as) const {
  volumes::checkAs(as);
  const Place place = placeOf(path);
  const FileDescriptor users = place.openUsers(false);
  bool made = false;
  FileDescriptor user;
  if (users) user = volumes::openDirectory(users.get(), place.user, false, made, place.userPath());
  if (!user) throw Error(Status::NotFound, "there is no volume " + path + " to copy", "VOLUME_NOT_FOUND");
  const std::string rootPath = place.users + "/" + std::string(volumes::kSnapshots);
  const FileDescriptor root =
      volumes::openDirectory(users.get(), std::string(volumes::kSnapshots), true, made, rootPath);
  if (volumes::exists(root.get(), as)) return;
  // A name that no finished copy can have; what a crash left under it is thrown away.
  const std::string partial = "." + as + ".partial";
  removeTree(root.get(), partial);
  const FileDescriptor copy = volumes::openDirectory(root.get(), partial, true, made, rootPath + "/" + partial);
  try {
    copyTree(call, user.get(), copy.get());
    if (::renameat2(root.get(), partial.c_str(), root.get(), as.c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
      throw volumes::osError("the snapshot " + rootPath + "/" + as + " cannot be named", errno);
    }
  } catch (...) {
    removeTree(root.get(), partial);
    throw;
  }
  volumes::sync(root.get(), rootPath);
}

} // namespace v1
} // namespace matrixos
