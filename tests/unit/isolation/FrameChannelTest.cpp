#include "isolation/FrameChannel.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::isolation;

TEST_CASE("however many wait for room in a channel, it never holds more than it may") {
  constexpr std::size_t kFrame = 100'000, kEach = 20;
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  const FileDescriptor reader(fds[1]);
  // Room for the frames of three, while sixteen send.
  FrameChannel channel(FileDescriptor(fds[0]), FrameChannel::WhenFull::Fail, 3 * kFrame);
  std::atomic<int> sending{16};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int i = sending; i > 0; --i) {
    threads.emplace_back([&] {
      for (std::size_t n = 0; n < kEach; ++n)
        failed += channel.sendPatiently(std::string(kFrame, 'x'), kFrame, std::chrono::seconds{60}) ? 0 : 1;
      --sending;
    });
  }
  std::string buffer(kFrame, '\0');
  std::size_t received = 0;
  for (bool more = true, sent = false; more || !sent;) {
    sent = sending == 0;
    pollfd entry{reader.get(), POLLIN, 0};
    more = ::poll(&entry, 1, 10) == 1;
    if (more) received += static_cast<std::size_t>(::read(reader.get(), buffer.data(), buffer.size()));
    channel.flush();
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(failed == 0);
  CHECK(received == threads.size() * kEach * kFrame);
}
