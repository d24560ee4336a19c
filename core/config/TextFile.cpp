#include "config/TextFile.h"

#include "common/Ownership.h"
#include "config/ValueParser.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>

#include <fcntl.h>
#include <string.h> // explicit_bzero(3)
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace matrixos::config {

namespace {

constexpr std::size_t kMaxSecretBytes = 64UL * 1024;

Error systemError(const std::string &what, int code) {
  const Status status = code == ENOENT   ? Status::NotFound
                        : code == EACCES ? Status::PermissionDenied
                                         : Status::Unavailable;
  return Error(status, what + ": " + std::generic_category().message(code));
}

} // namespace

TextFile TextFile::read(const std::filesystem::path &path, std::size_t maxBytes) {
  // O_NONBLOCK: opening a FIFO nobody writes to would otherwise wait forever.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) throw systemError("cannot be opened", errno);
  TextFile result;
  if (::fstat(file.get(), &result.info) != 0) throw systemError("cannot be examined", errno);
  if (S_ISDIR(result.info.st_mode)) throw Error(Status::InvalidArgument, "is a directory; a file is expected");
  if (!S_ISREG(result.info.st_mode)) throw Error(Status::InvalidArgument, "is not a regular file");

  char buffer[16384];
  // The size is counted while reading, since the file may grow meanwhile.
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw systemError("cannot be read", errno);
    if (got == 0) break;
    result.text.append(buffer, static_cast<std::size_t>(got));
    if (result.text.size() > maxBytes) {
      throw Error(Status::ResourceExhausted, "is larger than " + formatSize(static_cast<std::int64_t>(maxBytes)));
    }
  }
  ::explicit_bzero(buffer, sizeof buffer); // it may have been a secret
  return result;
}

std::string readSecretFile(const std::filesystem::path &path, uid_t user) {
  TextFile file = TextFile::read(path, kMaxSecretBytes);
  if (const std::string problem = common::secretFileProblem(file.info, path, user); !problem.empty())
    throw Error(Status::PermissionDenied, problem);
  while (!file.text.empty() && (file.text.back() == '\n' || file.text.back() == '\r'))
    file.text.pop_back();
  if (file.text.empty()) throw Error(Status::InvalidArgument, "is empty; it has to hold the secret");
  return std::move(file.text);
}

} // namespace matrixos::config
