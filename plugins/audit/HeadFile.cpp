#include "HeadFile.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace matrixos::audit {

namespace {

JsonObject linkJson(const Link &link) {
  JsonObject object;
  object.add("seq", link.seq).add("hash", link.hash);
  return object;
}

Link linkOf(const json::Object &object) {
  Link link;
  link.seq = json::getInt(object, "seq", -1);
  link.hash = json::getString(object, "hash");
  if (link.seq < 0 || link.hash.size() != 64) throw Error(Status::DataLoss, "no link of a chain");
  return link;
}

} // namespace

void HeadFile::fail(const std::string &what, int code) const {
  const bool full = code == ENOSPC || code == EDQUOT;
  throw Error(full ? Status::ResourceExhausted : Status::Unavailable,
              what + " " + file_.string() + ": " + std::generic_category().message(code), "AUDIT_HEAD");
}

std::optional<HeadFile::Content> HeadFile::read() const {
  const FileDescriptor file(::open(file_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) fail("cannot read", errno);
  std::array<char, 1024> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) fail("cannot read", errno);
  try {
    const json::Object::Ptr object = json::parseObject({text.data(), static_cast<std::size_t>(size)});
    Content content{linkOf(*object), std::nullopt};
    if (const json::Object::Ptr next = json::findObject(*object, "next")) content.next = linkOf(*next);
    return content;
  } catch (const Error &) {
    throw Error(Status::DataLoss, file_.string() + " is damaged", "AUDIT_HEAD");
  }
}

void HeadFile::write(const Content &content) const {
  JsonObject object = linkJson(content.last);
  if (content.next) object.addRaw("next", linkJson(*content.next).str());
  const std::string text = std::move(object).str() + '\n';
  const std::filesystem::path folder = file_.parent_path(), fresh = file_.string() + ".new";
  {
    const FileDescriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) fail("cannot write", errno);
    if (const int code = writeAll(file.get(), text)) fail("cannot write", code);
    if (::fsync(file.get()) != 0) fail("cannot write", errno);
  }
  if (std::rename(fresh.c_str(), file_.c_str()) != 0) fail("cannot write", errno);
  const FileDescriptor dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) fail("cannot sync the folder of", errno);
}

} // namespace matrixos::audit
