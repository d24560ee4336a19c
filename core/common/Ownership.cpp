#include "common/Ownership.h"

#include "common/SystemError.h"

#include <matrixos/status.hpp>

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace matrixos::common {

namespace {

std::string octal(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777U));
  return text.data();
}

struct stat examine(const std::filesystem::path &path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) throwErrno(errno, "examining " + path.string());
  return info;
}

/// Empty when nobody can rename the folder away.
std::string problemAbove(const std::filesystem::path &folder) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(folder, error);
  for (std::filesystem::path at = real; at.has_relative_path();) {
    at = at.parent_path();
    const struct stat info = examine(at);
    if ((info.st_mode & S_IWOTH) == 0 || (info.st_mode & S_ISVTX) != 0) continue;
    return at.string() + ", which holds " + real.string() + ", " + ownership(info) +
           ": everybody could replace what lies there (chmod o-w " + at.string() + ")";
  }
  return {};
}

} // namespace

std::string userName(uid_t uid) {
  std::array<char, 1024> buffer{};
  passwd entry{};
  passwd *found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return "uid " + std::to_string(uid);
}

std::string ownership(const struct stat &info) {
  return "is owned by " + userName(info.st_uid) + " with mode " + octal(info.st_mode);
}

std::string ownershipProblem(const struct stat &info, const std::filesystem::path &path, const char *what, uid_t user) {
  const bool foreign = info.st_uid != 0 && info.st_uid != user;
  // A sticky folder such as /tmp still lets others add files.
  const bool writable = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (!foreign && !writable) return {};
  return std::string(what) + " " + path.string() + " " + ownership(info) + "; it has to be owned by root or " +
         userName(user) + " and writable by its owner alone (chown root, chmod go-w)";
}

std::string secretFileProblem(const struct stat &info, const std::filesystem::path &path, std::optional<uid_t> owner) {
  if (!S_ISREG(info.st_mode)) return "is not a regular file";
  if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0) return "is open to other users; run: chmod 600 " + path.string();
  if (!owner || info.st_uid == 0 || info.st_uid == *owner) return {};
  return ownership(info) + ", who could change it; run: chown " + userName(*owner) + " " + path.string();
}

void makeOwnFolder(const std::filesystem::path &folder, mode_t mode, const char *what) {
  if (::mkdir(folder.c_str(), mode) != 0 && errno != EEXIST) {
    throwErrno(errno, "making " + std::string(what) + " " + folder.string());
  }
  checkOwnFolder(folder, what);
}

void checkOwnFolder(const std::filesystem::path &folder, const char *what) {
  std::string problem = ownershipProblem(examine(folder), folder, what, ::geteuid());
  if (problem.empty()) problem = problemAbove(folder);
  if (!problem.empty()) throw Error(Status::PermissionDenied, problem, "OWNERSHIP");
}

} // namespace matrixos::common
