// Takes the part of matrixos-plugin-host, with the arguments of that (--run ID …), and does what ID says once it has
// greeted and said that the plugin runs:
//   garbage      random bytes in frames of random types, for a seed after a dash: garbage-7
//   random       random bytes, without frames
//   items        items for a call that allows none any more
//   future       an answer to a call that was never made
//   huge         a frame that claims 4 GB
//   deaf         reads nothing any more
//   silent       not even a greeting
//   other        greets as another version
//   goes         closes the connection, and lives on
#include "isolation/Frames.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <string>

using namespace matrixos::isolation;

namespace {

constexpr int kSocket = 3;

void put(const std::string &bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(kSocket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) ::_exit(0);
    sent += static_cast<std::size_t>(n);
  }
}

[[noreturn]] void hang() {
  for (;;)
    ::pause();
}

std::string randomFrame(std::minstd_rand &random) {
  std::string payload(random() % 300, '\0');
  for (char &c : payload)
    c = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
  FrameWriter writer(static_cast<FrameType>(16 + random() % 8));
  std::string frame = writer.finish();
  const std::size_t length = payload.size();
  for (std::size_t i = 0; i < 4; ++i)
    frame[i] = static_cast<char>(length >> (8 * i) & 0xFFU);
  return frame + payload;
}

} // namespace

int main(int argc, char **argv) {
  const std::string mode = argc > 2 ? argv[2] : "";
  const std::string name = mode.substr(0, mode.find('-'));
  std::minstd_rand random(
      static_cast<unsigned>(std::atoi(mode.substr(name.size()).c_str() + (name.size() < mode.size()))));
  if (name == "silent") hang();
  HelloFrame hello;
  hello.abiMajor = MOS_ABI_MAJOR;
  hello.hostMinor = MOS_HOST_MINOR;
  if (name == "other") hello.protocol += 1;
  put(encode(hello));
  ProvideFrame provide;
  put(encode(provide));
  put(encode(ResultFrame{}));
  if (name == "garbage") {
    for (;;)
      put(randomFrame(random));
  }
  if (name == "random") {
    for (;;) {
      std::string bytes(1000, '\0');
      for (char &c : bytes)
        c = static_cast<char>(random());
      put(bytes);
    }
  }
  if (name == "future") {
    ResultFrame result;
    result.id = 1U << 30U;
    put(encode(result));
  }
  if (name == "huge") put(std::string("\xff\xff\xff\xff\x10\0\0\0", 8));
  if (name == "goes") ::close(kSocket);
  if (name == "items") {
    // The first call's number is 1.
    ItemFrame item;
    const std::string text(1000, 'i');
    for (item.id = 1;;) {
      item.item = text;
      put(encode(item));
    }
  }
  hang();
}
