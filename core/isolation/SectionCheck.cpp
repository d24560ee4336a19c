#include "isolation/SectionCheck.h"

#include "common/SystemError.h"
#include "common/Wipe.h"
#include "isolation/Frames.h"
#include "isolation/HostAnswer.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/json.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace matrixos::isolation {

namespace {

constexpr std::size_t kMostText = 256U << 10U;

/// In memory, where no other process finds it: there may be secrets.
FileDescriptor inMemory(const std::string &bytes) {
  FileDescriptor file(::memfd_create("section", MFD_CLOEXEC));
  if (!file) common::throwErrno(errno, "handing a section to a plugin");
  if (const int code = writeAll(file.get(), bytes)) common::throwErrno(code, "handing a section to a plugin");
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

SectionCheck::Result resultOf(const std::string &said) {
  SectionCheck::Result result;
  const json::Object::Ptr object = json::parseObject(said);
  result.failure = json::findString(*object, "error").value_or("");
  const json::Array::Ptr list = json::findArray(*object, "problems");
  for (unsigned i = 0; list && i < list->size(); ++i) {
    const json::Object::Ptr problem = list->getObject(i);
    if (!problem) throw Error(Status::InvalidArgument, "a problem that is none");
    result.problems.push_back({json::getString(*problem, "key"), json::getString(*problem, "text")});
  }
  return result;
}

} // namespace

SectionCheck::~SectionCheck() {
  for (Value &value : values_)
    common::wipe(value.text);
}

SectionCheck::Result SectionCheck::run(const std::filesystem::path &program, const std::filesystem::path &plugin,
                                       std::optional<uid_t> user, std::chrono::milliseconds timeout) const {
  SectionFrame frame;
  std::size_t room = 64;
  for (const Value &value : values_) {
    room += 64 + value.key.size() + value.text.size();
    SectionFrame::Value &out = frame.values.emplace_back();
    out.key = value.key;
    out.text = value.text;
    out.kinds = static_cast<std::uint8_t>((value.integer ? SectionFrame::kInteger : 0U) |
                                          (value.number ? SectionFrame::kNumber : 0U) |
                                          (value.items ? SectionFrame::kList : 0U));
    out.integer = value.integer.value_or(0);
    out.number = value.number.value_or(0);
    if (value.items) out.items.assign(value.items->begin(), value.items->end());
    for (const std::string_view item : out.items)
      room += 8 + item.size();
  }
  std::string bytes = encode(frame, room);
  const FileDescriptor input = inMemory(bytes);
  common::wipe(bytes);
  std::vector<std::string> words{"--check", plugin.string(), "--fd=3"};
  if (user) words.push_back("--user=" + std::to_string(*user));
  const HostAnswer answer = HostAnswer::ask(program, words, input.get(), kMostText, timeout);
  if (answer.late) return {{}, "it did not say so within " + std::to_string(timeout.count()) + " ms"};
  if (answer.tooLong) return {{}, "it says too much"};
  if (answer.text.empty()) return {{}, "it " + answer.ending};
  try {
    return resultOf(answer.text);
  } catch (const Error &) {
    return {{}, "it talks nonsense"};
  }
}

} // namespace matrixos::isolation
