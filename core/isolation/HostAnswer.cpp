#include "isolation/HostAnswer.h"

#include "common/SystemError.h"
#include "isolation/ChildProcess.h"

#include <matrixos/file_descriptor.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

namespace matrixos::isolation {

namespace {

/// Until it ends, the time is up, or it is too much.
void read(HostAnswer &answer, int from, std::size_t most, std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  std::array<char, 16384> buffer{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd entry{from, POLLIN, 0};
    answer.late = left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) == 0;
    if (answer.late) return;
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    answer.text.append(buffer.data(), static_cast<std::size_t>(got));
    answer.tooLong = answer.text.size() > most;
    if (answer.tooLong) return;
  }
}

} // namespace

HostAnswer HostAnswer::ask(const std::filesystem::path &program, const std::vector<std::string> &words, int input,
                           std::size_t most, std::chrono::milliseconds timeout) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) common::throwErrno(errno, "asking about a plugin");
  const FileDescriptor reading(ends[0]);
  FileDescriptor writing(ends[1]);
  std::vector<int> pass{writing.get()};
  if (input >= 0) pass.push_back(input);
  ChildProcess process = ChildProcess::spawn(program, words, pass);
  writing.reset();
  HostAnswer answer;
  read(answer, reading.get(), most, timeout);
  if (answer.late || answer.tooLong) process.kill();
  const std::optional<Ending> ending = process.wait(timeout);
  if (!ending) process.kill();
  answer.ending = ending ? ending->toString() : "did not end";
  return answer;
}

} // namespace matrixos::isolation
