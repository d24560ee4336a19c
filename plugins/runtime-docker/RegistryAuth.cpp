#include "RegistryAuth.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/json.hpp>
#include <matrixos/text/base64.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace matrixos::docker {

namespace {

constexpr std::size_t kMaxAuthFile = 1U << 20U;

Error badFile(const std::string &path, const std::string &why) {
  return Error(Status::FailedPrecondition, "the registry logins in " + path + " (auth_file) " + why, "BAD_AUTH_FILE");
}

std::string readPrivate(const std::string &path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw badFile(path, std::string("cannot be read: ") + ::strerror(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) throw badFile(path, "are no regular file");
  if ((info.st_mode & 0007U) != 0) throw badFile(path, "are open to every user of this machine: chmod 600 " + path);
  std::string text(kMaxAuthFile + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw badFile(path, std::string("cannot be read: ") + ::strerror(errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  if (filled > kMaxAuthFile) throw badFile(path, "are longer than 1 MiB");
  text.resize(filled);
  return text;
}

/// "https://index.docker.io/v1/" → "docker.io", "https://ghcr.io" → "ghcr.io".
std::string registryOf(std::string key) {
  const std::size_t scheme = key.find("://");
  if (scheme != std::string::npos) key.erase(0, scheme + 3);
  key.erase(std::min(key.find('/'), key.size()));
  return key == "index.docker.io" || key == "registry-1.docker.io" ? "docker.io" : key;
}

RegistryLogin readLogin(const json::Object &entry, const std::string &server) {
  RegistryLogin login;
  login.server = server;
  login.username = json::findString(entry, "username").value_or("");
  login.password = json::findString(entry, "password").value_or("");
  login.identityToken = json::findString(entry, "identitytoken").value_or("");
  const std::string packed = json::findString(entry, "auth").value_or("");
  if (!packed.empty()) {
    const std::string pair = base64Decode(packed).value_or("");
    const std::size_t colon = pair.find(':');
    if (colon == std::string::npos) throw Error(Status::InvalidArgument, "\"auth\" has to hold user:password");
    login.username = pair.substr(0, colon);
    login.password = pair.substr(colon + 1);
    // Docker pads stored passwords with NULs.
    login.password.erase(std::min(login.password.find('\0'), login.password.size()));
  }
  return login;
}

} // namespace

std::string RegistryLogin::header() const {
  json::Object object;
  object.set("username", username);
  object.set("password", password);
  object.set("serveraddress", server);
  if (!identityToken.empty()) object.set("identitytoken", identityToken);
  return base64Encode(json::dump(object), Base64::Url);
}

std::optional<RegistryLogin> findLogin(const std::string &authFile, const ImageName &image) {
  if (authFile.empty()) return std::nullopt;
  const std::string text = readPrivate(authFile);
  try {
    const json::Object::Ptr auths = json::findObject(*json::parseObject(text), "auths");
    if (!auths) return std::nullopt;
    for (const auto &[key, value] : *auths) {
      if (registryOf(key) != image.registry()) continue;
      const json::Object::Ptr entry = json::findObject(*auths, key);
      if (entry) return readLogin(*entry, key);
    }
    return std::nullopt;
  } catch (const Error &) {
    // The parser's message could quote a password.
    throw badFile(authFile,
                  "make no sense: expected {\"auths\":{\"ghcr.io\":{\"auth\":\"<base64 of user:password>\"}}}");
  }
}

} // namespace matrixos::docker
