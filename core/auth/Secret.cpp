#include "auth/Secret.h"

#include "common/Ownership.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/status.hpp>
#include <matrixos/text/hex.hpp>
#include <matrixos/ulid.hpp>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace matrixos::auth {

namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMaxSecretLength = 4096;

[[noreturn]] void failWith(Status status, const std::string &what, int code) {
  throw Error(status, what + ": " + std::strerror(code), "SECRET_FILE");
}

std::string readAll(const FileDescriptor &file, const std::string &name) {
  std::string text;
  std::array<char, 1024> buffer{};
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) failWith(Status::FailedPrecondition, "cannot read the secret file " + name, errno);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxSecretLength) {
      throw Error(Status::FailedPrecondition, "the secret file " + name + " is longer than 4096 bytes", "SECRET_FILE");
    }
  }
}

/// Whether the reader is the daemon, whose secret must not be anybody's to choose, or a client, whom it costs nothing.
enum class Reader { Daemon, Client };

void checkOwnership(const FileDescriptor &file, const std::string &name, Reader reader) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) failWith(Status::FailedPrecondition, "cannot examine " + name, errno);
  const std::string problem =
      common::secretFileProblem(info, name, reader == Reader::Daemon ? std::optional(::geteuid()) : std::nullopt);
  if (!problem.empty())
    throw Error(Status::FailedPrecondition, "the secret file " + name + " " + problem, "SECRET_FILE");
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

std::string makeSecret() {
  std::string bytes(kSecretBytes, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw Error(Status::Internal, "the kernel gave no randomness for the secret");
  }
  return toHex(bytes);
}

void writeDurably(const std::filesystem::path &path, const std::string &text) {
  const FileDescriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!file) failWith(Status::Unavailable, "cannot create " + path.string(), errno);
  if (const int code = writeAll(file.get(), text)) failWith(Status::Unavailable, "cannot write " + path.string(), code);
  if (::fsync(file.get()) != 0) failWith(Status::Unavailable, "cannot write " + path.string(), errno);
}

void syncDirectory(const std::filesystem::path &directory) {
  const FileDescriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) {
    failWith(Status::Unavailable, "cannot write the directory " + directory.string(), errno);
  }
}

std::string load(const std::filesystem::path &file, Reader reader) {
  const std::string name = file.string();
  const FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened) failWith(Status::FailedPrecondition, "cannot open the secret file " + name, errno);
  checkOwnership(opened, name, reader);
  std::string secret = trimmed(readAll(opened, name));
  if (secret.empty()) {
    throw Error(Status::FailedPrecondition, "the secret file " + name + " is empty; put a long random word into it",
                "SECRET_FILE");
  }
  for (const char c : secret) {
    if (c <= ' ' || c > '~') {
      throw Error(Status::FailedPrecondition,
                  "the secret in " + name + " has to be one word of printable ASCII, since it travels in a header",
                  "SECRET_FILE");
    }
  }
  return secret;
}

} // namespace

std::string loadSecret(const std::filesystem::path &file) {
  return load(file, Reader::Client);
}

std::string loadOwnSecret(const std::filesystem::path &file) {
  return load(file, Reader::Daemon);
}

std::string loadOrCreateSecret(const std::filesystem::path &dataDir) {
  const std::filesystem::path path = dataDir / kSecretFileName;
  if (::access(path.c_str(), F_OK) == 0) return load(path, Reader::Daemon);
  // link() fails where rename() would replace: of two daemons that start together, the second takes the first's secret.
  const std::filesystem::path draft = dataDir / (std::string(kSecretFileName) + "." + makeUlid());
  writeDurably(draft, makeSecret() + "\n");
  const int linked = ::link(draft.c_str(), path.c_str()) == 0 ? 0 : errno;
  ::unlink(draft.c_str());
  if (linked != 0 && linked != EEXIST) failWith(Status::Unavailable, "cannot create " + path.string(), linked);
  syncDirectory(dataDir);
  return load(path, Reader::Daemon);
}

std::string resolveSecret(const std::filesystem::path &secretFile, const std::filesystem::path &dataDir) {
  return secretFile.empty() ? loadOrCreateSecret(dataDir) : loadOwnSecret(secretFile);
}

} // namespace matrixos::auth
